"""What a change of the ground owes the staff: a task for each visit that it leaves without what it needs.

Which visits those are, `impact` finds; nobody moves or cancels them here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.reminders import CALL
from scheduler.models import Task
from scheduler.services import tasks
from scheduler.services.impact import Affected

#: The kind of the tasks that are owed for such visits.
AFFECTED: Final = "visit_affected"


#: What staff are asked to do about one.
_LACKING = "Move the visit, find somebody or something else for it, or cancel it."


def owe(
    session: Session,
    call: Call,
    affected: Sequence[Affected],
    *,
    cause: str,
    why: str,
    title: str = "A booked visit lacks what it needs",
    ask: str = _LACKING,
) -> tuple[Affected, ...]:
    """Owe the staff a task for each visit, once for each cause (such as an absence's id); the visits as they came.

    They are locked after everything else, in order of id, since each is a row of its own.
    """
    for each in sorted(affected, key=lambda each: each.id):
        tasks.owe(
            session,
            call,
            kind=AFFECTED,
            key=f"{each.id}/{cause}",
            title=title,
            detail=f"{why} {ask}",
            due_at=max(each.start, call.now),
            appointment_id=each.id,
            course_id=each.course_id,
            patient_id=each.patient_id,
            location_id=each.location_id,
        )
    return tuple(affected)


def withdraw(session: Session, call: Call, cause: str) -> set[UUID]:
    """The cause is gone, and what was still to be done about it; for which visits that was."""
    wanted = Task.kind == AFFECTED, Task.key.endswith(f"/{cause}", autoescape=True)
    return tasks.withdraw(session, call, "The reason for it is gone.", *wanted)


def mended(session: Session, call: Call, source: UUID, lacking: Callable[[Collection[UUID]], Collection[UUID]]) -> None:
    """A resource or a place gives visits again what it once took from them: nobody need look at these any more.

    `lacking` tells which of some visits still miss something of it.
    """
    of_it = Task.kind == AFFECTED, Task.key.contains(f"/{source}/", autoescape=True)
    wanted = select(Task.appointment_id).where(
        Task.organization_id == call.organization_id, Task.status == "open", *of_it
    )
    asked = {key for key in session.scalars(wanted) if key is not None}
    well = asked.difference(lacking(asked)) if asked else ()
    if well:
        tasks.withdraw(session, call, "The reason for it is gone.", *of_it, Task.appointment_id.in_(well))


def silenced(session: Session, call: Call, appointment_ids: Collection[UUID]) -> None:
    """A hold stops these visits: nobody is called to have one confirmed, or told when to stop eating for it."""
    tasks.withdraw(session, call, "The visit is on hold.", Task.kind == CALL, Task.appointment_id.in_(appointment_ids))


def settled(session: Session, call: Call, appointment_id: UUID, why: str) -> None:
    """The visit has moved or does not take place: what it lacked there, or who was to call, is no matter any more."""
    wanted = Task.kind.in_((AFFECTED, CALL)), Task.appointment_id == appointment_id
    tasks.withdraw(session, call, why, *wanted)
