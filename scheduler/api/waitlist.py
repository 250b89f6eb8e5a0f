"""/v1/waitlist-entries: who waits for a time, what was offered, and the answers."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from scheduler.api.appointments import REGION, REGION_AGREES, AppointmentSchema
from scheduler.api.fields import Choice, Id, Instant, List, Nested, Text, TimeOfDay, Weekday, Whole
from scheduler.api.http import Agree, Blueprint, Page, PageQuery, Schema, Session, endpoint, patch_schema
from scheduler.api.kept import DayText, Region
from scheduler.api.visits import PinSchema, appointment_document, pins_from, pins_in
from scheduler.core.call import Call
from scheduler.core.errors import AlreadyExists, Invalid, NotFound, Refused, StaleRevision
from scheduler.services import waitlist
from scheduler.services.objecting import check_pins_at
from scheduler.services.waitlist import EntryView

blp = Blueprint("waitlist", __name__, url_prefix="/v1", description="Who waits for a time")

_STATUSES = ("waiting", "offered", "booked")
_ANSWERS = ("offered", "accepted", "declined", "expired", "withdrawn")


class WaitlistWindowSchema(Schema):
    """When a visit may start, by the location's clock: each bound is inclusive, and any may be left out."""

    weekdays = List(Weekday(), min=1, max=7)
    earliest = TimeOfDay()
    latest = TimeOfDay()
    from_ = DayText(data_key="from", attribute="from")
    to = DayText()


class WaitlistOfferSchema(Schema):
    """A time that is or was held for the patient until `expires_at`."""

    id = Id(required=True)
    start = Instant(required=True)
    end = Instant(required=True)
    time_zone = Text(64, required=True)
    status = Choice(*_ANSWERS, required=True)
    expires_at = Instant(required=True)
    answered_at = Instant(allow_none=True)


class WaitlistEntrySchema(Schema):
    """A patient who waits for a visit at a location; without windows any time will do."""

    lives = True

    id = Id(dump_only=True)
    patient_id = Id(required=True)
    visit_type = Text(60, required=True)
    location_id = Id(required=True)
    course_session_id = Id(allow_none=True, load_default=None)
    windows = List(Nested(WaitlistWindowSchema), max=50, load_default=list)
    pins = List(Nested(PinSchema), max=20, load_default=list)
    notice_minutes = Whole(
        min=0, max=60 * 24 * 60, load_default=0, metadata={"description": "From an offer to the soonest start"}
    )
    priority = Whole(min=0, max=1000, load_default=0, metadata={"description": "Higher is asked first"})
    note = Text(2000, min=0, lines=True, load_default="")
    patient_region = Region(load_default=None, allow_none=True, metadata=REGION)
    status = Choice(*_STATUSES, dump_only=True)
    appointment_id = Id(dump_only=True, allow_none=True)
    offers = List(Nested(WaitlistOfferSchema), max=1000, dump_only=True)
    revision = Whole(dump_only=True)
    created_at = Instant(dump_only=True)


_EntryPatch = patch_schema(
    WaitlistEntrySchema, "WaitlistEntryPatch", without=("patient_id", "visit_type", "location_id", "course_session_id")
)


class OfferAnswerSchema(Schema):
    """Which offer is answered."""

    offer_id = Id(required=True)


class EntriesQuery(PageQuery):
    """Filters of the list."""

    patient_id = Id()
    location_id = Id()
    status = Choice(*_STATUSES)


def _check_pins(session: Session, call: Call, visit_type: str, location_id: UUID, pins: list[dict[str, Any]]) -> None:
    check_pins_at(session, call, visit_type, location_id, call.now, pins_from(pins))


_AGREE = (
    REGION_AGREES,
    Agree(_check_pins, ("visit_type", "location_id", "pins"), asks=True),
    Agree(waitlist.check_windows, ("windows",)),
    Agree(waitlist.check_ahead, ("location_id", "windows"), asks=True),
)


@blp.post("/waitlist-entries")
@endpoint(
    scope="scheduling:write",
    takes=WaitlistEntrySchema,
    gives=WaitlistEntrySchema,
    status=201,
    refuses=(NotFound, Invalid),
    agree=_AGREE,
)
def create_waitlist_entry(session: Session, call: Call, body: dict[str, Any]) -> Any:
    """Let a patient wait. Freed time is held for and offered to the highest priority, then to who waits longest."""
    pins = pins_from(body.pop("pins"))
    return _shown(waitlist.create(session, call, body, pins))


@blp.get("/waitlist-entries")
@endpoint(scope="scheduling:read", query=EntriesQuery, gives=WaitlistEntrySchema, many=True)
def list_waitlist_entries(session: Session, call: Call, query: dict[str, Any]) -> Page[Any]:
    """Who waits, and whose waiting ended with a visit."""
    found = waitlist.listing(session, call, **query)
    return Page([_shown(view) for view in found.items], found.next_cursor)


@blp.get("/waitlist-entries/<uuid:entry_id>")
@endpoint(scope="scheduling:read", gives=WaitlistEntrySchema, refuses=(NotFound,))
def get_waitlist_entry(session: Session, call: Call, *, entry_id: UUID) -> Any:
    """One entry and all that was offered."""
    return _shown(waitlist.get(session, call, entry_id))


@blp.patch("/waitlist-entries/<uuid:entry_id>")
@endpoint(
    scope="scheduling:write", takes=_EntryPatch, gives=WaitlistEntrySchema, refuses=(NotFound, Invalid), if_match=True
)
def patch_waitlist_entry(session: Session, call: Call, body: dict[str, Any], *, entry_id: UUID, revision: int) -> Any:
    """Change what the patient waits for. A time that is offered stays offered."""
    pins = pins_from(body.pop("pins")) if "pins" in body else None
    return _shown(waitlist.change(session, call, entry_id, revision, body, pins))


@blp.delete("/waitlist-entries/<uuid:entry_id>")
@endpoint(scope="scheduling:write", status=204, refuses=(NotFound,), if_match=True)
def delete_waitlist_entry(session: Session, call: Call, *, entry_id: UUID, revision: int) -> None:
    """Let nobody wait any more; a time that was offered goes on to the next."""
    waitlist.remove(session, call, entry_id, revision)


@blp.post("/waitlist-entries/<uuid:entry_id>/accept")
@endpoint(
    scope="scheduling:write",
    takes=OfferAnswerSchema,
    gives=AppointmentSchema,
    status=201,
    refuses=(NotFound, Invalid, Refused, AlreadyExists, StaleRevision),
    if_match="optional",
)
def accept_waitlist_offer(
    session: Session, call: Call, body: dict[str, Any], *, entry_id: UUID, revision: int | None
) -> Any:
    """Book what was offered (`offer_over` when it is not any more)."""
    return appointment_document(waitlist.accept(session, call, entry_id, body["offer_id"], revision))


@blp.post("/waitlist-entries/<uuid:entry_id>/decline")
@endpoint(
    scope="scheduling:write",
    takes=OfferAnswerSchema,
    gives=WaitlistEntrySchema,
    refuses=(NotFound, Invalid, Refused, StaleRevision),
    if_match="optional",
)
def decline_waitlist_offer(
    session: Session, call: Call, body: dict[str, Any], *, entry_id: UUID, revision: int | None
) -> Any:
    """Let what was offered go on to the next, and wait for another time."""
    return _shown(waitlist.decline(session, call, entry_id, body["offer_id"], revision))


def _shown(view: EntryView) -> dict[str, Any]:
    return {**vars(view), "pins": pins_in(view.pins)}
