"""Courses of treatment over HTTP: made from a protocol, planned, booked whole."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Response, current_app, request

from scheduler.api.appointments import AppointmentSchema
from scheduler.api.auth import identify
from scheduler.api.errors import problem, status_of
from scheduler.api.fields import (
    Choice,
    Day,
    Dict,
    Id,
    Instant,
    List,
    Nested,
    Text,
    TimeOfDay,
    Weekday,
    Whole,
)
from scheduler.api.http import Blueprint, Page, PageQuery, Schema, Session, endpoint
from scheduler.api.visits import ParticipantSchema, appointment_document, participants_in
from scheduler.core.call import Call
from scheduler.core.civil import zone
from scheduler.core.errors import (
    IllegalTransition,
    Invalid,
    NoFeasiblePlan,
    NotFound,
    PlanStale,
    ProtocolNotApproved,
    Refused,
)
from scheduler.database import db, transact
from scheduler.services import courses, gates, planning, plans
from scheduler.services.courses import CourseView, WantedCourse
from scheduler.services.plans import OfferedPlan

blp = Blueprint("courses", __name__, url_prefix="/v1", description="Courses of treatment")


class BlackoutSchema(Schema):
    """Local dates, both included, on which the patient does not come."""

    from_ = Day(data_key="from", required=True)
    to = Day(required=True)


class PreferencesSchema(Schema):
    """What the patient's course must respect. Times of day bound the starts of visits, in the location's wall time."""

    weekdays = List(Weekday(), max=7, min=1)
    earliest = TimeOfDay()
    latest = TimeOfDay()
    practitioner_ids = List(Id(), max=20)
    blackouts = List(Nested(BlackoutSchema), max=50)
    continuity = Choice("required", "preferred", "none")
    optional_steps = List(Text(60), max=20, metadata={"description": "Keys of the optional steps that the course has"})


class NewCourseSchema(Schema):
    """A course that is wanted: the active version of the protocol is taken."""

    patient_id = Id(required=True)
    protocol = Text(60, required=True, metadata={"description": "The protocol's code"})
    location_id = Id(required=True)
    start_after = Day(required=True, metadata={"description": "The first local day on which it may begin"})
    cadence = Text(60, load_default=None, allow_none=True)
    preferences = Nested(PreferencesSchema, load_default=dict)


class DatesSchema(Schema):
    """Local dates between which a session may fall; `latest` is null when nothing limits it."""

    earliest = Day(required=True)
    target = Day(required=True)
    latest = Day(required=True, allow_none=True)


class CourseSessionSchema(Schema):
    """One planned step of a course."""

    id = Id(required=True)
    phase = Text(60, required=True)
    step = Text(60, required=True)
    sequence = Whole(required=True)
    visit_type = Text(60, required=True)
    status = Choice("planned", "pencilled", "booked", "done", required=True)
    window = Nested(DatesSchema, required=True)
    appointment_id = Id(required=True, allow_none=True)


class GateSchema(Schema):
    """A condition between sessions."""

    key = Text(60, required=True)
    kind = Choice("hard", "soft", required=True)
    after_session_id = Id(required=True)
    outcome = Choice("pending", "passed", "failed", "waived", required=True)
    by = Text(200, allow_none=True)
    note = Text(2000, min=0)


class CourseSchema(Schema):
    """A patient's course. `status` is FHIR's CarePlan status."""

    id = Id(required=True)
    status = Choice("draft", "active", "on-hold", "revoked", "completed", required=True)
    patient_id = Id(required=True)
    location_id = Id(required=True)
    protocol = Text(60, required=True)
    protocol_version = Whole(required=True)
    cadence = Text(60, allow_none=True)
    start_after = Day(required=True)
    preferences = Dict(keys=Text(60), required=True)
    sessions = List(Nested(CourseSessionSchema), max=1000, required=True)
    gates = List(Nested(GateSchema), max=100, required=True)
    created_at = Instant(required=True)


class CoursesQuery(PageQuery):
    """Filters of the list."""

    patient_id = Id(load_default=None)
    status = Choice("draft", "active", "on-hold", "revoked", "completed", load_default=None)


class PlanningSchema(Schema):
    """How many plans are wanted, and how far: to the next gate that has not been passed, or for all sessions."""

    alternatives = Whole(min=1, max=5, load_default=1)
    through = Choice("next_gate", "all", load_default="next_gate")


class PlannedSessionSchema(Schema):
    """One session of a plan."""

    session_id = Id(required=True)
    step = Text(60, required=True)
    sequence = Whole(required=True)
    visit_type = Text(60, required=True)
    start = Instant(required=True)
    end = Instant(required=True)
    time_zone = Text(64, required=True)
    participants = List(Nested(ParticipantSchema), max=1000, required=True)


class PlanSchema(Schema):
    """A plan; the lower the score, the better. `score_parts` add up to it."""

    token = Text(200, required=True)
    score = Whole(required=True)
    score_parts = Dict(keys=Text(60), values=Whole(), required=True)
    starts_on = Day(required=True)
    completes_on = Day(required=True)
    sessions = List(Nested(PlannedSessionSchema), max=1000, required=True)


class PlansSchema(Schema):
    """Plans, the best first."""

    plans = List(Nested(PlanSchema), max=5, required=True)


class CourseBookingSchema(Schema):
    """The plan to be booked."""

    plan_token = Text(200, required=True)


class CourseBookingsSchema(Schema):
    """Every appointment of the plan, by start."""

    appointments = List(Nested(AppointmentSchema), max=1000, required=True)


class GateDecisionSchema(Schema):
    """What was decided at a gate, and by whom."""

    outcome = Choice("passed", "failed", "waived", required=True)
    by = Text(200, required=True)
    note = Text(2000, min=0, lines=True, load_default="")


@blp.post("/courses")
@endpoint(
    scope="courses:write",
    takes=NewCourseSchema,
    gives=CourseSchema,
    status=201,
    refuses=(NotFound, Invalid, ProtocolNotApproved),
)
def create_course(session: Session, call: Call, body: dict[str, Any]) -> Any:
    """Lay out a course; nothing is booked yet."""
    body["preferences"] = PreferencesSchema().dump(body["preferences"])
    return _document(courses.create(session, call, WantedCourse(**body)))


@blp.get("/courses")
@endpoint(scope="courses:read", query=CoursesQuery, gives=CourseSchema, many=True)
def list_courses(session: Session, call: Call, query: dict[str, Any]) -> Any:
    """Courses, oldest first."""
    found = courses.listed(session, call, **query)
    return Page([_document(view) for view in found.items], found.next_cursor)


@blp.get("/courses/<uuid:course_id>")
@endpoint(scope="courses:read", gives=CourseSchema, refuses=(NotFound,))
def get_course(session: Session, call: Call, *, course_id: UUID) -> Any:
    """One course with its sessions and gates."""
    return _document(courses.get(session, call, course_id))


@blp.post("/courses/<uuid:course_id>/plans")
@endpoint(scope="courses:read", takes=PlanningSchema, gives=PlansSchema, refuses=(NotFound, Invalid, NoFeasiblePlan))
def plan_course(session: Session, call: Call, body: dict[str, Any], *, course_id: UUID) -> Any:
    """The best plans for what is not booked yet, against the real calendar; occupies nothing."""
    offered = _offered(session, call, course_id, body["alternatives"], body["through"])
    return {"plans": [_plan(plan) for plan in offered]}


@blp.post("/courses/<uuid:course_id>/bookings")
@endpoint(
    scope="courses:write",
    takes=CourseBookingSchema,
    gives=CourseBookingsSchema,
    status=201,
    refuses=(NotFound, Invalid, Refused, PlanStale),
)
def book_course(session: Session, call: Call, body: dict[str, Any], *, course_id: UUID) -> Any:
    """Book every session of a plan, or none; sessions behind a gate are pencilled."""
    booked = plans.book(session, call, course_id, body["plan_token"])
    return {"appointments": [appointment_document(view) for view in booked]}


@blp.put("/courses/<uuid:course_id>/gates/<string:key>")
@endpoint(
    scope="courses:write",
    takes=GateDecisionSchema,
    gives=CourseSchema,
    refuses=(NotFound, IllegalTransition),
)
def decide_gate(session: Session, call: Call, body: dict[str, Any], *, course_id: UUID, key: str) -> Any:
    """Record a clinician's judgment at a gate; what lies behind it may then be planned and confirmed."""
    return _document(gates.decide(session, call, course_id, key, **body))


@blp.errorhandler(PlanStale)  # type: ignore[untyped-decorator] # flask-smorest ships no types
def answer_stale_plan(refusal: PlanStale) -> Response:
    """The refusal of a stale plan, with a fresh one that can be booked; null when there is none any more."""
    session = db.session()
    course_id = UUID(str((request.view_args or {})["course_id"]))

    def plan_anew(session: Session, call: Call) -> dict[str, Any] | None:
        try:
            offered = _offered(session, call, course_id, 1, "next_gate")
        except (NoFeasiblePlan, Invalid):
            return None
        return dict(PlanSchema().dump(_plan(offered[0])))

    rehearsed = request.args.get("dry_run") == "true"  # the booking was read before it was refused
    fresh = transact(session, identify(session), plan_anew, dry_run=rehearsed)
    return problem(status_of(PlanStale), refusal.code, refusal.detail, plan=fresh)


def _offered(session: Session, call: Call, course_id: UUID, count: int, through: str) -> list[OfferedPlan]:
    desk, found = planning.make_plans(session, call, course_id, count=count, through=through)
    return plans.keep(session, call, desk, found, current_app.extensions["settings"].plan_minutes)


def _document(view: CourseView) -> dict[str, Any]:
    row = view.row
    return {
        "id": row.id,
        "status": row.status,
        "patient_id": row.patient_id,
        "location_id": row.location_id,
        "protocol": view.protocol.code,
        "protocol_version": view.protocol.version,
        "cadence": row.cadence,
        "start_after": row.start_after,
        "preferences": row.preferences,
        "sessions": [
            {
                "id": each.id,
                "phase": each.phase,
                "step": each.step,
                "sequence": each.sequence,
                "visit_type": each.visit_type,
                "status": _status(view, each.id),
                "window": {"earliest": each.earliest, "target": each.target, "latest": each.latest},
                "appointment_id": view.booked[each.id].id if each.id in view.booked else None,
            }
            for each in view.sessions
        ],
        "gates": [
            {
                "key": each.key,
                "kind": each.kind,
                "after_session_id": view.sessions[each.after_position].id,
                "outcome": each.outcome,
                "by": each.by,
                "note": each.note,
            }
            for each in view.gates
        ],
        "created_at": row.created_at,
        "revision": row.revision,
    }


def _status(view: CourseView, session_id: UUID) -> str:
    if session_id not in view.booked:
        return "planned"
    return {"pending": "pencilled", "fulfilled": "done"}.get(view.booked[session_id].status, "booked")


def _plan(offered: OfferedPlan) -> dict[str, Any]:
    sessions = offered.plan.sessions
    where = zone(offered.desk.loaded.site.time_zone)
    return {
        "token": offered.token,
        "score": offered.plan.plan.cost,
        "score_parts": dict(offered.plan.plan.parts),
        "starts_on": sessions[0].start.astimezone(where).date(),
        "completes_on": sessions[-1].start.astimezone(where).date(),
        "sessions": [
            {
                "session_id": each.session_id,
                "step": each.spec.step,
                "sequence": each.spec.sequence,
                "visit_type": each.spec.visit_type,
                "start": each.start.astimezone(where),
                "end": each.end.astimezone(where),
                "time_zone": offered.desk.loaded.site.time_zone,
                "participants": participants_in(planning.participations(offered.desk, each), where),
            }
            for each in sessions
        ],
    }
