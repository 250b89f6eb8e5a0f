"""A course's own moves: held back, going on, given up, extended, completed. Its visits follow in the transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from scheduler.core import lifecycle
from scheduler.core.call import Call
from scheduler.core.errors import IllegalTransition, LostRace
from scheduler.models import Appointment, Course, Task
from scheduler.services import audit, consequences, courses, gates, groups, held_visits, openings, outbox, tasks
from scheduler.services.booking import snapshot
from scheduler.services.catalog import protocol_of, visit_kinds
from scheduler.services.courses import CourseView
from scheduler.services.locks import bump_calendars, lock_locations, lock_resources
from scheduler.services.occupying import release, resources_of, served
from scheduler.services.records import Revision
from scheduler.services.repacking import REBOUND

#: The task to tell a patient of visits that their course's hold has stopped.
HELD: Final = "course_hold"

#: Action to (statuses of a course that it may start from, status that it ends in).
_MOVES = {
    "hold": (frozenset({"draft", "active"}), "on-hold"),
    "resume": (frozenset({"on-hold"}), "active"),
    "discontinue": (frozenset({"draft", "active", "on-hold"}), "revoked"),
    "complete": (frozenset({"active", "on-hold"}), "completed"),
}


def hold(
    session: Session, call: Call, course_id: UUID, *, reason: str = "", revision: Revision | None = None
) -> CourseView:
    """Freeze the doses: they keep their time, none is given, and a person tells the patient. Talks go on.

    Raises NotFound, StaleRevision, IllegalTransition.
    """
    course = _moved(session, call, course_id, "hold", reason, revision)
    stopped = _ahead(session, call, course, dosing=True)
    for visit in stopped:
        outbox.call_off(session, call, visit, why="on_hold")
    consequences.silenced(session, call, [visit.id for visit in stopped])
    known = [visit for visit in stopped if visit.status == "booked"]
    if known:
        tasks.owe(
            session,
            call,
            kind=HELD,
            key=f"{course.id}:{course.revision}",
            title="A course is on hold: tell the patient",
            detail=f"The course waits to be resumed or given up. {held_visits.to_tell(session, call, known)}",
            due_at=min(visit.starts_at for visit in known),
            steps=held_visits.urgent_at(known),
            patient_id=course.patient_id,
            course_id=course.id,
            location_id=course.location_id,
        )
    return courses.get(session, call, course.id)


def resume(
    session: Session, call: Call, course_id: UUID, *, note: str = "", revision: Revision | None = None
) -> CourseView:
    """Let the doses go on: what still lies ahead is reminded of again; what time has overtaken shows as broken.

    Raises NotFound, StaleRevision, IllegalTransition.
    """
    course = _moved(session, call, course_id, "resume", note, revision)
    for visit in _ahead(session, call, course, dosing=True):
        outbox.owe_again(session, call, visit, why="resumed")
    return courses.get(session, call, course.id)


def discontinue(
    session: Session, call: Call, course_id: UUID, *, reason: str, revision: Revision | None = None
) -> CourseView:
    """Give the course up: every visit that lies ahead is cancelled, and the patient is told once.

    Raises NotFound, StaleRevision, IllegalTransition, LostRace.
    """
    course = _moved(session, call, course_id, "discontinue", reason, revision)
    visits = _ahead(session, call, course)
    groups.lock_of(session, call, visits)
    freed = {visit.id: resources_of(session, call, visit.id) for visit in visits}
    everyone = set().union(*freed.values())
    lock_resources(session, call, everyone)
    if any(resources_of(session, call, key) != ids for key, ids in freed.items()):
        raise LostRace(REBOUND)
    known = [outbox.Changed.since(visit, snapshot(visit)) for visit in visits]
    for visit in visits:
        before = snapshot(visit) | {"served": served(session, call, visit.id)}
        visit.status = lifecycle.after("cancel", visit.status)
        visit.cancelled_by, visit.cancel_reason = "clinic", reason
        visit.sequence += 1
        groups.leave(session, call, visit)
        consequences.settled(session, call, visit.id, "The visit does not take place.")
        release(session, call, visit.id, everyone)
        openings.note(session, call, visit.location_id, visit.starts_at, visit.ends_at)
        session.flush()
        outbox.call_off(session, call, visit, why="cancelled")
        after = snapshot(visit)
        audit.note(
            session, call, "appointment.cancel", "appointment", visit.id, before=before, after=after, reason=reason
        )
    bump_calendars(session, call, everyone, locked=True)
    gates.dismiss(session, call, course.id)
    outbox.owe_for_course_change(session, call, known)
    return courses.get(session, call, course.id)


def complete(
    session: Session, call: Call, course_id: UUID, *, by: str, note: str = "", revision: Revision | None = None
) -> CourseView:
    """End a course that has come to its end; sessions that nobody booked are not wanted any more.

    Raises NotFound, StaleRevision, IllegalTransition, also while a visit of it is ahead or not closed.
    """
    course = _moved(session, call, course_id, "complete", note, revision, by=by)
    pending = sorted(lifecycle.LIVE - {"fulfilled"})
    open_visits = select(func.count()).where(
        Appointment.organization_id == call.organization_id,
        Appointment.course_id == course.id,
        Appointment.status.in_(pending),
    )
    number = session.scalars(open_visits).one()
    if number:
        detail = f"{number} visit{'s' * (number > 1)} of the course {'are' if number > 1 else 'is'} not over yet."
        raise IllegalTransition(detail)
    gates.dismiss(session, call, course.id)
    return courses.get(session, call, course.id)


def extend(
    session: Session, call: Call, course_id: UUID, *, by: str, note: str = "", revision: Revision | None = None
) -> CourseView:
    """Lay out one more block of the step that goes on for as long as a clinician authorizes it.

    Gates keep the new sessions back as they keep the others. Raises NotFound, StaleRevision, IllegalTransition.
    """
    row = courses.locked(session, call, course_id, revision)
    courses.require_running(row)
    _, protocol = protocol_of(session, call, row.protocol_id)
    step = next((step for _, step in protocol.main_steps() if step.block is not None), None)
    if step is None or step.block is None:
        raise IllegalTransition(f"No step of '{protocol.code}' goes on by blocks: make a new course.")
    view = courses.get(session, call, course_id)
    number = sum(each.step == step.key for each in view.sessions) + step.block
    sessions = {**row.preferences.get("sessions", {}), step.key: number}
    row.preferences = {**row.preferences, "sessions": sessions}
    courses.lay_out(session, call, row, protocol, view)
    audit.note(
        session, call, "course.extend", "course", row.id, after={"sessions": sessions, "by": by}, reason=note or None
    )
    session.flush()
    return courses.get(session, call, course_id)


def _moved(
    session: Session,
    call: Call,
    course_id: UUID,
    action: str,
    reason: str,
    revision: Revision | None,
    *,
    by: str | None = None,
) -> Course:
    """The course under its lock, after the move of its status."""
    row = courses.row_of(session, call, course_id)
    lock_locations(session, call, [row.location_id], share=True)
    row = courses.locked(session, call, course_id, revision)
    allowed, status = _MOVES[action]
    if row.status not in allowed:
        detail = f"'{action}' is not possible while the course is {row.status}."
        raise IllegalTransition(detail)
    before = {"status": row.status}
    row.status = status
    session.flush()
    tasks.withdraw(session, call, f"The course is {status}.", Task.kind == HELD, Task.course_id == course_id)
    audit.note(
        session,
        call,
        f"course.{action}",
        "course",
        course_id,
        before=before,
        after={"status": status, **({"by": by} if by else {})},
        reason=reason or None,
    )
    return row


def _ahead(session: Session, call: Call, course: Course, *, dosing: bool = False) -> Sequence[Appointment]:
    """The course's visits that lie ahead, locked in the order of their ids; its doses alone when asked."""
    chosen = select(Appointment).where(
        Appointment.organization_id == call.organization_id,
        Appointment.course_id == course.id,
        Appointment.status.in_(sorted(lifecycle.OPEN)),
        Appointment.starts_at > call.now,
    )
    if dosing:
        kinds = visit_kinds(session, call)
        codes = [code for code, kind in kinds.items() if kind.visit.kind == "dosing"]
        chosen = chosen.where(Appointment.visit_type.in_(codes))
    locked = chosen.order_by(Appointment.id).with_for_update(key_share=True)
    return session.scalars(locked.execution_options(populate_existing=True)).all()
