"""A running course over HTTP: planned anew around what changed, held, resumed, discontinued."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import current_app

from scheduler.api.course_documents import BrokenSchema, CourseSchema, course_document
from scheduler.api.fields import Choice, Id, Instant, List, Nested, Text
from scheduler.api.http import Agree, Blueprint, Schema, Session, endpoint
from scheduler.api.offers import JOINED, OpenGroupSchema
from scheduler.core.call import Call
from scheduler.core.civil import zone
from scheduler.core.errors import IllegalTransition, Invalid, NoFeasiblePlan, NotFound, Refused
from scheduler.services import course_life, courses, replanning
from scheduler.services.course_changes import Change, check_starts
from scheduler.services.records import Revision
from scheduler.services.replanning import Replan

blp = Blueprint("replans", __name__, url_prefix="/v1", description="Changes of running courses")


class ChangeSchema(Schema):
    """What happens to one visit. Only a move may have a start; without one the planner finds it."""

    appointment_id = Id(required=True)
    action = Choice("cancel", "move", "noshow", "not_dosed", required=True)
    start = Instant(load_default=None, allow_none=True)


class ReplanningSchema(Schema):
    """The changes to be answered, the sessions that must stay, and who wants it."""

    changes = List(Nested(ChangeSchema), max=100, load_default=list)
    pinned = List(Id(), max=1000, load_default=list)
    by = Choice("patient", "staff", "clinic", load_default="staff")


class KeptSchema(Schema):
    """A session that stays where it is."""

    session_id = Id(required=True)
    start = Instant(required=True)


class MovedSchema(Schema):
    """A session that gets another time; `from` is null where it had none."""

    session_id = Id(required=True)
    from_ = Instant(data_key="from", attribute="was", required=True, allow_none=True)
    to = Instant(attribute="start", required=True)
    group = Nested(OpenGroupSchema, allow_none=True, metadata=JOINED)
    why = Text(200, required=True)
    dropped = List(
        Id(),
        max=100,
        required=True,
        metadata={"description": "Whom and what its visit was booked with by name, and would not have any more"},
    )


class DiffSchema(Schema):
    """What becomes of every session that has, or gets, a visit."""

    kept = List(Nested(KeptSchema), max=1000, required=True)
    moved = List(Nested(MovedSchema), max=1000, required=True)
    broken = List(Nested(BrokenSchema), max=1000, required=True)


class ReplanSchema(Schema):
    """A plan around the changes. `suggestions` are for a clinician to judge; none is carried out."""

    token = Text(200, required=True)
    time_zone = Text(64, required=True)
    diff = Nested(DiffSchema, required=True)
    suggestions = List(Nested(BrokenSchema), max=1000, required=True)


class HoldingSchema(Schema):
    """Why the doses are held back, or go on."""

    reason = Text(500, min=0, load_default="")


class DecisionSchema(Schema):
    """Who decided it, and what there is to say."""

    by = Text(200, required=True, metadata={"description": "The clinician in whose name it is done"})
    note = Text(2000, min=0, lines=True, load_default="")


class DiscontinuationSchema(Schema):
    """Why the course is given up."""

    reason = Text(500, required=True)


def _check_starts(call: Call, changes: list[dict[str, Any]]) -> None:
    check_starts(call, [Change(**change) for change in changes])


@blp.post("/courses/<uuid:course_id>/replans")
@endpoint(
    scope="courses:read",
    takes=ReplanningSchema,
    gives=ReplanSchema,
    agree=(Agree(_check_starts, ("changes",)),),
    if_match="optional",
    refuses=(NotFound, Invalid, IllegalTransition, Refused, NoFeasiblePlan),
)
def replan_course(
    session: Session, call: Call, body: dict[str, Any], *, course_id: UUID, revision: Revision | None
) -> Any:
    """Plan a running course anew around changes, moving as little as can be; book it with its token."""
    changes = [Change(**change) for change in body["changes"]]
    minutes = current_app.extensions["settings"].plan_minutes
    courses.expect(session, call, course_id, revision)
    found = replanning.propose(session, call, course_id, changes, pinned=body["pinned"], by=body["by"], minutes=minutes)
    return replan_document(found)


@blp.post("/courses/<uuid:course_id>/hold")
@endpoint(
    scope="courses:write",
    takes=HoldingSchema,
    gives=CourseSchema,
    if_match="optional",
    refuses=(NotFound, IllegalTransition),
)
def hold_course(
    session: Session, call: Call, body: dict[str, Any], *, course_id: UUID, revision: Revision | None
) -> Any:
    """Hold the doses of a course back; talks stay as they are.

    A pause, which the same scope ends. What only a clinician may lift is a clinical hold of the patient.
    """
    return course_document(course_life.hold(session, call, course_id, reason=body["reason"], revision=revision))


@blp.post("/courses/<uuid:course_id>/resume")
@endpoint(
    scope="courses:write",
    takes=HoldingSchema,
    gives=CourseSchema,
    if_match="optional",
    refuses=(NotFound, IllegalTransition),
)
def resume_course(
    session: Session, call: Call, body: dict[str, Any], *, course_id: UUID, revision: Revision | None
) -> Any:
    """Let the doses of a held course go on.

    It ends the pause and nothing else: gates that are not passed and clinical holds of the patient go on holding back.
    """
    return course_document(course_life.resume(session, call, course_id, note=body["reason"], revision=revision))


@blp.post("/courses/<uuid:course_id>/discontinue")
@endpoint(
    scope="courses:write",
    takes=DiscontinuationSchema,
    gives=CourseSchema,
    if_match="optional",
    refuses=(NotFound, IllegalTransition),
)
def discontinue_course(
    session: Session, call: Call, body: dict[str, Any], *, course_id: UUID, revision: Revision | None
) -> Any:
    """Give a course up: its visits ahead are cancelled, and the patient is told once."""
    return course_document(course_life.discontinue(session, call, course_id, reason=body["reason"], revision=revision))


@blp.post("/courses/<uuid:course_id>/complete")
@endpoint(
    scope="courses:write",
    takes=DecisionSchema,
    gives=CourseSchema,
    if_match="optional",
    refuses=(NotFound, IllegalTransition),
)
def complete_course(
    session: Session, call: Call, body: dict[str, Any], *, course_id: UUID, revision: Revision | None
) -> Any:
    """End a course whose visits are over; sessions that were never booked are not wanted any more."""
    return course_document(course_life.complete(session, call, course_id, revision=revision, **body))


@blp.post("/courses/<uuid:course_id>/extend")
@endpoint(
    scope="courses:write",
    takes=DecisionSchema,
    gives=CourseSchema,
    if_match="optional",
    refuses=(NotFound, IllegalTransition, Refused),
)
def extend_course(
    session: Session, call: Call, body: dict[str, Any], *, course_id: UUID, revision: Revision | None
) -> Any:
    """Authorize one more block of the protocol's open-ended step; it is planned and booked like the others."""
    return course_document(course_life.extend(session, call, course_id, revision=revision, **body))


def replan_document(found: Replan) -> dict[str, Any]:
    """A new plan of a running course as clients see it, in the location's time."""
    name = found.desk.loaded.site.time_zone
    where, ids = zone(name), found.desk.course.sessions
    return {
        "token": found.token,
        "time_zone": name,
        "diff": {
            "kept": [{"session_id": key, "start": start.astimezone(where)} for key, start in found.kept.items()],
            "moved": [
                {
                    "session_id": each.session_id,
                    "was": each.was.astimezone(where) if each.was else None,
                    "start": each.start.astimezone(where),
                    "group": each.group,
                    "why": each.why,
                    "dropped": list(each.dropped),
                }
                for each in found.moved
            ],
            "broken": [
                {"session_id": ids[each.index].id, "code": each.code, "detail": each.detail} for each in found.broken
            ],
        },
        "suggestions": [
            {"session_id": ids[each.index].id, "code": each.code, "detail": each.detail} for each in found.suggestions
        ],
    }
