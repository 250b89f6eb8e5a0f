"""What people say of their tasks: done, or not to be done. A task of a visit is ticked on the visit as well."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.services import tasks, visit_day, visit_tasks
from scheduler.services.tasks import Closed, TaskView


def answer(
    session: Session,
    call: Call,
    task_id: UUID,
    status: Closed,
    *,
    by: str | None = None,
    note: str | None = None,
    revision: int | None = None,
) -> TaskView:
    """Somebody (the caller unless said) has done it, or says why it is not to be done.

    Raises NotFound, StaleRevision, IllegalTransition for a task that is closed already.
    """
    seen = tasks.get(session, call, task_id)
    about = seen.appointment_id if seen.kind == visit_tasks.KIND else None
    if about is not None:  # the appointment is locked before its task
        visit_day.hold_still(session, call, about)
    view = tasks.answer(session, call, task_id, status, by=by, note=note, revision=revision)
    if about is not None and seen.item is not None:
        done = visit_day.Done(by=by, note=note, dismissed=status == "dismissed")
        visit_day.do_task(session, call, about, seen.item, done)
    return view
