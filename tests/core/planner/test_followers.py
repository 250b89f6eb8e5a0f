"""What the tables of a leaf say, start by start, against a look at each of its starts by itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pytest

from scheduler.core.planner import Leaf, Main, Problem
from scheduler.core.planner.leaves import EVERY, Follow, follow
from scheduler.core.planner.planes import INF, OPEN, Planes, possible
from tests.core.planner.instances import course, ruled

GAPS = (None, 0, 1, 2, 3, 6)
#: Points and slot.
Priced = tuple[int, int]


@dataclass(frozen=True)
class Case:
    """A main session with its leaf, and what is said of them."""

    planes: Planes
    main: Main
    leaf: Leaf
    tables: Follow

    @cached_property
    def starts(self) -> list[tuple[tuple[int, int], int, int]]:
        """Each cell that is a start of the grid, with its slot and its day."""
        first, _, slots = self.planes.frame(self.main, self.planes.whole)
        every = np.ndenumerate(slots)
        return [((row, column), int(slot), first + column) for (row, column), slot in every if slot >= 0]

    @cached_property
    def options(self) -> list[tuple[int, int, int]]:
        """Slot, day and points of each start of the leaf."""
        found = self.planes.options(self.leaf, (), _lanes(self.planes), self.planes.whole)
        every = zip(found.slot[:-1].tolist(), found.cost[:-1, 0].tolist(), strict=True)
        return [(slot, self.planes.calendar.local(slot)[0], points) for slot, points in every if points < INF]

    def lawful(self, slot: int, day: int, gap: int | None = None, next_start: int | None = None) -> Priced | None:
        """The least (points, slot) that the rules leave to the leaf after that start of the main session."""
        edge, delay = self.main.minutes if self.leaf.window.edge == "end" else 0, self.planes.problem.weights.leaf_delay
        target = self.planes.calendar.local(slot + (edge + self.leaf.window.target) // 5)[0]
        return min(
            (
                (points + delay * abs(then - target), at)
                for at, then, points in self.options
                if self._keeps_window(slot, at, then > day) and self._keeps_off(at, then, day, gap, next_start)
            ),
            default=None,
        )

    def _keeps_window(self, slot: int, at: int, later_day: bool) -> bool:  # noqa: FBT001 - one of three facts
        if not self.planes.problem.judged(self.main.session_id, self.leaf.session_id):
            return True
        window, since = self.leaf.window, 5 * (at - slot)
        late = since - self.main.minutes if window.edge == "end" else since
        return since >= self.main.minutes and window.min <= late <= window.max and (later_day or self.leaf.same_day)

    def _keeps_off(self, at: int, then: int, day: int, gap: int | None, next_start: int | None) -> bool:
        """Whether it is over before the next main session, or may be after it, and on a day that is its own."""
        if gap is None:
            return True
        if not self.leaf.before_next:
            return self.leaf.same_day or then != day + gap
        over = next_start is None or at + self.leaf.minutes // 5 <= next_start
        return over and (self.leaf.same_day or then < day + gap)


def _lanes(planes: Planes) -> tuple[tuple[int, ...]]:
    return ((OPEN,) * len(planes.roles),)


def cases(problem: Problem) -> Iterator[Case]:
    planes = Planes(problem)
    for main in problem.mains:
        tables = follow(planes, main, (), _lanes(planes), planes.whole)
        if tables is not None and main.leaf is not None:
            yield Case(planes, main, main.leaf, tables)


PROBLEMS = [course(seed) for seed in range(20)] + [ruled(seed) for seed in range(8)]
each_problem = pytest.mark.parametrize("problem", PROBLEMS, ids=range(len(PROBLEMS)))


@each_problem
def test_the_tables_say_what_each_start_by_itself_says(problem: Problem) -> None:
    for case in cases(problem):
        for gap in GAPS:
            points = case.tables.after(gap)[..., 0]
            for cell, slot, day in case.starts:
                best = case.lawful(slot, day, gap)
                assert points[cell] == best[0] if best else not possible(points[cell]), (gap, cell)
                assert best is None or case.tables.choose(cell, gap, None, 0) == best[1], (gap, cell)


@each_problem
def test_a_part_of_the_days_is_what_it_is_of_all(problem: Problem) -> None:
    for part, whole in zip(cases(problem), cases(problem), strict=True):
        for gap in GAPS:
            every = whole.tables.after(gap)
            days = every.shape[1]
            for first, past, expected in ((1, 2, None), (2, days, None), (1, 2, slice(0, 3)), (0, days, None)):
                found = part.tables.after(gap, slice(first, past), expected)
                assert (found == every[:, first:past]).all(), (gap, first, past)


@each_problem
def test_a_next_session_that_the_leaf_may_run_into_is_told(problem: Problem) -> None:
    """The next session starts some hours after midnight of a day; where that is not told, the day alone is right."""
    for case in cases(problem):
        for gap in (0, 1, 2):
            first, _, slots = case.planes.frame(case.main, case.planes.whole)
            midnights = [case.planes.calendar.midnight(first + day + gap) for day in range(slots.shape[1])]
            following = np.array(midnights) + 12 * (slots % 5)
            points = case.tables.cheapest((EVERY, EVERY), gap, following)[..., 0]
            last, by_day = case.tables.over(gap, EVERY), case.tables.after(gap)[..., 0]
            for cell, slot, day in case.starts:
                best = case.lawful(slot, day, gap, int(following[cell]))
                assert points[cell] == best[0] if best else not possible(points[cell]), (gap, cell)
                if last[cell[1]] <= following[cell]:
                    assert best == case.lawful(slot, day, gap), (gap, cell)
                    assert points[cell] == by_day[cell] or best is None


@each_problem
def test_no_leaf_of_a_day_is_cheaper_than_its_bound(problem: Problem) -> None:
    for case in cases(problem):
        able = case.planes.sheet(case.main, (), _lanes(case.planes), case.planes.whole).able
        for gap in GAPS:
            bound = case.tables.at_least(able, case.tables.reached(gap))[..., 0]
            for cell, slot, day in case.starts:
                best = case.lawful(slot, day, gap)
                assert not (able[cell] and best) or bound[cell[1]] <= best[0], (gap, cell)
