"""When the tasks of a visit fall due: from what really happened, and until then from the plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from scheduler.core.civil import to_instant, to_local
from scheduler.core.lifecycle import GONE
from scheduler.core.visit import VisitTask, VisitType
from scheduler.core.visit_day.times import Times


@dataclass(frozen=True)
class Due:
    """One task of one visit. `due_at` is `planned` as long as its anchor has not happened; instants are aware UTC."""

    key: str
    label: str
    due_at: datetime
    planned: bool
    done_at: datetime | None = None
    done_by: str | None = None
    note: str | None = None
    dismissed: bool = False

    def is_late(self, now: datetime) -> bool:
        """Whether it should have been done by now."""
        return self.done_at is None and not self.planned and self.due_at < now


def tasks_of(
    visit: VisitType,
    times: Times,
    time_zone: str,
    *,
    status: str,
    outcome: str | None = None,
    done: Mapping[str, Mapping[str, Any]],
) -> tuple[Due, ...]:
    """The visit's tasks by due time. `done` maps a task's key to {at (ISO), by, note}.

    A visit that did not take place has none but those that are done; one without a dose keeps those before it. After
    the discharge what nobody did in time stays, late, until somebody writes it down or dismisses it; what would only
    have come later goes, since the patient has gone.
    """
    found = []
    for task in visit.tasks:
        if task.key not in done and not _is_wanted(task, status, outcome):
            continue
        anchor, planned = _anchor(task, visit, times)
        due_at, said = _due(task, anchor, time_zone), done.get(task.key, {})
        if not said and _never_came(task, due_at, times):
            continue
        found.append(
            Due(
                key=task.key,
                label=task.label,
                due_at=due_at,
                planned=planned,
                done_at=datetime.fromisoformat(said["at"]) if said else None,
                done_by=said.get("by"),
                note=said.get("note"),
                dismissed=bool(said.get("dismissed")),
            )
        )
    return tuple(sorted(found, key=lambda each: (each.due_at, each.key)))


def urgent_at(task: VisitTask, visit: VisitType, times: Times, time_zone: str) -> list[datetime]:
    """When the task becomes more urgent before it is due: local days after its anchor, at the same time of day."""
    anchor, _ = _anchor(task, visit, times)
    return [_days_after(anchor, days, time_zone) for days in task.remind_days]


def _is_wanted(task: VisitTask, status: str, outcome: str | None) -> bool:
    return status not in GONE and (outcome != "not_dosed" or task.anchor == "start")


def _never_came(task: VisitTask, due_at: datetime, times: Times) -> bool:
    """Whether something inside the visit falls due when the patient has gone home already."""
    inside = task.offset_days is None and task.anchor in ("start", "dose", "last_device")
    return inside and times.fulfilled_at is not None and due_at > times.fulfilled_at


def _anchor(task: VisitTask, visit: VisitType, times: Times) -> tuple[datetime, bool]:
    """When the task's clock starts, and whether that is only planned."""
    start, end = times.planned_dose(visit)
    if task.anchor == "start":
        return times.starts_at, False
    if task.anchor == "dose":
        return times.dosed_at or start, times.dosed_at is None
    if task.anchor == "last_device":
        reckoned = end if times.dosed_at is None else times.dosed_at + (end - start)
        return times.last_device_at or reckoned, times.last_device_at is None and times.dosed_at is None
    return times.fulfilled_at or times.ends_at, times.fulfilled_at is None


def _due(task: VisitTask, anchor: datetime, time_zone: str) -> datetime:
    """Minutes are elapsed; days are the clinic's calendar days at the same time of day."""
    if task.offset_days is None:
        return anchor + timedelta(minutes=task.offset_minutes or 0)
    return _days_after(anchor, task.offset_days, time_zone)


def _days_after(anchor: datetime, days: int, time_zone: str) -> datetime:
    return to_instant(to_local(anchor, time_zone) + timedelta(days=days), time_zone, "compatible")
