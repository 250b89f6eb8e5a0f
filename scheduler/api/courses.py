"""Courses of treatment over HTTP: made from a protocol, planned, booked whole."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

from flask import current_app

from scheduler.api.course_documents import CourseSchema, course_document
from scheduler.api.course_preferences import PreferencesSchema
from scheduler.api.fields import (
    Choice,
    Day,
    Dict,
    Flag,
    Id,
    Instant,
    List,
    Nested,
    Text,
    Whole,
)
from scheduler.api.http import Agree, Blueprint, Page, PageQuery, Schema, Session, endpoint
from scheduler.api.offers import JOINED, OpenGroupSchema
from scheduler.api.schema import instance
from scheduler.api.visits import ParticipantSchema, participants_in
from scheduler.core.call import Call
from scheduler.core.civil import zone
from scheduler.core.errors import (
    IllegalTransition,
    Invalid,
    NoFeasiblePlan,
    NotFound,
    ProtocolNotApproved,
    Refused,
)
from scheduler.services import course_wishes, courses, gates, lookahead, planning, plans
from scheduler.services.course_wishes import WantedCourse
from scheduler.services.plans import OfferedPlan
from scheduler.services.records import Revision

blp = Blueprint("courses", __name__, url_prefix="/v1", description="Courses of treatment")


class NewCourseSchema(Schema):
    """A course that is wanted: the active version of the protocol is taken."""

    patient_id = Id(required=True)
    protocol = Text(60, required=True, metadata={"description": "The protocol's code"})
    location_id = Id(required=True)
    start_after = Day(required=True, metadata={"description": "The first local day on which it may begin"})
    cadence = Text(60, load_default=None, allow_none=True)
    preferences = Nested(PreferencesSchema, load_default=dict)
    note = Text(2000, min=0, lines=True, load_default="")


class CoursesQuery(PageQuery):
    """Filters of the list."""

    patient_id = Id(load_default=None)
    location_id = Id(load_default=None)
    protocol = Text(60, load_default=None, metadata={"description": "The protocol's code, any version"})
    status = Choice("draft", "active", "on-hold", "revoked", "completed", load_default=None)


_DIFFER = (
    "At most so many plans, any two of which truly differ: at least a third of the sessions are on another day or an "
    "hour or more away, or they begin or end at least three days apart, or have other people of continuity"
)


class PlanningSchema(Schema):
    """How many plans are wanted, and how far: to the next gate that has not been passed, or for all sessions.

    A plan to the next gate looks no further unless asked to (`look_ahead`): in a full calendar, what follows it may
    find no place. One for all books up to the gate, and keeps the place of the rest in pencil.
    """

    alternatives = Whole(min=1, max=5, load_default=1, metadata={"description": _DIFFER})
    through = Choice("next_gate", "all", load_default="next_gate")
    proven = Flag(load_default=True, metadata={"description": "False: a good plan in a moment, `optimal` when it is"})
    look_ahead = Flag(load_default=False, metadata={"description": "Say of each plan to a gate whether it `continues`"})


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
    group = Nested(OpenGroupSchema, allow_none=True, metadata=JOINED)


class PlanSchema(Schema):
    """A plan; the lower the score, the better. `score_parts` add up to it; `optimal`: no plan has a lower one."""

    token = Text(200, required=True)
    score = Whole(required=True)
    score_parts = Dict(keys=Text(60), values=Whole(), required=True)
    optimal = Flag(required=True)
    continues = Flag(
        required=True,
        allow_none=True,
        metadata={"description": "Whether what follows the gate has a place, as things are now; null: not looked for"},
    )
    on_hold = Text(
        300,
        required=True,
        allow_none=True,
        metadata={"description": "Why it can't be booked yet: a clinical hold of the patient; null when none stops it"},
    )
    starts_on = Day(required=True)
    completes_on = Day(required=True)
    sessions = List(Nested(PlannedSessionSchema), max=1000, required=True)


class PlansSchema(Schema):
    """Plans, the best first."""

    plans = List(Nested(PlanSchema), max=5, required=True)


class GateDecisionSchema(Schema):
    """What was decided at a gate, and by whom."""

    outcome = Choice("passed", "failed", "waived", required=True)
    by = Text(200, required=True)
    note = Text(2000, min=0, lines=True, load_default="")


def _choose(session: Session, call: Call, protocol: str, cadence: str | None, preferences: dict[str, Any]) -> None:
    course_wishes.chosen(session, call, protocol, cadence, instance(PreferencesSchema).as_values(preferences))


@blp.post("/courses")
@endpoint(
    scope="courses:write",
    takes=NewCourseSchema,
    gives=CourseSchema,
    status=201,
    refuses=(NotFound, Invalid, ProtocolNotApproved),
    agree=(
        Agree(course_wishes.check_cadence, ("protocol", "cadence"), asks=True),
        Agree(_choose, ("protocol", "cadence", "preferences"), asks=True),
    ),
)
def create_course(session: Session, call: Call, body: dict[str, Any]) -> Any:
    """Lay out a course; nothing is booked yet."""
    body["preferences"] = instance(PreferencesSchema).as_values(body["preferences"])
    return course_document(courses.create(session, call, WantedCourse(**body)))


@blp.get("/courses")
@endpoint(scope="courses:read", query=CoursesQuery, gives=CourseSchema, many=True)
def list_courses(session: Session, call: Call, query: dict[str, Any]) -> Any:
    """Courses, oldest first."""
    found = courses.listed(session, call, **query)
    return Page([course_document(view) for view in found.items], found.next_cursor)


@blp.get("/courses/<uuid:course_id>")
@endpoint(scope="courses:read", gives=CourseSchema, refuses=(NotFound,))
def get_course(session: Session, call: Call, *, course_id: UUID) -> Any:
    """One course with its sessions and gates."""
    return course_document(courses.shown(session, call, course_id))


@blp.post("/courses/<uuid:course_id>/plans")
@endpoint(
    scope="courses:read",
    takes=PlanningSchema,
    gives=PlansSchema,
    if_match="optional",
    refuses=(NotFound, Invalid, IllegalTransition, Refused, NoFeasiblePlan),
)
def plan_course(
    session: Session, call: Call, body: dict[str, Any], *, course_id: UUID, revision: Revision | None
) -> Any:
    """The best plans for what is not booked yet, against the real calendar; occupies nothing.

    Visits start on the quarters of the hour; where no plan does, on any five minutes. What is told to be in the way is
    in the way of all these starts.
    """
    courses.expect(session, call, course_id, revision)
    offered = offer_plans(
        session,
        call,
        course_id,
        body["alternatives"],
        body["through"],
        proven=body["proven"],
        look_ahead=body["look_ahead"],
    )
    return {"plans": [plan_document(plan) for plan in offered]}


@blp.put("/courses/<uuid:course_id>/gates/<string:key>")
@endpoint(
    scope="gates:decide",
    takes=GateDecisionSchema,
    gives=CourseSchema,
    if_match="optional",
    refuses=(NotFound, IllegalTransition),
)
def decide_gate(
    session: Session, call: Call, body: dict[str, Any], *, course_id: UUID, key: str, revision: Revision | None
) -> Any:
    """Record a clinician's judgment at a gate; what lies behind it may then be planned and confirmed."""
    return course_document(gates.decide(session, call, course_id, key, revision=revision, **body))


def offer_plans(
    session: Session,
    call: Call,
    course_id: UUID,
    count: int,
    through: str,
    *,
    proven: bool = True,
    look_ahead: bool = False,
) -> list[OfferedPlan]:
    """Make plans and keep them under their tokens."""
    desk, found = planning.make_plans(session, call, course_id, count=count, through=through, proven=proven)
    minutes = current_app.extensions["settings"].plan_minutes
    offered = plans.keep(session, call, desk, found, minutes, through=through)
    if not look_ahead:
        return offered
    ahead = lookahead.continues(session, call, desk, found)
    return [replace(each, continues=it) for each, it in zip(offered, ahead, strict=True)]


def plan_document(offered: OfferedPlan) -> dict[str, Any]:
    """A plan as clients see it."""
    sessions = offered.plan.sessions
    where = zone(offered.desk.loaded.site.time_zone)
    return {
        "token": offered.token,
        "score": offered.plan.plan.cost,
        "score_parts": dict(offered.plan.plan.parts),
        "optimal": offered.plan.plan.optimal,
        "continues": offered.continues,
        "on_hold": offered.on_hold,
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
                "participants": participants_in(plans.participations(offered.desk, each), where),
                "group": each.group,
            }
            for each in sessions
        ],
    }
