"""The staff tasks that belong to a visit: those that outlive it are owed at its end; what no longer applies goes.

What is to be done inside the visit stays on the board, in `visit_day`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.lifecycle import OPEN
from scheduler.core.reminders import UNREACHABLE, UNRECORDED
from scheduler.core.visit import VisitTask, VisitType
from scheduler.core.visit_day import tasks_of, urgent_at
from scheduler.models import Appointment, Task
from scheduler.services import tasks
from scheduler.services.appointments import times_of
from scheduler.services.catalog import visit_kind
from scheduler.services.consequences import AFFECTED
from scheduler.services.impact import AHEAD

#: A task of the visit type that is due after the visit.
KIND: Final = "visit_task"
#: Tasks that ask somebody to look at a visit while it can still be prepared for. Whom it lacks it may lack until its
#: end, and it is ahead again when its beginning is undone: that one stays open until then.
PREPARING = ("session_gate", "held_visit", "credential", UNREACHABLE, UNRECORDED)


def settle(session: Session, call: Call, row: Appointment, *, moved: bool = False) -> None:
    """Owe what is left to do after the visit as it stands, and withdraw what there is no reason for any more.

    `moved` says that it has another time or place now: what was asked about the old one is asked anew elsewhere.
    """
    over = moved or row.status not in AHEAD
    kinds = (*PREPARING, AFFECTED) if over else PREPARING if row.status not in OPEN else ()
    if kinds:
        why = "rescheduled" if moved else row.status
        tasks.withdraw(session, call, why, Task.appointment_id == row.id, Task.kind.in_(kinds))
    wanted = _wanted(visit_kind(session, call, row.visit_type).visit, row)
    for task, due_at, steps in wanted:
        tasks.owe(
            session,
            call,
            kind=KIND,
            key=key_of(row.id, task.key),
            title=task.label,
            due_at=due_at,
            steps=steps,
            item=task.key,
            patient_id=row.patient_id,
            appointment_id=row.id,
            course_id=row.course_id,
            location_id=row.location_id,
        )
    kept = [task.key for task, _, _ in wanted]
    gone = Task.appointment_id == row.id, Task.kind == KIND, Task.item.not_in(kept)
    tasks.withdraw(session, call, row.outcome or row.status, *gone)


def key_of(appointment_id: UUID, task: str) -> str:
    """Under what such a task is owed."""
    return f"{appointment_id}:{task}"


def _wanted(kind: VisitType, row: Appointment) -> list[tuple[VisitTask, datetime, list[datetime]]]:
    """What outlives the visit and is not done: with its due time, and when it becomes more urgent until then."""
    if row.status != "fulfilled":
        return []
    there = tasks_of(kind, times_of(row), row.time_zone, status=row.status, outcome=row.outcome, done=row.tasks_done)
    lasting = {task.key: task for task in kind.tasks if task.offset_days is not None}
    return [
        (lasting[due.key], due.due_at, urgent_at(lasting[due.key], kind, times_of(row), row.time_zone))
        for due in there
        if due.key in lasting and due.done_at is None
    ]
