"""The day of a visit over HTTP: the moves from confirmation to discharge, their undoing, answers, tasks, history."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from marshmallow import fields

from scheduler.api.appointments import REGION, AppointmentSchema
from scheduler.api.day import Answers, WaiverSchema, day_document, waiver_from
from scheduler.api.fields import Id, Instant, Nested, Text
from scheduler.api.http import Blueprint, Page, PageQuery, Schema, Session, endpoint
from scheduler.api.kept import Region
from scheduler.core.call import Call
from scheduler.core.errors import (
    AlreadyExists,
    IllegalTransition,
    Invalid,
    NotFound,
    Refused,
    ScopeMissing,
    StaleRevision,
)
from scheduler.services import history, visit_day
from scheduler.services.visit_day import Done

blp = Blueprint("visit_day", __name__, url_prefix="/v1/appointments", description="The day of a visit")

_WRITE = "scheduling:write"
_MOVED = (NotFound, StaleRevision, IllegalTransition)
_ASKED = (*_MOVED, Invalid, Refused, ScopeMissing)
_AT = {"description": "When it really happened; now, unless it is said"}


class ArrivalSchema(Schema):
    """The patient is here."""

    at = Instant(load_default=None, metadata=_AT)


class AskedSchema(ArrivalSchema):
    """A move with answers to what the visit type asks at that point."""

    checklist = Answers(load_default=dict)
    override = Nested(WaiverSchema, load_default=None, allow_none=True)


class CheckInSchema(AskedSchema):
    """The patient is received, with answers to what the visit type asks at check-in."""

    patient_region = Region(load_default=None, metadata=REGION)


class StartSchema(AskedSchema):
    """The (first) dose is given; said again, it adds when the last device was."""

    last_device_at = Instant(load_default=None, metadata={"description": "When the last device was given"})


class DischargeSchema(AskedSchema):
    """The patient goes home, with answers to what the visit type asks before that."""


class NotDosedSchema(Schema):
    """Why no dose is given."""

    reason = Text(500, required=True)


class MistakeSchema(Schema):
    """Why the visit should never have been booked."""

    reason = Text(500, required=True)


class UndoSchema(Schema):
    """Why the last move is taken back."""

    reason = Text(500, load_default=None)


class AnswersSchema(Schema):
    """Answers to the checklist, before they are asked for."""

    checklist = Answers(required=True)


class DoneSchema(ArrivalSchema):
    """A task is done."""

    by = Text(200, load_default=None, metadata={"description": "Who did it; the caller otherwise"})
    note = Text(500, lines=True, load_default=None)


class StepSchema(Schema):
    """One change of an appointment; `before` and `after` hold what differed."""

    id = Id(required=True)
    at = Instant(required=True)
    actor = fields.String(required=True, metadata={"description": "The person named in X-Actor, or the key's name"})
    action = fields.String(required=True, metadata={"examples": ["check-in"]})
    before = fields.Dict(required=True)
    after = fields.Dict(required=True)
    reason = fields.String(required=True, allow_none=True)


@blp.post("/<uuid:appointment_id>/confirm")
@endpoint(scope=_WRITE, gives=AppointmentSchema, if_match="optional", refuses=(*_MOVED, Refused))
def confirm_appointment(session: Session, call: Call, *, appointment_id: UUID, revision: int | None) -> Any:
    """Book a pencilled visit for good: once its gates are passed and the patient's clearances are valid."""
    return day_document(visit_day.confirm(session, call, appointment_id, revision=revision))


@blp.post("/<uuid:appointment_id>/arrive")
@endpoint(scope=_WRITE, takes=ArrivalSchema, gives=AppointmentSchema, if_match="optional", refuses=(*_MOVED, Invalid))
def arrive_at_appointment(
    session: Session, call: Call, body: dict[str, Any], *, appointment_id: UUID, revision: int | None
) -> Any:
    """The patient is in the waiting room."""
    return day_document(visit_day.arrive(session, call, appointment_id, **body, revision=revision))


@blp.post("/<uuid:appointment_id>/check-in")
@endpoint(scope=_WRITE, takes=CheckInSchema, gives=AppointmentSchema, if_match="optional", refuses=_ASKED)
def check_in_appointment(
    session: Session, call: Call, body: dict[str, Any], *, appointment_id: UUID, revision: int | None
) -> Any:
    """Receive the patient. What blocks on the checklist must be settled, or answered for by a named person."""
    body["waiver"] = waiver_from(body.pop("override"))
    return day_document(visit_day.check_in(session, call, appointment_id, **body, revision=revision))


@blp.post("/<uuid:appointment_id>/start")
@endpoint(scope=_WRITE, takes=StartSchema, gives=AppointmentSchema, if_match="optional", refuses=_ASKED)
def start_appointment(
    session: Session, call: Call, body: dict[str, Any], *, appointment_id: UUID, revision: int | None
) -> Any:
    """The first dose is given. The status stays; the observation counts from here, or from the last device."""
    body["waiver"] = waiver_from(body.pop("override"))
    return day_document(visit_day.start(session, call, appointment_id, **body, revision=revision))


@blp.post("/<uuid:appointment_id>/fulfill")
@endpoint(scope=_WRITE, takes=DischargeSchema, gives=AppointmentSchema, if_match="optional", refuses=_ASKED)
def fulfill_appointment(
    session: Session, call: Call, body: dict[str, Any], *, appointment_id: UUID, revision: int | None
) -> Any:
    """Discharge the patient; `observation_not_over` says until when that is refused."""
    body["waiver"] = waiver_from(body.pop("override"))
    return day_document(visit_day.fulfill(session, call, appointment_id, **body, revision=revision))


@blp.post("/<uuid:appointment_id>/not-dosed")
@endpoint(scope=_WRITE, takes=NotDosedSchema, gives=AppointmentSchema, if_match="optional", refuses=_MOVED)
def end_appointment_without_dose(
    session: Session, call: Call, body: dict[str, Any], *, appointment_id: UUID, revision: int | None
) -> Any:
    """The visit ends without a dose: it does not count in its series, and what is left of its time is free."""
    return day_document(visit_day.not_dosed(session, call, appointment_id, **body, revision=revision))


@blp.post("/<uuid:appointment_id>/no-show")
@endpoint(scope=_WRITE, gives=AppointmentSchema, if_match="optional", refuses=_MOVED)
def miss_appointment(session: Session, call: Call, *, appointment_id: UUID, revision: int | None) -> Any:
    """Nobody came, and the visit has begun: its time is free at once."""
    return day_document(visit_day.no_show(session, call, appointment_id, revision=revision))


@blp.post("/<uuid:appointment_id>/entered-in-error")
@endpoint(scope=_WRITE, takes=MistakeSchema, gives=AppointmentSchema, if_match="optional", refuses=_MOVED)
def enter_appointment_in_error(
    session: Session, call: Call, body: dict[str, Any], *, appointment_id: UUID, revision: int | None
) -> Any:
    """The visit was booked by mistake: its time is free, it counts for nothing, and only who heard of it is told.

    Not once a dose was given.
    """
    return day_document(visit_day.enter_in_error(session, call, appointment_id, **body, revision=revision))


@blp.post("/<uuid:appointment_id>/undo")
@endpoint(
    scope=_WRITE,
    takes=UndoSchema,
    gives=AppointmentSchema,
    if_match="optional",
    refuses=(*_MOVED, Refused, AlreadyExists),
)
def undo_appointment_move(
    session: Session, call: Call, body: dict[str, Any], *, appointment_id: UUID, revision: int | None
) -> Any:
    """Take the last move back; people and rooms that it gave up come back only if they are still free."""
    return day_document(visit_day.undo(session, call, appointment_id, **body, revision=revision))


@blp.post("/<uuid:appointment_id>/checklist")
@endpoint(scope=_WRITE, takes=AnswersSchema, gives=AppointmentSchema, if_match="optional", refuses=(*_MOVED, Invalid))
def answer_checklist(
    session: Session, call: Call, body: dict[str, Any], *, appointment_id: UUID, revision: int | None
) -> Any:
    """Take down answers before they are asked for, such as a ride that was named by telephone."""
    answers = body["checklist"]
    return day_document(visit_day.answer(session, call, appointment_id, answers, revision=revision))


@blp.post("/<uuid:appointment_id>/tasks/<string:task_key>/done")
@endpoint(scope=_WRITE, takes=DoneSchema, gives=AppointmentSchema, if_match="optional", refuses=(*_MOVED, Invalid))
def do_appointment_task(
    session: Session,
    call: Call,
    body: dict[str, Any],
    *,
    appointment_id: UUID,
    task_key: str,
    revision: int | None,
) -> Any:
    """Tick a task of the visit."""
    return day_document(visit_day.do_task(session, call, appointment_id, task_key, Done(**body), revision=revision))


@blp.get("/<uuid:appointment_id>/history")
@endpoint(scope="scheduling:read", query=PageQuery, gives=StepSchema, many=True, refuses=(NotFound,))
def list_appointment_history(session: Session, call: Call, query: dict[str, Any], *, appointment_id: UUID) -> Page[Any]:
    """Every change of the visit, the oldest first: who, when, what, why."""
    return history.of_appointment(session, call, appointment_id, **query)
