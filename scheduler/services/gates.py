"""Gates of a course: a named person's judgment after a session, kept and audited; a task for as long as it is owed.

`planning` sees what a gate opens. Safety gates of single visits are `session_gates`'.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import and_, func, select
from sqlalchemy.orm import Session, aliased
from sqlalchemy.orm.attributes import flag_modified

from scheduler.core.call import Call
from scheduler.core.civil import day_bounds, to_local
from scheduler.core.errors import IllegalTransition, NotFound
from scheduler.core.lifecycle import ENDED, NOT_DOSED
from scheduler.models import Appointment, Course, CourseSession, Task
from scheduler.models import Gate as GateRow
from scheduler.services import audit, consequences, course_rules, courses, impact, tasks
from scheduler.services.catalog import protocol_of
from scheduler.services.courses import CourseView
from scheduler.services.records import Revision

KIND: Final = "course_gate"
#: Where the protocol sets no deadline, and no visit of the course lies ahead, a gate is decided within so many days.
WITHIN = timedelta(days=7)
#: The task becomes more urgent so long before it is due.
_STEPS = (timedelta(days=3), timedelta(days=1))
#: So many courses are seen to in one transaction.
_AT_ONCE = 50


def decide(
    session: Session,
    call: Call,
    course_id: UUID,
    key: str,
    *,
    outcome: str,
    by: str,
    note: str = "",
    revision: Revision | None = None,
) -> CourseView:
    """Record a gate's outcome (`passed`, `failed` or `waived`).

    Raises NotFound, StaleRevision, IllegalTransition for an ended course.
    Appointments stay as they are: what was pencilled is confirmed by booking the plan for it, and each visit that was
    booked before the gate failed is a task until it is moved or cancelled or the gate is passed after all.
    """
    course = courses.locked(session, call, course_id, revision)
    gate = session.get(GateRow, (call.organization_id, course_id, key))
    if gate is None:
        detail = f"The course has no gate '{key}'."
        raise NotFound(detail)
    if course.status in ENDED:
        detail = f"The course is {course.status}; its gates are closed for good."
        raise IllegalTransition(detail)
    before = {"outcome": gate.outcome, "by": gate.by}
    gate.outcome, gate.by, gate.note, gate.decided_at = outcome, by, note, call.now
    _flag_behind(session, call, course, gate)
    flag_modified(course, "status")  # a change of its parts touches the course: its ETag moves
    tasks.close(session, call, kind=KIND, key=_task_key(course_id, key), by=by, note=note or None)
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


def _flag_behind(session: Session, call: Call, course: Course, gate: GateRow) -> None:
    """Whatever was booked behind a gate that has failed lacks its ground; once it is passed, it has it again."""
    cause = _task_key(course.id, gate.key)
    if gate.outcome != "failed":
        consequences.withdraw(session, call, cause)
        return
    _, protocol = protocol_of(session, call, course.protocol_id)
    specs = course_rules.specs_of(course_rules.chosen(protocol, course), course)
    behind = [spec.index for spec in specs if gate.key in spec.gates]
    affected = impact.of_sessions(session, call, course.id, behind)
    why = f"The gate '{gate.key.replace('_', ' ')}' before it has failed."
    consequences.owe(session, call, affected, cause=cause, why=why)


def dismiss(session: Session, call: Call, course_id: UUID) -> None:
    """The course has ended: nothing is left to decide about it."""
    tasks.withdraw(session, call, "ended", Task.kind == KIND, Task.course_id == course_id)


def not_reached(session: Session, call: Call, row: Appointment) -> None:
    """The visit is not over after all: nobody is asked about the gates behind it until it is."""
    if row.course_session_id is None or row.status == "fulfilled":
        return
    behind = (
        select(GateRow.key)
        .join(
            CourseSession,
            and_(
                CourseSession.organization_id == GateRow.organization_id,
                CourseSession.course_id == GateRow.course_id,
                CourseSession.position == GateRow.after_position,
            ),
        )
        .where(GateRow.organization_id == call.organization_id, CourseSession.id == row.course_session_id)
    )
    asked = Task.kind == KIND, Task.course_id == row.course_id, Task.item.in_(behind)
    tasks.withdraw(session, call, "undone", *asked)


def chase(session: Session, call: Call) -> bool:
    """A chore: each gate whose session is over and that nobody has decided is a task, once; True when more may be left.

    Who undoes the session, decides, or ends the course holds the course: what is so is read again under its lock.
    """
    seen = sorted({course.id for _, course, _ in _reached(session, call)})
    mine = seen[:_AT_ONCE]
    for course_id in mine:
        course_rules.lock(session, call, course_id)
    session.expire_all()
    for gate, course, after in _reached(session, call) if mine else ():
        if course.id not in mine:
            continue
        _, protocol = protocol_of(session, call, course.protocol_id)
        rule = next((each for each in protocol.gates if each.key == gate.key), None)
        days = rule.deadline_days if rule is not None else None
        due_at = _due(session, call, course.id, after, days)
        name = gate.key.replace("_", " ")
        held = "What follows it waits for that." if gate.kind == "hard" else "The course goes on meanwhile."
        tasks.owe(
            session,
            call,
            kind=KIND,
            key=_task_key(course.id, gate.key),
            title=f"Decide: {name}",
            detail=f"{rule.rule if rule is not None else ''} {held}".strip(),
            due_at=due_at,
            steps=[due_at - before for before in _STEPS],
            item=gate.key,
            patient_id=course.patient_id,
            course_id=course.id,
            location_id=course.location_id,
        )
    return len(seen) > len(mine)


def _task_key(course_id: UUID, key: str) -> str:
    return f"{course_id}:{key}"


def _reached(session: Session, call: Call) -> Sequence[Any]:
    """(gate, course, visit) for each undecided gate of a running course after a visit that is over, without a task."""
    visit, known = aliased(Appointment), aliased(Task)
    mine = call.organization_id
    chosen = (
        select(GateRow, Course, visit)
        .join(Course, and_(Course.organization_id == mine, Course.id == GateRow.course_id))
        .join(
            CourseSession,
            and_(
                CourseSession.organization_id == mine,
                CourseSession.course_id == GateRow.course_id,
                CourseSession.position == GateRow.after_position,
            ),
        )
        .join(
            visit,
            and_(
                visit.organization_id == mine,
                visit.course_id == GateRow.course_id,
                visit.course_session_id == CourseSession.id,
            ),
        )
        .outerjoin(
            known,
            and_(
                known.organization_id == mine,
                known.kind == KIND,
                known.course_id == GateRow.course_id,
                known.item == GateRow.key,
                known.withdrawn.is_(False),
            ),
        )
        .where(
            GateRow.organization_id == mine,
            GateRow.outcome == "pending",
            Course.status.in_(("active", "on-hold")),
            visit.status == "fulfilled",
            visit.outcome.is_distinct_from(NOT_DOSED),
            known.id.is_(None),
        )
    )
    return session.execute(chosen.order_by(GateRow.course_id, GateRow.key)).all()


def _due(session: Session, call: Call, course_id: UUID, after: Appointment, days: int | None) -> datetime:
    """By when it is to be decided: the end of the gate's last day, else the next visit, else a week on."""
    if days is not None:
        last = to_local(after.starts_at, after.time_zone).date() + timedelta(days=days)
        return day_bounds(last, after.time_zone)[1]
    following = select(func.min(Appointment.starts_at)).where(
        Appointment.organization_id == call.organization_id,
        Appointment.course_id == course_id,
        Appointment.status.in_(("pending", "booked")),
        Appointment.starts_at > call.now,
    )
    soonest: datetime | None = session.execute(following).scalar()
    return soonest or call.now + WITHIN
