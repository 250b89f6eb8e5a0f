"""What a letter carries beside its text: the link to the visit's page, and the visits for the patient's calendar."""

from __future__ import annotations

import re
from uuid import UUID

from scheduler.core.calendar_entry import Entry, Method
from scheduler.messaging.render import LINKED, neutral
from scheduler.models import Appointment, Message
from scheduler.services.outbox.scene import Scene
from scheduler.services.patient_links import SCOPES, STOP, Link

_NAMES_LINK = re.compile(r"\{\{\s*link\s*\}\}")
#: How a calendar takes what these kinds tell.
_METHODS: dict[str, Method] = {
    "booked": "REQUEST",
    "rescheduled": "REQUEST",
    "cancelled": "CANCEL",
    "series_overview": "PUBLISH",
    "course_changed": "PUBLISH",
}
#: What puts visits into calendars, and what changes there what others have put.
IN_CALENDARS = frozenset(_METHODS)
CHANGING = frozenset({"rescheduled", "cancelled", "course_changed"})


def shows_page(scene: Scene, message: Message, channel: str) -> bool:
    """Whether the text names the visit's page: the shipped ones of some kinds do, and a clinic's own may."""
    if message.kind in LINKED.get(channel, ()):
        return True
    own = scene.own.get(message.kind, {}).values()
    return any(_NAMES_LINK.search(text) for parts in own for text in parts.values())


def link_of(scene: Scene, message: Message, visit: Appointment, channel: str, *, page: bool) -> Link | None:
    """The link of this message over this channel. The same one each time, until the visit has another time.

    A page is for the patient to act on; from an e-mail, messages of its class are ended too.
    """
    if scene.links is None:
        return None
    scopes = [*(SCOPES if page else ()), *([f"{STOP}{message.context['class']}"] if channel == "email" else ())]
    if not scopes:
        return None
    return scene.links.link(scene.organization.code, visit, f"{message.id} {channel}", scopes)


def calendar_of(scene: Scene, message: Message, visit: Appointment, channel: str) -> tuple[tuple[Entry, ...], Method]:
    """The visits that a message puts into the patient's calendar, and how; none for most messages."""
    method = _METHODS.get(message.kind)
    if method is None or channel != "email":
        return (), "PUBLISH"
    changed = [scene.appointments[UUID(entry["id"])] for entry in message.context.get("visits", ())]
    told = changed or ([visit] if message.appointment_id is not None else scene.stops_of(message))
    locales = scene.person(message.patient_id).locales
    return tuple(
        Entry.of(
            each,
            title=neutral(scene.name_of(each), locales),
            place=neutral(scene.locations[each.location_id].address, ()),
            stamp=message.created_at,
        )
        for each in told
    ), method
