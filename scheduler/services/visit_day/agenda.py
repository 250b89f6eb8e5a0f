"""What is asked and done around a visit without moving it: answers to the checklist taken down early, tasks ticked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.errors import IllegalTransition, NotFound
from scheduler.core.lifecycle import GONE
from scheduler.core.visit_day import merged
from scheduler.services import audit, tasks, visit_tasks
from scheduler.services.catalog import visit_kind
from scheduler.services.visit_day.opening import Answers, happened, locked
from scheduler.services.visit_day.viewing import DayView, shown


@dataclass(frozen=True)
class Done:
    """That a task is done: when (now unless said), by whom (the caller unless said), and what was found."""

    at: datetime | None = None
    by: str | None = None
    note: str | None = None
    #: It is not to be done after all; the note says why.
    dismissed: bool = False


def hold_still(session: Session, call: Call, appointment_id: UUID) -> None:
    """Take the visit's locks before others that come after them. Raises NotFound."""
    locked(session, call, appointment_id, None)


def answer(
    session: Session, call: Call, appointment_id: UUID, answers: Answers, *, revision: int | None = None
) -> DayView:
    """Take down answers to the checklist before they are asked for. Raises NotFound, StaleRevision, Invalid."""
    row = locked(session, call, appointment_id, revision)
    if row.status in GONE:
        raise IllegalTransition(f"The visit is {row.status}: nothing is asked any more.")
    kind = visit_kind(session, call, row.visit_type).visit
    row.checklist = merged(kind.checklist, row.checklist, answers, at=call.now, by=call.actor)
    session.flush()
    said = {key: {"ok": row.checklist[key]["ok"], "by": row.checklist[key]["by"]} for key in answers}
    audit.note(session, call, "appointment.answer", "appointment", row.id, after={"checklist": said})
    return shown(session, call, row)


def do_task(
    session: Session, call: Call, appointment_id: UUID, key: str, done: Done, *, revision: int | None = None
) -> DayView:
    """Tick a task of the visit; ticked again, the later tick counts.

    Raises NotFound (also for a task that the visit type does not have), StaleRevision, Invalid, IllegalTransition for
    a visit that does not take place.
    """
    row = locked(session, call, appointment_id, revision)
    kind = visit_kind(session, call, row.visit_type).visit
    task = next((each for each in kind.tasks if each.key == key), None)
    if task is None:
        detail = f"The visit has no task '{key}'."
        raise NotFound(detail)
    if row.status in GONE:
        raise IllegalTransition(f"The visit is {row.status}: nothing is to be done any more.")
    ahead = (task.offset_minutes or task.offset_days or 0) < 0  # it is due before the visit, perhaps days before
    at = happened(call, done.at, "/at", to=None if ahead else row)
    before = {"task": key, **_kept(row.tasks_done.get(key, {}))}
    said: dict[str, Any] = {"at": at.isoformat(), "by": done.by or call.actor, "note": done.note}
    if done.dismissed:
        said["dismissed"] = True
    row.tasks_done = {**row.tasks_done, key: said}
    session.flush()
    owed = visit_tasks.key_of(row.id, key)
    tasks.close(session, call, kind=visit_tasks.KIND, key=owed, by=done.by, note=done.note)
    after = {"task": key, **_kept(said)}
    audit.note(session, call, "appointment.task", "appointment", row.id, before=before, after=after)
    return shown(session, call, row)


def _kept(said: dict[str, Any]) -> dict[str, Any]:
    """What the audit keeps of a tick: not what was found, which may be clinical."""
    return {name: value for name, value in said.items() if name != "note"}
