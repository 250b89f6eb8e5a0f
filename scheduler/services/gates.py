"""Gates of a course: a named person's judgment after a session, kept and audited. `planning` sees what it opens."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import flag_modified

from scheduler.core.call import Call
from scheduler.core.errors import IllegalTransition, NotFound
from scheduler.models import Gate
from scheduler.services import audit, courses
from scheduler.services.courses import CourseView


def decide(
    session: Session, call: Call, course_id: UUID, key: str, *, outcome: str, by: str, note: str = ""
) -> CourseView:
    """Record a gate's outcome (`passed`, `failed` or `waived`). Raises NotFound, IllegalTransition for an ended course.

    Appointments stay as they are: what was pencilled is confirmed by booking the plan for it.
    """
    course = courses.row_of(session, call, course_id, lock=True)
    gate = session.get(Gate, (call.organization_id, course_id, key))
    if gate is None:
        detail = f"The course has no gate '{key}'."
        raise NotFound(detail)
    if course.status in {"revoked", "completed"}:
        detail = f"The course is {course.status}; its gates are closed for good."
        raise IllegalTransition(detail)
    before = {"outcome": gate.outcome, "by": gate.by}
    gate.outcome, gate.by, gate.note, gate.decided_at = outcome, by, note, call.now
    flag_modified(course, "status")  # a change of its parts touches the course: its ETag moves
    audit.note(
        session,
        call,
        "gate.decide",
        "course",
        course_id,
        before=before,
        after={"gate": key, "outcome": outcome, "by": by},
        reason=note or None,
    )
    session.flush()
    return courses.get(session, call, course_id)
