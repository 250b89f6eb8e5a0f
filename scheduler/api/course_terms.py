"""What is one running course's own over HTTP: wishes, note and first day, cadence, and changes granted to it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from scheduler.api.course_documents import CourseSchema, OwnGapsSchema, course_document
from scheduler.api.course_preferences import ChangedPreferencesSchema
from scheduler.api.fields import Choice, Day, Dict, Nested, Text
from scheduler.api.http import Blueprint, Schema, Session, endpoint
from scheduler.api.schema import instance
from scheduler.core.call import Call
from scheduler.core.errors import IllegalTransition, InUse, Invalid, NotFound, Refused
from scheduler.services import course_terms, relaxations
from scheduler.services.records import Revision

blp = Blueprint("course_terms", __name__, url_prefix="/v1", description="Courses of treatment")


class CoursePatchSchema(Schema):
    """A change of a course. Of the preferences those named are changed, and null takes one away."""

    preferences = Nested(ChangedPreferencesSchema)
    note = Text(2000, min=0, lines=True)
    start_after = Day(metadata={"description": "The first local day on which it may begin, until something is booked"})


class CadenceSchema(Schema):
    """The gaps of some steps for this patient, in place of all that were set before; none: the protocol's."""

    cadence = Text(60, allow_none=True, metadata={"description": "Another of the protocol's; as it is when left out"})
    steps = Dict(keys=Text(60), values=Nested(OwnGapsSchema), load_default=dict)
    by = Text(200, required=True, metadata={"description": "The clinician in whose name it is set"})
    note = Text(2000, min=0, lines=True, load_default="")


class RelaxationSchema(Schema):
    """A change that an explanation offered as `grantable`, and who grants it to the course."""

    change = Text(2000, required=True, metadata={"description": "The words of the relaxation's `change`, as they are"})
    through = Choice(
        "next_gate", "all", load_default="next_gate", metadata={"description": "As the plan was asked for"}
    )
    by = Text(200, required=True)
    reason = Text(500, required=True)


@blp.patch("/courses/<uuid:course_id>")
@endpoint(
    scope="courses:write",
    takes=CoursePatchSchema,
    gives=CourseSchema,
    if_match=True,
    refuses=(NotFound, Invalid, IllegalTransition),
)
def patch_course(session: Session, call: Call, body: dict[str, Any], *, course_id: UUID, revision: Revision) -> Any:
    """Change what the patient wants of a running course; nothing booked is changed, and `unfit` names what to move."""
    if "preferences" in body:
        body["preferences"] = instance(ChangedPreferencesSchema).as_values(body["preferences"])
    return course_document(course_terms.change(session, call, course_id, revision, body))


@blp.put("/courses/<uuid:course_id>/cadence")
@endpoint(
    scope="courses:write",
    takes=CadenceSchema,
    gives=CourseSchema,
    if_match="optional",
    refuses=(NotFound, Invalid, IllegalTransition),
)
def set_cadence(
    session: Session, call: Call, body: dict[str, Any], *, course_id: UUID, revision: Revision | None
) -> Any:
    """Set a cadence of one patient's own, within the protocol's bounds; what stands outside it is then `broken`."""
    return course_document(course_terms.set_cadence(session, call, course_id, revision=revision, **body))


@blp.post("/courses/<uuid:course_id>/relaxations")
@endpoint(
    scope="courses:write",
    takes=RelaxationSchema,
    gives=CourseSchema,
    if_match="optional",
    refuses=(NotFound, Invalid, IllegalTransition, Refused),
)
def grant_relaxation(
    session: Session, call: Call, body: dict[str, Any], *, course_id: UUID, revision: Revision | None
) -> Any:
    """Grant a change to the course alone, so that the plan it promised can be made.

    What the patient grants is written down with the scope of this route; all else needs `override` too.
    """
    return course_document(relaxations.grant(session, call, course_id, revision=revision, **body))


@blp.delete("/courses/<uuid:course_id>/relaxations/<uuid:relaxation_id>")
@endpoint(scope="courses:write", status=204, refuses=(NotFound, InUse), if_match=True)
def withdraw_relaxation(
    session: Session, call: Call, *, course_id: UUID, relaxation_id: UUID, revision: Revision
) -> None:
    """Take such a change back, unless a visit ahead stands only by it."""
    relaxations.withdraw(session, call, course_id, relaxation_id, revision)
