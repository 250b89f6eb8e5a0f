"""Whether a course of a synthetic clinic has a plan at all, by a plain search: it shares nothing with the planner.

Depth first from start to start, each with a talk in its window before the next day of a dose. Only what led nowhere is
remembered; nothing is bounded, priced or guessed.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from datetime import timedelta
from zoneinfo import ZoneInfo

from scheduler.core.planner import Main, Problem

_SLOT, _ROW = 5, 15


def has_plan(problem: Problem) -> bool:
    """Whether there are starts that keep every gap, window and span. For courses without caps and bookings."""
    return _Search(problem).leads_on(0, -1, ())


class _Search:
    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._dead: set[tuple[int, int, tuple[int, ...]]] = set()
        zone, grid = ZoneInfo(problem.grid.zone), problem.grid
        self._day: list[int] = []
        self._row: list[bool] = []
        for slot in range(grid.slots):
            wall = (grid.origin + timedelta(minutes=_SLOT * slot)).astimezone(zone)
            self._day.append((wall.date() - grid.first_day).days)
            self._row.append(wall.minute % _ROW == 0)
        self._starts = {visit.session_id: self._listed(visit.starts) for visit in problem.visits()}

    def _listed(self, starts: int) -> list[int]:
        known = (slot for slot in range(self._problem.grid.slots) if starts >> slot & 1 and self._row[slot])
        return [slot for slot in known if 0 <= self._day[slot] < self._problem.grid.days]

    def leads_on(self, place: int, before: int, begun: tuple[int, ...]) -> bool:
        """Whether the sessions from `place` on can follow that start; `begun` are the first days of open spans."""
        mains = self._problem.mains
        if place == len(mains):
            return self._has_talk(mains[-1], before, None)
        if (place, before, begun) in self._dead:
            return False
        for slot in self._within(place, before):
            day = self._day[slot]
            if place and not self._follows(place, before, slot):
                continue
            spans = self._spans(place, day, begun)
            if spans is not None and self.leads_on(place + 1, slot, spans):
                return True
        self._dead.add((place, before, begun))
        return False

    def _within(self, place: int, before: int) -> list[int]:
        """The starts that the days of the gap leave."""
        starts, gap = self._starts[self._problem.mains[place].session_id], self._problem.mains[place].gap
        if place == 0 or gap is None:
            return starts
        first, last = (self._day[before] + each for each in (gap.min, gap.max))
        return starts[bisect_left(starts, first, key=self._day_of) : bisect_right(starts, last, key=self._day_of)]

    def _day_of(self, slot: int) -> int:
        return self._day[slot]

    def _follows(self, place: int, before: int, slot: int) -> bool:
        gap, main = self._problem.mains[place].gap, self._problem.mains[place - 1]
        apart = self._day[slot] - self._day[before]
        lawful = gap is None or gap.min <= apart <= gap.max
        return lawful and slot * _SLOT >= before * _SLOT + main.minutes and self._has_talk(main, before, slot)

    def _has_talk(self, main: Main, slot: int, following: int | None) -> bool:
        """Whether the session's talk has a start, if it has one, on a day after it and before the next."""
        leaf = main.leaf
        if leaf is None:
            return True
        edge = _SLOT * slot + (main.minutes if leaf.window.edge == "end" else 0)
        listed = self._starts[leaf.session_id]
        some = range(bisect_left(listed, slot), bisect_right(listed, (edge + leaf.window.max) // _SLOT))
        return any(
            edge + leaf.window.min <= _SLOT * start <= edge + leaf.window.max
            and self._day[start] > self._day[slot]
            and (following is None or self._day[start] < self._day[following])
            for start in (listed[each] for each in some)
        )

    def _spans(self, place: int, day: int, begun: tuple[int, ...]) -> tuple[int, ...] | None:
        """The first days of the spans that are open after this session; None when one is not kept."""
        opened = list(begun)
        for number, span in enumerate(self._problem.spans):
            if place == 0:
                opened.append(-1)
            if place == span.first:
                opened[number] = day
            if place == span.last:
                if not span.min_days <= day - opened[number] <= span.max_days:
                    return None
                opened[number] = -1
        return tuple(opened)
