"""Booking, reading, moving and cancelling visits over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from scheduler.api.day import CheckSchema, FlagSchema, TaskSchema, day_document
from scheduler.api.fields import Choice, Id, Instant, List, LocalInstant, Nested, Start, Text, Whole
from scheduler.api.http import Agree, Blueprint, Page, PageQuery, Schema, Session, endpoint
from scheduler.api.kept import Code, Region
from scheduler.api.visits import (
    LiftedSchema,
    OverrideSchema,
    ParticipantSchema,
    PinSchema,
    SegmentSchema,
    appointment_document,
    override_from,
    pins_from,
)
from scheduler.core.call import Call
from scheduler.core.errors import (
    AlreadyExists,
    IllegalTransition,
    Invalid,
    LocalTimeFault,
    NotFound,
    NotTheHolder,
    Refused,
    StaleRevision,
)
from scheduler.core.lifecycle import STATUSES
from scheduler.services import appointments, booking, holds, notes, overrides, visit_day
from scheduler.services.finding import Wanted
from scheduler.services.objecting import check_new_region, check_new_start, check_pins_at, check_region, check_start

blp = Blueprint("appointments", __name__, url_prefix="/v1", description="Visits with a time")

_DISAMBIGUATION = {"description": "Which reading of a wall time that the clocks skip or repeat is meant"}
BY = {"description": "Who wants it: lead time, horizon and cut-offs go by that"}
CATEGORY = {"description": "The class of the reason, one of the organization's `policies.reasons`"}
_TOKEN = {"description": "The token of that hold; not needed with the key that made it"}
#: Of the visits by video.
REGION = {"description": "Where the patient will be (ISO 3166-2): asked, and needed, for a visit by video only"}
_ALONE = {"description": "Shown with a single visit, after a move, and on the day board"}
_STATUS = {
    "description": "FHIR R4's. No call produces `proposed` (a time that nobody has accepted yet: here an offered plan) "
    "or `waitlist` (a visit that waits for a time: here an entry of the waitlist): they are reserved"
}


class WantedSchema(Schema):
    """A visit that is wanted."""

    patient_id = Id(required=True)
    visit_type = Text(60, required=True)
    location_id = Id(required=True)
    start = Start(required=True)
    disambiguation = Choice("earlier", "later", "compatible", load_default=None, metadata=_DISAMBIGUATION)
    pins = List(Nested(PinSchema), max=20, load_default=list)
    course_session_id = Id(load_default=None)
    note = Text(2000, min=0, lines=True, load_default="")
    by = Choice("patient", "staff", load_default="staff", metadata=BY)
    patient_region = Region(load_default=None, metadata=REGION)


class BookingSchema(WantedSchema):
    """A visit to be booked, with a hold of its time or against a rule."""

    hold_id = Id(load_default=None, metadata={"description": "A hold of yours that the booking uses up"})
    hold_token = Text(200, load_default=None, metadata=_TOKEN)
    override = Nested(OverrideSchema, load_default=None, allow_none=True)


class MoveSchema(Schema):
    """Where a visit moves to; without `pins` the old ones stay."""

    start = Start(required=True)
    disambiguation = Choice("earlier", "later", "compatible", load_default=None, metadata=_DISAMBIGUATION)
    pins = List(Nested(PinSchema), max=20, load_default=None, allow_none=True)
    by = Choice("patient", "staff", "clinic", load_default="staff", metadata=BY)
    reason = Text(500, load_default=None)
    category = Code(load_default=None, metadata=CATEGORY)
    override = Nested(OverrideSchema, load_default=None, allow_none=True)
    patient_region = Region(load_default=None, metadata=REGION)


class AppointmentPatch(Schema):
    """What of a visit is changed as it stands; the staff's own note."""

    note = Text(2000, min=0, lines=True)


class CancelSchema(Schema):
    """Why a visit does not take place, and who says so."""

    reason = Text(500, required=True)
    by = Choice("patient", "staff", "clinic", required=True)
    category = Code(load_default=None, metadata=CATEGORY)


class AppointmentSchema(Schema):
    """A visit with its segments and everyone who serves it."""

    lives = True

    id = Id(required=True)
    status = Choice(*STATUSES, required=True, metadata=_STATUS)
    outcome = Text(20, allow_none=True)
    outcome_reason = Text(500, allow_none=True)
    patient_id = Id(required=True)
    visit_type = Text(60, required=True)
    location_id = Id(required=True)
    start = Instant(required=True)
    end = Instant(required=True)
    time_zone = Text(64, required=True)
    local_start = LocalInstant()
    local_end = LocalInstant()
    segments = List(Nested(SegmentSchema), max=100, required=True)
    participants = List(Nested(ParticipantSchema), max=1000, required=True)
    pins = List(Nested(PinSchema), max=20, metadata={"description": "Who and what it was asked for; a move keeps them"})
    course_id = Id(allow_none=True)
    course_session_id = Id(allow_none=True)
    series_id = Id(allow_none=True)
    group_id = Id(allow_none=True, metadata={"description": "The group that it is a part of"})
    note = Text(2000, min=0)
    patient_region = Text(6, allow_none=True, metadata={"description": "Where the patient is, by video"})
    confirmed_at = Instant(
        allow_none=True, metadata={"description": "When the patient said that they will come at this time"}
    )
    pencilled_until = Instant(allow_none=True, metadata={"description": "When a pending visit is let go"})
    arrived_at = Instant(allow_none=True)
    checked_in_at = Instant(allow_none=True)
    dosed_at = Instant(allow_none=True, metadata={"description": "When the first dose was given"})
    last_device_at = Instant(allow_none=True)
    fulfilled_at = Instant(allow_none=True, metadata={"description": "When the patient went home"})
    observation_over_at = Instant(allow_none=True, metadata=_ALONE)
    checklist = List(Nested(CheckSchema), max=100, metadata=_ALONE)
    tasks = List(Nested(TaskSchema), max=100, metadata=_ALONE)
    flags = List(Nested(FlagSchema), max=1000, metadata=_ALONE)
    cancel_reason = Text(500, allow_none=True)
    cancelled_by = Text(20, allow_none=True)
    cancel_category = Text(60, allow_none=True)
    override = Nested(LiftedSchema, allow_none=True, metadata={"description": "Rules lifted for the present place"})
    sequence = Whole(required=True, metadata={"description": "Counts changes of time or place"})
    version = Whole(required=True, metadata={"description": "Counts every change; `If-Match` takes it"})
    created_at = Instant(required=True)


class AppointmentsQuery(PageQuery):
    """Filters of the list; `from` and `to` bound the start, half-open."""

    location_id = Id(load_default=None)
    patient_id = Id(load_default=None)
    resource_id = Id(load_default=None)
    course_id = Id(load_default=None)
    series_id = Id(load_default=None)
    group_id = Id(load_default=None)
    status = Choice(*STATUSES, load_default=None)
    from_ = Instant(data_key="from", load_default=None)
    to = Instant(load_default=None)


def _check_pins(
    session: Session, call: Call, visit_type: str, location_id: UUID, start: datetime, pins: list[dict[str, Any]]
) -> None:
    check_pins_at(session, call, visit_type, location_id, start, pins_from(pins))


def _check_new_pins(
    session: Session, call: Call, appointment_id: UUID, start: datetime, pins: list[dict[str, Any]] | None
) -> None:
    row = appointments.row_of(session, call, appointment_id)
    _check_pins(session, call, row.visit_type, row.location_id, start, pins or [])


REGION_AGREES = Agree(check_region, ("visit_type", "patient_region"), asks=True)
#: In what a wish for a visit can contradict itself or the clinic.
WISH_AGREES = (
    Agree(check_start, ("location_id", "start", "disambiguation"), asks=True),
    REGION_AGREES,
    Agree(_check_pins, ("visit_type", "location_id", "start", "pins"), asks=True),
)
_MOVE_AGREES = (
    Agree(check_new_start, ("appointment_id", "start", "disambiguation"), asks=True),
    Agree(check_new_region, ("appointment_id", "patient_region"), asks=True),
    Agree(_check_new_pins, ("appointment_id", "start", "pins"), asks=True),
    Agree(overrides.check_category, ("category",), asks=True),
)


@blp.post("/appointments")
@endpoint(
    scope="scheduling:write",
    takes=BookingSchema,
    gives=AppointmentSchema,
    status=201,
    refuses=(NotFound, Invalid, LocalTimeFault, Refused, AlreadyExists, NotTheHolder),
    agree=WISH_AGREES,
)
def create_appointment(session: Session, call: Call, body: dict[str, Any]) -> Any:
    """Book a visit; a refusal names every reason and up to five alternatives.

    With `hold_id` the hold is used up, in the same transaction. With `override` the rules it names are lifted.
    """
    hold_id, token = body.pop("hold_id"), body.pop("hold_token")
    body |= {"pins": pins_from(body["pins"]), "override": override_from(body["override"])}
    wanted = Wanted(**body)
    if hold_id is None:
        return appointment_document(booking.book(session, call, wanted))
    return appointment_document(holds.book(session, call, wanted, hold_id, token))


@blp.get("/appointments")
@endpoint(scope="scheduling:read", query=AppointmentsQuery, gives=AppointmentSchema, many=True)
def list_appointments(session: Session, call: Call, query: dict[str, Any]) -> Any:
    """Visits by start."""
    limit, cursor = query.pop("limit"), query.pop("cursor", None)
    wanted = appointments.Filter(since=query.pop("from_"), until=query.pop("to"), **query)
    found = appointments.listed(session, call, wanted, limit=limit, cursor=cursor)
    return Page([appointment_document(view) for view in found.items], found.next_cursor)


@blp.get("/appointments/<uuid:appointment_id>")
@endpoint(scope="scheduling:read", gives=AppointmentSchema, refuses=(NotFound,))
def get_appointment(session: Session, call: Call, *, appointment_id: UUID) -> Any:
    """One visit, with its checklist, its tasks and what somebody should see."""
    return day_document(visit_day.get(session, call, appointment_id))


@blp.patch("/appointments/<uuid:appointment_id>")
@endpoint(
    scope="scheduling:write",
    takes=AppointmentPatch,
    gives=AppointmentSchema,
    if_match=True,
    refuses=(NotFound, StaleRevision),
)
def patch_appointment(
    session: Session, call: Call, body: dict[str, Any], *, appointment_id: UUID, revision: int
) -> Any:
    """Change the note. Time and place are changed by moving the visit, its state by the moves of its day."""
    notes.change(session, call, appointment_id, revision, body)
    return day_document(visit_day.get(session, call, appointment_id))


@blp.post("/appointments/<uuid:appointment_id>/reschedule")
@endpoint(
    scope="scheduling:write",
    takes=MoveSchema,
    gives=AppointmentSchema,
    if_match="optional",
    refuses=(NotFound, Invalid, LocalTimeFault, Refused, IllegalTransition, StaleRevision),
    agree=_MOVE_AGREES,
)
def reschedule_appointment(
    session: Session, call: Call, body: dict[str, Any], *, appointment_id: UUID, revision: int | None
) -> Any:
    """Move a visit in place; when it cannot be moved, it stays as it was."""
    body["pins"] = None if body["pins"] is None else pins_from(body["pins"])
    body["override"] = override_from(body["override"])
    moved = booking.reschedule(session, call, appointment_id, body.pop("start"), **body, revision=revision)
    return appointment_document(moved)


@blp.post("/appointments/<uuid:appointment_id>/cancel")
@endpoint(
    scope="scheduling:write",
    takes=CancelSchema,
    gives=AppointmentSchema,
    if_match="optional",
    refuses=(NotFound, IllegalTransition, StaleRevision, Refused),
)
def cancel_appointment(
    session: Session, call: Call, body: dict[str, Any], *, appointment_id: UUID, revision: int | None
) -> Any:
    """Cancel a visit: its time is free at once, its messages are called off."""
    return appointment_document(booking.cancel(session, call, appointment_id, **body, revision=revision))
