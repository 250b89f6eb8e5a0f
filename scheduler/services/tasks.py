"""What somebody on the staff has to do: owed with its cause, urged on until it is seen to, closed by a name.

What a task is about is known to who owes it. Never commits.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, cast, get_args
from uuid import UUID

from sqlalchemy import Table, bindparam, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.errors import IllegalTransition
from scheduler.models import Task
from scheduler.models.among import among
from scheduler.services import audit, records
from scheduler.services.paging import Page, page

Closed = Literal["done", "dismissed"]
#: All that a task can be of: who owes one names it, and a list can be asked for it.
TaskKind = Literal[
    "arrival_no_show",
    "clinical_hold",
    "confirm_by_call",
    "course_gate",
    "course_hold",
    "course_lost_visit",
    "credential",
    "follow_up_by_call",
    "group_below_minimum",
    "held_visit",
    "message_expired",
    "patient_unreachable",
    "patient_untold",
    "restored_messages",
    "restored_visits",
    "session_gate",
    "text_reply",
    "visit_affected",
    "visit_task",
    "visit_unrecorded",
    "waitlist_offer",
    "waitlist_pins",
    "webhook_disabled",
    "zone_rules",
]
KINDS: tuple[TaskKind, ...] = get_args(TaskKind)

#: So many tasks are urged on in one transaction.
_AT_ONCE = 200


@dataclass(frozen=True)
class TaskView:
    """A task. `level` is how often it has become more urgent; it is overdue once `due_at` has passed."""

    id: UUID
    kind: str
    title: str
    detail: str
    item: str | None
    patient_id: UUID | None
    appointment_id: UUID | None
    course_id: UUID | None
    message_id: UUID | None
    location_id: UUID | None
    due_at: datetime
    level: int
    next_step_at: datetime | None
    status: str
    closed_at: datetime | None
    closed_by: str | None
    note: str | None
    revision: int
    created_at: datetime


@dataclass(frozen=True)
class Filter:
    """Which tasks are wanted; None is any. The due time lies in [due_after, due_before)."""

    status: str | None = None
    kind: str | None = None
    patient_id: UUID | None = None
    appointment_id: UUID | None = None
    course_id: UUID | None = None
    location_id: UUID | None = None
    due_after: datetime | None = None
    due_before: datetime | None = None


def _view(row: Task) -> TaskView:
    return TaskView(
        id=row.id,
        kind=row.kind,
        title=row.title,
        detail=row.detail,
        item=row.item,
        patient_id=row.patient_id,
        appointment_id=row.appointment_id,
        course_id=row.course_id,
        message_id=row.message_id,
        location_id=row.location_id,
        due_at=row.due_at,
        level=row.level,
        next_step_at=row.next_step_at,
        status=row.status,
        closed_at=row.closed_at,
        closed_by=row.closed_by,
        note=row.note,
        revision=row.revision,
        created_at=row.created_at,
    )


KIND = records.Kind("task", Task, _view)


def owe(
    session: Session,
    call: Call,
    *,
    kind: TaskKind,
    key: str,
    title: str,
    due_at: datetime,
    detail: str = "",
    steps: Sequence[datetime] = (),
    **about: Any,
) -> UUID:
    """Owe a task once for each (kind, key); one that is there already stays as it is. Its id.

    `steps` are instants before `due_at` at which it becomes more urgent. `about` is any of `patient_id`,
    `appointment_id`, `course_id`, `message_id`, `location_id` and `item`. A task that was withdrawn opens again.
    """
    urgent = sorted({step for step in steps if step < due_at} | {due_at})
    values = {
        "title": title[:200],
        "detail": detail[:2000],
        "due_at": due_at,
        "steps": [step.isoformat() for step in urgent],
        "next_step_at": urgent[0],
        "created_at": call.now,
        **about,
    }
    table = cast("Table", Task.__table__)
    make = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    wanted = make(table).values(organization_id=call.organization_id, kind=kind, key=key, **values)
    made = session.execute(wanted.on_conflict_do_nothing().returning(table.c.id)).scalar_one_or_none()
    if made is None:
        row = _locked(session, call, Task.kind == kind, Task.key == key)[0]
        if not row.withdrawn:
            return row.id
        _give(row, values | {"status": "open", "withdrawn": False, "level": 0, "closed_at": None})
        row.closed_by = row.note = None
        session.flush()
        made = row.id
    after = {"kind": kind, "due_at": due_at, **about}
    audit.note(session, call, "task.create", "task", made, after=after)
    return made


def close(session: Session, call: Call, *, kind: str, key: str, by: str | None = None, note: str | None = None) -> None:
    """What had to be done has been done elsewhere: the task is done, if it is open at all."""
    for row in _locked(session, call, Task.kind == kind, Task.key == key, Task.status == "open"):
        _end(session, call, row, "done", by, note)


def withdraw(session: Session, call: Call, why: str, *conditions: Any) -> set[UUID]:
    """There is nothing to do any more: the open tasks that fulfil the conditions (on `Task`) go, in order of id.

    Owed again under the same key they come back. Returns the visits that they were about.
    """
    rows = _locked(session, call, Task.status == "open", *conditions)
    for row in rows:
        row.withdrawn = True
        _end(session, call, row, "dismissed", None, why)
    return {row.appointment_id for row in rows if row.appointment_id is not None}


def reopen(session: Session, call: Call, *, kind: str, key: str) -> None:
    """It was not done after all."""
    for row in _locked(session, call, Task.kind == kind, Task.key == key, Task.status == "done"):
        before = {"status": row.status, "by": row.closed_by}
        row.status, row.closed_at, row.closed_by, row.note = "open", None, None, None
        _step(row, call.now)
        session.flush()
        audit.note(session, call, "task.reopen", "task", row.id, before=before)


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
    records.find(session, call, KIND, task_id)
    row = _locked(session, call, Task.id == task_id)[0]
    records.expect(row, revision)
    if row.status != "open":
        raise IllegalTransition(f"The task is {row.status} already, by {row.closed_by}.")
    _end(session, call, row, status, by, note)
    return _view(row)


def get(session: Session, call: Call, task_id: UUID) -> TaskView:
    """One task. Raises NotFound."""
    return records.get(session, call, KIND, task_id)


def listed(
    session: Session, call: Call, wanted: Filter, *, limit: int = 50, cursor: str | None = None
) -> Page[TaskView]:
    """Tasks by the time at which they are due."""
    chosen = select(Task).where(Task.organization_id == call.organization_id)
    for column, value in (
        (Task.status, wanted.status),
        (Task.kind, wanted.kind),
        (Task.patient_id, wanted.patient_id),
        (Task.appointment_id, wanted.appointment_id),
        (Task.course_id, wanted.course_id),
        (Task.location_id, wanted.location_id),
    ):
        if value is not None:
            chosen = chosen.where(column == value)
    if wanted.due_after is not None:
        chosen = chosen.where(Task.due_at >= wanted.due_after)
    if wanted.due_before is not None:
        chosen = chosen.where(Task.due_at < wanted.due_before)
    found = page(session, call, chosen, [Task.due_at, Task.id], limit=limit, cursor=cursor)
    return Page([_view(row) for row in found.items], found.next_cursor)


_OPEN_OF = (
    select(Task)
    .where(
        Task.organization_id == bindparam("organization"),
        among(Task.appointment_id, "appointments"),
        Task.status == "open",
    )
    .order_by(Task.due_at, Task.id)
)


def open_of(session: Session, call: Call, appointment_ids: Collection[UUID]) -> dict[UUID, list[TaskView]]:
    """The open tasks of these visits, by due time. One statement."""
    if not appointment_ids:
        return {}
    found: dict[UUID, list[TaskView]] = {}
    wanted = {"organization": call.organization_id, "appointments": list(appointment_ids)}
    for row in session.scalars(_OPEN_OF, wanted):
        if row.appointment_id is not None:
            found.setdefault(row.appointment_id, []).append(_view(row))
    return found


def urge(session: Session, call: Call) -> bool:
    """A chore: what is still open when one of its steps has passed becomes more urgent. True when more is left."""
    wanted = (
        select(Task)
        .where(Task.organization_id == call.organization_id, Task.status == "open", Task.next_step_at <= call.now)
        .order_by(Task.id)
        .limit(_AT_ONCE)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )
    rows = session.scalars(wanted).all()
    for row in rows:
        before = row.level
        _step(row, call.now)
        session.flush()
        audit.note(session, call, "task.urge", "task", row.id, before={"level": before}, after={"level": row.level})
    return len(rows) == _AT_ONCE


def _locked(session: Session, call: Call, *conditions: Any) -> Sequence[Task]:
    wanted = (
        select(Task)
        .where(Task.organization_id == call.organization_id, *conditions)
        .order_by(Task.id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    return session.scalars(wanted).all()


def _end(session: Session, call: Call, row: Task, status: Closed, by: str | None, note: str | None) -> None:
    row.status, row.closed_at, row.closed_by, row.note = status, call.now, by or call.actor, note
    session.flush()
    after = {"kind": row.kind, "status": status, "by": row.closed_by}
    audit.note(session, call, f"task.{status}", "task", row.id, before={"status": "open"}, after=after)


def _step(row: Task, now: datetime) -> None:
    instants = [datetime.fromisoformat(step) for step in row.steps]
    row.level = sum(step <= now for step in instants)
    row.next_step_at = next((step for step in instants if step > now), None)


def _give(row: Task, values: dict[str, Any]) -> None:
    for name, value in values.items():
        setattr(row, name, value)
