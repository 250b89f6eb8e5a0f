"""A batch's courses and the prices of its search, put to the certificate in plain values. Works nothing out itself."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from datetime import timedelta
from fractions import Fraction
from typing import SupportsInt
from zoneinfo import ZoneInfo

from bench.certificate import Certificate, Course, Session, Visit
from bench.planner_clinic import KINDS
from scheduler.core.planner import Grid, Leaf, Main, Problem
from scheduler.core.planner.market import WORTH

_SLOT, _ROW = 5, 15


def certificate(free: Mapping[str, Mapping[str, int]], problems: Sequence[Problem]) -> Certificate:
    """Of these courses, each as it may go in the clinic without the others; `free` is each member's time there."""
    day, rows = _days(problems[0].grid)
    courses = [_Posed(problem, day, rows).course() for problem in problems]
    return Certificate(day, courses, {pool: members.values() for pool, members in free.items()})


def bound(proof: Certificate, prices: Mapping[Hashable, Iterable[SupportsInt]]) -> Fraction:
    """No more courses can be placed together; at these prices of pools, or, without any, by themselves."""
    return proof.bound({str(pool): [int(each) for each in price] for pool, price in prices.items()}, WORTH)


def _days(grid: Grid) -> tuple[list[int], list[bool]]:
    """The local day of each slot, and whether visits start there."""
    zone, days, rows = ZoneInfo(grid.zone), [], []
    for slot in range(grid.slots):
        wall = (grid.origin + timedelta(minutes=_SLOT * slot)).astimezone(zone)
        days.append((wall.date() - grid.first_day).days)
        rows.append(wall.minute % _ROW == 0 and 0 <= days[-1] < grid.days)
    return days, rows


class _Posed:
    """One problem without wishes; sessions that share their starts share their visit."""

    def __init__(self, problem: Problem, day: Sequence[int], rows: Sequence[bool]) -> None:
        if problem.pinned or problem.booked or problem.caps or problem.discords:
            raise ValueError("a new course of a batch has nothing of that")
        self._problem, self._day, self._rows = problem, day, rows
        self._known: dict[tuple[str, int], Visit] = {}

    def course(self) -> Course:
        spans = tuple((each.first, each.last, each.min_days, each.max_days) for each in self._problem.spans)
        return Course(tuple(self._session(main) for main in self._problem.mains), spans)

    def _session(self, main: Main) -> Session:
        gap = (0, 0) if main.gap is None else (main.gap.min, main.gap.max)
        if main.leaf is None:
            return Session(self._visit(main), gap)
        window = main.leaf.window
        edge = main.minutes if window.edge == "end" else 0
        after = -(-(edge + window.min) // _SLOT), (edge + window.max) // _SLOT
        return Session(self._visit(main), gap, self._visit(main.leaf), after)

    def _visit(self, visit: Main | Leaf) -> Visit:
        kind = {"evaluation": "evaluation", "dose": "dose", "talk": "integration"}[visit.session_id.partition("-")[0]]
        if (kind, id(visit.starts)) not in self._known:
            starts = tuple(slot for slot, lawful in enumerate(self._rows) if lawful and visit.starts >> slot & 1)
            uses = tuple((need.pool, need.offset, need.length) for need in KINDS[kind].needs)
            self._known[kind, id(visit.starts)] = Visit(starts, uses)
        return self._known[kind, id(visit.starts)]
