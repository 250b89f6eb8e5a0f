"""Which safety gates of a visit are due and not passed. What is done about them lives in services."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from scheduler.core.civil import to_local, zone
from scheduler.core.site import ClearanceFact, is_cleared
from scheduler.core.visit import SessionGate, VisitType
from scheduler.core.visit_day.checklist import unsettled


def unpassed(
    visit: VisitType,
    answers: Mapping[str, Mapping[str, Any]],
    facts: Sequence[ClearanceFact],
    starts_at: datetime,
    time_zone: str,
    now: datetime,
) -> tuple[SessionGate, ...]:
    """The gates that should be passed by now and are not. `facts` are in the order in which they were stated."""
    due = (gate for gate in visit.gates if now >= starts_at - timedelta(hours=gate.due_hours))
    return tuple(gate for gate in due if not _is_passed(gate, visit, answers, facts, starts_at, time_zone))


def is_forfeit(gates: Iterable[SessionGate], starts_at: datetime, now: datetime) -> SessionGate | None:
    """The gate for which the visit's time is given to others by now, if there is one."""
    for gate in gates:
        if gate.release_hours is not None and now >= starts_at - timedelta(hours=gate.release_hours):
            return gate
    return None


def _is_passed(
    gate: SessionGate,
    visit: VisitType,
    answers: Mapping[str, Mapping[str, Any]],
    facts: Sequence[ClearanceFact],
    starts_at: datetime,
    time_zone: str,
) -> bool:
    day = to_local(starts_at, time_zone).date()
    if gate.clearance is not None:
        return is_cleared(facts, gate.clearance, visit.modality, day)
    items = [item for item in visit.checklist if item.key == gate.item]
    return not any(unsettled(items, answers, item.at, day, zone(time_zone)) for item in items)
