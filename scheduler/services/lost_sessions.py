"""Courses of which a visit was lost while later ones stand: somebody's task until the course is planned anew.

A plan around the loss is `replanning`'s. Nobody moves or cancels a visit here.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, and_, bindparam, or_, select
from sqlalchemy.orm import Session, aliased

from scheduler.core.call import Call
from scheduler.core.civil import to_local
from scheduler.core.lifecycle import GONE, LIVE, NOT_DOSED, OPEN
from scheduler.core.standing import wanted
from scheduler.models import Appointment, Course, CourseSession, ProtocolRow, Task
from scheduler.models.among import among
from scheduler.services import course_rules, courses, tasks
from scheduler.services.catalog import parsed, visit_kinds
from scheduler.services.locks import lock_courses

KIND: Final = "course_lost_visit"
#: The task becomes more urgent so long before the next visit of the course.
_STEPS = (timedelta(days=3), timedelta(days=1))
_WHOLE = "The session has a visit again, or nothing of the course lies behind it."
_TOO_LATE = "It can have no visit any more: the course has gone on without it."
#: So many courses are seen to in one transaction.
_AT_ONCE = 50
#: Which of these losses somebody has a task about.
_KNOWN = select(Task.key).where(
    Task.organization_id == bindparam("organization"),
    Task.kind == KIND,
    among(Task.key, "keys"),
    Task.withdrawn.is_(False),
)


def chase(session: Session, call: Call) -> bool:
    """A chore: one task for each running course that has lost a visit before others; True when more may be left.

    It goes when the session has a visit again or can have none any more, or nothing of the course lies behind it. Who
    plans the course anew holds it: what is so is read again under its lock.
    """
    lost = _lost(session, call)
    names = _to_be_had(session, call, lost)
    left = [row for row in lost if _key(row) in names]
    found = {_key(row): row for row in _first(left)}
    late = [_key(row) for row in lost if _key(row) not in names]
    tasks.withdraw(session, call, _TOO_LATE, Task.kind == KIND, Task.key.in_(late))
    tasks.withdraw(session, call, _WHOLE, Task.kind == KIND, Task.key.not_in([*names, *late]))
    asked = {"organization": call.organization_id, "keys": list(found)}
    known = set(session.scalars(_KNOWN, asked)) if found else set()
    new = sorted(row.course_id for key, row in found.items() if key not in known)
    if new:
        lock_courses(session, call, new[:_AT_ONCE])
        lost = _lost(session, call, new[:_AT_ONCE])
        names = _to_be_had(session, call, lost)
        for row in _first([row for row in lost if _key(row) in names]):
            _owe(session, call, row, names[_key(row)])
    return len(new) > _AT_ONCE


def _owe(session: Session, call: Call, row: Row[Any], name: str) -> None:
    following = to_local(row.following, row.time_zone)
    tasks.owe(
        session,
        call,
        kind=KIND,
        key=_key(row),
        title=f"Plan anew: {row.name}",
        detail=(
            f"{name.capitalize()} has no visit any more, and later visits of the course stand, the next one on "
            f"{following:%d %B %Y}. Plan the course anew, or cancel what cannot take place without it."
        ),
        due_at=row.following,
        steps=[row.following - before for before in _STEPS],
        patient_id=row.patient_id,
        appointment_id=row.next_id,  # who receives the patient for it sees the task
        course_id=row.course_id,
        location_id=row.location_id,
    )


def _key(row: Row[Any]) -> str:
    """One task for each loss: what somebody has seen to does not come back, another loss is another task."""
    return f"{row.course_id}:{row.visit_id}"


def _lost(session: Session, call: Call, course_ids: Collection[UUID] | None = None) -> Sequence[Row[Any]]:
    """Of each running course the sessions that have lost their visit, in order, the visit, and the next later one.

    `course_ids` are the courses that are asked about, all of them without. Only a course with a visit ahead can have
    lost one before it: such are found by the time of that visit, and what is gone by its course.
    """
    mine = call.organization_id
    gone, later, place = aliased(Appointment), aliased(Appointment), aliased(CourseSession)
    with_more = _with_more(call)

    def following(column: Any) -> Any:
        return (
            select(column)
            .join(place, and_(place.organization_id == mine, place.id == later.course_session_id))
            .where(
                later.organization_id == mine,
                later.course_id == Course.id,
                later.status.in_(sorted(OPEN)),
                later.starts_at > call.now,
                place.position > CourseSession.position,
            )
            .order_by(later.starts_at, later.id)
            .limit(1)
            .scalar_subquery()
        )

    chosen = (
        select(
            Course.id.label("course_id"),
            *(Course.patient_id, Course.location_id, ProtocolRow.name, CourseSession.position),
            *(gone.id.label("visit_id"), gone.time_zone),
            *(following(later.starts_at).label("following"), following(later.id).label("next_id")),
        )
        .join(with_more, with_more.c.course_id == Course.id)
        .join(gone, and_(gone.organization_id == mine, gone.course_id == Course.id))
        .join(CourseSession, and_(CourseSession.organization_id == mine, CourseSession.id == gone.course_session_id))
        .join(ProtocolRow, and_(ProtocolRow.organization_id == mine, ProtocolRow.id == Course.protocol_id))
        .where(
            Course.organization_id == mine,
            Course.status.in_(("active", "on-hold")),
            or_(gone.status.in_(sorted(GONE)), gone.outcome == NOT_DOSED),
            _standing(mine).is_(None),
            following(later.id).is_not(None),
        )
        .order_by(Course.id, CourseSession.position, gone.id.desc())
    )
    if course_ids is not None:
        chosen = chosen.where(Course.id.in_(course_ids))
    last: dict[tuple[UUID, int], Any] = {}
    for row in session.execute(chosen):
        last.setdefault((row.course_id, row.position), row)
    return list(last.values())


def _with_more(call: Call) -> Any:
    """The courses that have a visit ahead."""
    ahead = aliased(Appointment)
    return (
        select(ahead.course_id)
        .where(
            ahead.organization_id == call.organization_id,
            ahead.starts_at > call.now,
            ahead.status.in_(sorted(OPEN)),
            ahead.course_id.is_not(None),
        )
        .distinct()
        .subquery("with_more")
    )


def _standing(mine: UUID) -> Any:
    """The visit that the session has; not as EXISTS, which PostgreSQL may answer by reading every visit that stands."""
    alive = aliased(Appointment)
    return (
        select(alive.id)
        .where(
            alive.organization_id == mine,
            alive.course_id == Course.id,
            alive.course_session_id == CourseSession.id,
            alive.status.in_(sorted(LIVE)),
            alive.outcome.is_distinct_from(NOT_DOSED),
        )
        .limit(1)
        .scalar_subquery()
    )


def _to_be_had(session: Session, call: Call, lost: Sequence[Row[Any]]) -> dict[str, str]:
    """The names of those that a plan could still give a visit, by key: no talk before a dose that was given.

    In a constant number of statements.
    """
    ids = {row.course_id for row in lost}
    if not ids:
        return {}
    of_them = select(Course).where(Course.organization_id == call.organization_id, Course.id.in_(ids))
    kinds = visit_kinds(session, call)
    left: dict[tuple[UUID, int], str] = {}
    for view in courses.views(session, call, session.scalars(of_them).all(), judged=False):
        specs = course_rules.specs_of(parsed(view.protocol, kinds), view.row)
        left |= {(view.id, spec.index): spec.name for spec in wanted(specs, view.stands, call.now)}
    return {_key(row): left[place] for row in lost if (place := (row.course_id, row.position)) in left}


def _first(rows: Sequence[Row[Any]]) -> list[Row[Any]]:
    """The first of each course: one task at a time."""
    first: dict[UUID, Row[Any]] = {}
    for row in rows:
        first.setdefault(row.course_id, row)
    return list(first.values())
