"""Whether a due message may still be sent, by the state of things now: sent, put off, or dropped with a reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from scheduler.core.reminders import HELD_CLASSES, TASK, VOICE, in_order, next_open
from scheduler.core.reminders.budget import COUNTED
from scheduler.core.value import lightweight
from scheduler.models import Appointment, Message
from scheduler.services.outbox import mailbox
from scheduler.services.outbox.passing import passed
from scheduler.services.outbox.person import Now, Person
from scheduler.services.outbox.scene import Scene
from scheduler.services.outbox.telling import CORRECTION

#: The visit is not any more where the message says.
SUPERSEDED = "superseded"
#: It is meant for after a visit of which nobody has recorded that it took place.
UNRECORDED = "unrecorded"
#: What is meant for after a visit looks again so soon whether the patient has left.
STILL_HERE = timedelta(minutes=15)


@lightweight
class Send:
    """It goes out, over this channel to this address."""

    channel: str
    to: str


@dataclass(frozen=True)
class PutOff:
    """It waits: for the end of quiet hours, or for what `reason` says to be mended."""

    until: datetime
    reason: str | None = None


@dataclass(frozen=True)
class Drop:
    """It is not sent: `suppressed` because nobody needs it, `expired_unsent` because it is too late for it."""

    status: str
    reason: str


@dataclass(frozen=True)
class Ask:
    """It is a task, which somebody on the staff is given now."""


Judgement = Send | PutOff | Drop | Ask


def judge(scene: Scene, message: Message) -> Judgement:
    """What becomes of a due message."""
    now, visit = scene.call.now, scene.visit_of(message)
    why_not = unwanted(scene, message, visit)
    if why_not is not None or visit is None:
        return Drop("suppressed", why_not or "no_visit")
    if message.channel == TASK:
        return Ask() if now < message.expires_at else Drop("suppressed", "too_late")
    if now >= message.expires_at:
        return Drop("expired_unsent", message.reason or "too_late")
    stays = None if scene.foresees else stays_until(message, visit, now)
    if stays is not None:
        return PutOff(min(stays, message.expires_at), UNRECORDED if visit.status == "booked" else None)
    person = scene.person(message.patient_id)
    here = person.now_at(visit.time_zone)
    return (_at_rest(message, here, now) if here.rests else None) or _by_channel(scene, message, person, here)


def stays_until(message: Message, visit: Appointment, now: datetime) -> datetime | None:
    """Until when a message for after a visit waits: the visit lasts longer than planned, or may never have been."""
    if message.context.get("side") != "after":
        return None
    if visit.status in {"booked", "arrived", "checked-in"}:
        return now + STILL_HERE
    gap = timedelta(minutes=message.context.get("gap_minutes", 0))
    over = visit.fulfilled_at + gap if visit.fulfilled_at is not None else now
    return over if over > now else None


def _at_rest(message: Message, here: Now, now: datetime) -> Judgement | None:
    """What quiet hours make of it; None when they let it pass."""
    if message.context.get("at_night"):
        return None
    opens, by = next_open(here.anybody, now), message.context.get("arrive_by")
    is_urgent = bool(message.context.get("urgent"))
    if is_urgent and by is not None and now < datetime.fromisoformat(by) <= opens:
        return None
    if opens < message.expires_at:
        return PutOff(opens)
    return None if is_urgent else Drop("expired_unsent", "quiet_hours")


def unwanted(scene: Scene, message: Message, visit: Appointment | None) -> str | None:
    """Why nobody needs the message any more, or None."""
    context = message.context
    if message.called_off_at is not None:
        return message.reason or "called_off"
    if visit is None:
        return "no_visit"
    if "visits" in context:
        return None if scene.has_changes(message) else "undone"
    sequence = message.sequence if message.appointment_id is not None else visit.sequence
    outdated = outdated_by(message.kind, context, sequence, visit)
    if outdated is None and context.get("class") in HELD_CLASSES and scene.is_held(visit):
        return "on_hold"
    if outdated is None and context.get("unless"):
        return min(passed(scene.session, scene.call, visit, context["unless"]), default=None)
    return outdated


class Standing(Protocol):
    """How a visit stands: an appointment, or as much of its row."""

    @property
    def sequence(self) -> int: ...  # noqa: D102 - the row's columns
    @property
    def status(self) -> str: ...  # noqa: D102
    @property
    def outcome(self) -> str | None: ...  # noqa: D102


def outdated_by(kind: str, context: Mapping[str, Any], sequence: int, visit: Standing) -> str | None:
    """Why the visit as it stands makes a message pointless that was owed at `sequence`, or None."""
    status, outcome = visit.status, visit.outcome
    if visit.sequence != sequence:
        return SUPERSEDED
    if kind in {"cancelled", CORRECTION}:
        return None
    if context.get("class") == "staff_task":
        return None if status == "booked" else status
    if context.get("side") == "after":
        if outcome == "not_dosed":
            return "not_dosed"
        return None if status in {"booked", "arrived", "checked-in", "fulfilled"} else status
    return None if status == "booked" else status


def way_of(scene: Scene, message: Message) -> str | None:
    """The channel by which the message would go, but for caps and quiet hours; None where there is none."""
    person = scene.person(message.patient_id)
    addresses = person.addresses(message.context["class"])
    return next((name for name in _ways(message, person) if name in addresses), None)


def way_now(scene: Scene, message: Message, visit: Appointment) -> str | None:
    """The same, by the caps of its patient as they are now."""
    person = scene.person(message.patient_id)
    return scene.route(message, person, person.now_at(visit.time_zone), _ways(message, person)).channel


def _ways(message: Message, person: Person) -> list[str]:
    """The channels that it may go by, the one first that its patient prefers."""
    known, refused = message.context.get("channels"), message.context.get("failed", ())
    others = [name for name in known if name != message.channel] if known else ()
    return [name for name in in_order((message.channel, *others), person.prefers) if name not in refused]


def _by_channel(scene: Scene, message: Message, person: Person, here: Now) -> Judgement:
    """The channel that the patient prefers, or the message's own; else the next of the rule that is open and may be.

    One that has refused the message for good is not asked again. No telephone rings in quiet hours, whatever it is.
    """
    now, addresses = scene.call.now, person.addresses(message.context["class"])
    usable = _ways(message, person)
    rests = here.is_quiet and VOICE in usable
    if rests:
        usable.remove(VOICE)
    route = scene.route(message, person, here, usable)
    if route.channel is None and rests and VOICE in addresses:
        opens = next_open(here.anybody, now)
        return PutOff(opens) if opens < message.expires_at else Drop("expired_unsent", "quiet_hours")
    if route.channel is None:
        return Drop("suppressed", route.reason or "no_channel")
    copy = mailbox.copy_of(scene.session, message, route.channel) if message.attempts else None
    if copy is not None:
        message.merged_into = copy.id
        return Drop("suppressed", "merged")
    if route.channel in COUNTED:
        scene.note_text(message.patient_id, person)
    return Send(route.channel, addresses[route.channel])
