"""Small courses written out by hand: days and hours in, problems and readable plans out."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import Any

from scheduler.core.bitmap import SLOT
from scheduler.core.civil import to_local
from scheduler.core.planner import Gap, Grid, Leaf, Main, Plan, Preferences, Problem, Weights, Window
from tests.core.planner.instances import bitmap, grid, slot, starts

WHERE = grid()
#: A start: (day, hour).
Start = tuple[int, float]
DAY = 24 * 60


def at(*places: Start, where: Grid = WHERE) -> int:
    return bitmap(slot(where, day, hour) for day, hour in places)


def each(days: Iterable[int], *hours: float, where: Grid = WHERE) -> int:
    return starts(where, days, hours)


def main(name: str, mask: int, gap: tuple[int, int, int] | None = None, **more: Any) -> Main:
    rest: dict[str, Any] = {"minutes": 60, "by": {}, "leaf": None, "dosing": True, "phase": "phase"} | more
    return Main(session_id=name, starts=mask, gap=Gap(*gap) if gap else None, **rest)


def leaf(name: str, mask: int, window: Window, **more: Any) -> Leaf:
    rest: dict[str, Any] = {"minutes": 60, "by": {}, "before_next": True} | more
    return Leaf(session_id=name, starts=mask, window=window, **rest)


def course(*mains: Main, **more: Any) -> Problem:
    rest: dict[str, Any] = {
        "grid": WHERE,
        "candidates": {},
        "continuity": "none",
        "preferences": Preferences(),
        "weights": Weights(),
    }
    return Problem(mains=mains, **(rest | more))


def people(role: str, serves: Mapping[Hashable, int]) -> Mapping[str, Mapping[Hashable, int]]:
    """The `by` of a visit that needs one role."""
    return {role: serves}


def read(problem: Problem, plan: Plan | None) -> dict[str, str] | None:
    """Each session's day (counted from the grid's first) and wall time."""
    if plan is None:
        return None
    where, found = problem.grid, {}
    for session_id, place in plan.starts:
        wall = to_local(where.origin + place * SLOT, where.zone)
        found[session_id] = f"{(wall.date() - where.first_day).days} {wall:%H:%M}"
    return found
