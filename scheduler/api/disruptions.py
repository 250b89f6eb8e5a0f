"""Somebody falls ill, a room cannot be used: the joint repair over HTTP, and its acceptance in stages."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from flask import Response, g, request

from scheduler.api.errors import problem, status_of
from scheduler.api.fields import Choice, Flag, Id, Instant, List, Nested, Text, Whole
from scheduler.api.http import Agree, Answer, Blueprint, Schema, Session, endpoint
from scheduler.api.jobs import JobSchema, document
from scheduler.api.kept import Mark
from scheduler.api.schema import instance
from scheduler.core.call import Call
from scheduler.core.civil import zone
from scheduler.core.errors import Fault, Invalid, NotFound, PlanStale
from scheduler.database import db, transact
from scheduler.services import disruption_jobs, disruptions
from scheduler.services.disruptions import Line, Offer
from scheduler.services.records import Revision

blp = Blueprint("disruptions", __name__, url_prefix="/v1", description="Repairs when somebody or something falls away")


class DisruptionSchema(Schema):
    """Who or what is not there, and when."""

    resource_id = Id(required=True)
    from_ = Instant(data_key="from", required=True)
    to = Instant(required=True)
    reason = Text(500, min=0, load_default="")


class StruckVisitSchema(Schema):
    """A visit that the disruption touches."""

    appointment_id = Id(required=True)
    session_id = Id(required=True, allow_none=True)
    course_id = Id(required=True, allow_none=True)
    group_id = Id(required=True, allow_none=True)
    patient_id = Id(required=True)
    location_id = Id(required=True)
    visit_type = Text(60, required=True)
    time_zone = Text(64, required=True)


_DROPPED = "Whom and what it was booked with by name, and would not have: they are away, or no time is left with them"
_AFTER = "Visits of the repair that stand there for now: accept them as well, or before"


class RepairKeptSchema(StruckVisitSchema):
    """It stays at its time; others serve it, and the whole group if it is in one."""

    start = Instant(required=True)
    resource_ids = List(Id(), max=100, required=True, metadata={"description": "Who and what would serve it"})
    dropped = List(Id(), max=100, required=True, metadata={"description": _DROPPED})
    after = List(Id(), max=1000, required=True, metadata={"description": _AFTER})


class RepairMovedSchema(StruckVisitSchema):
    """It would move."""

    from_ = Instant(data_key="from", required=True)
    to = Instant(required=True)
    why = Choice("nobody_stands_in", "same_person", "keeps_the_gaps", required=True)
    resource_ids = List(Id(), max=100, required=True)
    dropped = List(Id(), max=100, required=True, metadata={"description": _DROPPED})
    after = List(Id(), max=1000, required=True, metadata={"description": _AFTER})


class RepairBrokenSchema(StruckVisitSchema):
    """There is no way: somebody has to see to it."""

    start = Instant(required=True)
    code = Choice("no_place", "same_person", "under_way", "group", required=True)
    detail = Text(500, required=True)


class RepairDiffSchema(Schema):
    """Each visit once."""

    kept = List(Nested(RepairKeptSchema), max=10_000, required=True)
    moved = List(Nested(RepairMovedSchema), max=10_000, required=True)
    broken = List(Nested(RepairBrokenSchema), max=10_000, required=True)


class RepairSchema(Schema):
    """The joint repair of everything that is touched. Nothing but the offer itself has been written."""

    token = Id(required=True)
    resource_id = Id(required=True)
    from_ = Instant(data_key="from", required=True)
    to = Instant(required=True)
    expires_at = Instant(required=True)
    diff = Nested(RepairDiffSchema, required=True)
    revision = Mark()


class RepairAcceptanceSchema(Schema):
    """Which visits of the repair are accepted: by session, by appointment, or all for which there is a way."""

    session_ids = List(Id(), max=1000, load_default=list)
    appointment_ids = List(Id(), max=1000, load_default=list)
    all = Flag(load_default=False)


class RepairAcceptedSchema(Schema):
    """What was carried out, and what is left of the repair."""

    absence_id = Id(required=True)
    accepted = Nested(RepairDiffSchema, required=True)
    open = Nested(RepairDiffSchema, required=True)


class LargeDisruptionSchema(DisruptionSchema):
    """A disruption whose repair a worker makes.

    The same `seed` and `rounds` find the same, as long as the time lasts.
    """

    seconds = Whole(min=1, max=600, load_default=30)
    rounds = Whole(min=0, max=100_000, load_default=1000)
    seed = Whole(min=0, load_default=0)


_AGREE = (Agree(disruptions.expect_ahead, ("from", "to")),)


@blp.post("/disruptions")
@endpoint(
    scope="scheduling:write", takes=DisruptionSchema, gives=RepairSchema, refuses=(NotFound, Invalid), agree=_AGREE
)
def disrupt(session: Session, call: Call, body: dict[str, Any]) -> Any:
    """Repair every visit of every course that this touches, together: same time first, then the least movement.

    A group is served by others at its time, all of it, or each of its visits is `broken`. Nothing is changed before the
    repair is accepted. A week of somebody whom most visits need takes the request
    some seconds: `/v1/disruptions/jobs` answers at once.
    """
    return _repair(disruptions.offer(session, call, body["resource_id"], body["from_"], body["to"], body["reason"]))


@blp.post("/disruptions/jobs")
@endpoint(
    scope="scheduling:write",
    takes=LargeDisruptionSchema,
    gives=JobSchema,
    status=202,
    refuses=(NotFound, Invalid),
    agree=_AGREE,
)
def disrupt_later(session: Session, call: Call, body: dict[str, Any]) -> Any:
    """The same as a job, which goes on looking for a repair that loses and moves fewer visits.

    Its result has the token of the repair, what it comes to, and beside that what repairing one course after the other
    would have come to, and each course `alone`, as if no other were struck.
    """
    what = [body.pop(name) for name in ("resource_id", "from_", "to", "reason")]
    asked = document(disruption_jobs.ask(session, call, *what, **body))
    return Answer(asked, headers={"Location": f"/v1/jobs/{asked['id']}"})


@blp.get("/disruptions/<uuid:token>")
@endpoint(scope="scheduling:read", gives=RepairSchema, refuses=(NotFound,))
def get_disruption(session: Session, call: Call, *, token: UUID) -> Any:
    """What is still open of a repair."""
    return _repair(disruptions.get(session, call, token))


@blp.post("/disruptions/<uuid:token>/accept")
@endpoint(
    scope="scheduling:write",
    takes=RepairAcceptanceSchema,
    gives=RepairAcceptedSchema,
    if_match="optional",
    refuses=(NotFound, Invalid, PlanStale),
)
def accept_disruption(
    session: Session, call: Call, body: dict[str, Any], *, token: UUID, revision: Revision | None
) -> Any:
    """Carry out the repair, or a part of it, whole or not at all; the absence is written down with the first part.

    The moves of one course are accepted together, and so are the visits of one group. What stays open becomes a task
    of the staff, visit by visit.
    """
    if not (body["session_ids"] or body["appointment_ids"] or body["all"]):
        raise Invalid([Fault("/all", "nothing_chosen", "Say which visits are accepted, or all.")])
    everything = body.pop("all")
    done = disruptions.accept(session, call, token, everything=everything, revision=revision, **body)
    return {"absence_id": done.absence_id, "accepted": _diff(done.done), "open": _diff(done.open)}


@blp.errorhandler(PlanStale)  # type: ignore[untyped-decorator] # flask-smorest ships no types
def answer_stale_repair(refusal: PlanStale) -> Response:
    """The refusal of a repair that no longer fits, with a fresh one."""
    session, token = db.session(), UUID(str((request.view_args or {})["token"]))

    def repair_anew(session: Session, call: Call) -> dict[str, Any]:
        return dict(instance(RepairSchema).as_values(_repair(disruptions.anew(session, call, token))))

    rehearsed = request.args.get("dry_run") == "true"
    fresh = transact(session, g.call, repair_anew, dry_run=rehearsed)
    return problem(status_of(PlanStale), refusal.code, refusal.detail, repair=fresh)


def _repair(offer: Offer) -> dict[str, Any]:
    return {
        "token": offer.token,
        "revision": offer.revision,
        "resource_id": offer.resource_id,
        "from_": offer.span.start,
        "to": offer.span.end,
        "expires_at": offer.expires_at,
        "diff": _diff([line for line in offer.lines if not line.done]),
    }


def _diff(lines: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"kept": [], "moved": [], "broken": []}
    for line in lines:
        found[line.outcome].append(_line(line))
    return found


def _line(line: Line) -> dict[str, Any]:
    def there(instant: datetime | None) -> datetime | None:
        return None if instant is None else instant.astimezone(zone(line.time_zone))

    return {
        "appointment_id": line.appointment_id,
        "session_id": line.session_id,
        "course_id": line.course_id,
        "group_id": line.group_id,
        "patient_id": line.patient_id,
        "location_id": line.location_id,
        "visit_type": line.visit_type,
        "time_zone": line.time_zone,
        "start": there(line.start),
        "from_": there(line.start),
        "to": there(line.to),
        "why": line.code,
        "code": line.code,
        "detail": line.detail,
        "resource_ids": list(line.people),
        "dropped": list(line.dropped),
        "after": list(line.after),
    }
