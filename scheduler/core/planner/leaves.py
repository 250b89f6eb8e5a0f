"""The cheapest start of a leaf, for every start of its main session at once.

A leaf's starts are laid out in order of time. Window and days then cut out a stretch of that line, and the cheapest
start within it is a range minimum: two look-ups in a table, whatever the length of the stretch.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from scheduler.core.bitmap import SLOT_MINUTES, SLOTS_PER_DAY
from scheduler.core.planner.grid import Bools, Ints
from scheduler.core.planner.planes import INF, Bars, Choice, Options, Planes, Points
from scheduler.core.planner.problem import Leaf, Main, Reach

#: Rows and columns of a sheet.
Cells = tuple[slice, slice]
EVERY = slice(None)


class Stretch(NamedTuple):
    """A part of the line of starts: from `start` up to, but not including, `end`."""

    start: Ints
    end: Ints


class RangeMinimum:
    """Minima of stretches of a line of points, each lane by itself."""

    def __init__(self, points: Points, longest: int) -> None:
        """`points` is [line, lanes]; no stretch that is asked for is longer than `longest`."""
        levels, step = [points], 1
        while 2 * step <= longest:
            level = levels[-1].copy()
            level[:-step] = np.minimum(level[:-step], levels[-1][step:])
            levels.append(level)
            step *= 2
        self._levels = np.stack(levels)
        self._log2 = np.log2(np.maximum(np.arange(longest + 1), 1)).astype(np.int64)

    def of(self, stretch: Stretch, lanes: slice) -> Points:
        """The least point of each stretch; INF where it is empty."""
        start, end = stretch
        length = end - start
        empty = length <= 0
        level = self._log2[np.maximum(length, 0)]
        levels = self._levels[:, :, lanes]
        # Of an empty stretch whatever lies there is read, and forgotten.
        left, right = levels[level, start], levels[level, np.maximum(end - (1 << level), 0)]
        least: Points = np.minimum(left, right, out=left)
        least[empty] = INF
        return least


class Tables(NamedTuple):
    """A leaf's minima for the starts before the day of its target and for the others: the delay grows either way."""

    early: RangeMinimum
    late: RangeMinimum

    @classmethod
    def of(cls, options: Options, delay: int, longest: int) -> Tables:
        """The tables of these options."""
        slope = (delay * options.day)[:, np.newaxis]
        slope[-1] = 0
        slope = slope.astype(np.int32)
        return cls(RangeMinimum(options.cost - slope, longest), RangeMinimum(options.cost + slope, longest))


class Follow:
    """How one leaf follows its main session, whose sheet gives the shape of every answer."""

    def __init__(
        self, planes: Planes, main: Main, leaf: Leaf, bars: Bars, lanes: tuple[Choice, ...], days: range
    ) -> None:
        first, _, slot = planes.frame(main, days)
        self._leaf, self._days = leaf, np.arange(first, first + slot.shape[1])
        reach = main.reach(leaf)
        further = reach.latest // SLOTS_PER_DAY + 2  # one day more where clocks change
        options = planes.options(leaf, bars, lanes, range(days.start, min(days.stop + further, planes.whole.stop)))
        self._options, self._delay = options, planes.problem.weights.leaf_delay
        self._target = planes.calendar.days_of(slot + reach.target)
        self._middle = self._from_day(self._target)
        if planes.problem.judged(main.session_id, leaf.session_id):
            self._whole = self._window(reach, slot)
        else:
            self._whole = Stretch(np.zeros_like(slot), np.ones_like(slot))
        longest = self._longest(slot >= 0)
        self._tables = planes.once(("tables", options, longest), lambda: Tables.of(options, self._delay, longest))
        self._lanes = options.cost.shape[1]
        self._after: dict[int, tuple[Points, int, int]] = {}
        #: Whether it never runs into the next main session where that is on a lawful day.
        self.keeps_off = not leaf.before_next or (not leaf.same_day and self._over_by_midnight(planes))
        self._reach = self._new_reach()

    def after(self, gap: int | None, columns: slice | None = None, expected: slice | None = None) -> Points:
        """[rows, days, lanes] the cheapest leaf when the next main session is `gap` days later, as far as days tell.

        All `expected` columns are worked out at once, since they will be asked for.
        """
        gap = self.reached(gap)
        columns = slice(0, len(self._days)) if columns is None else columns
        wanted = columns if expected is None else expected
        first, past = min(columns.start, wanted.start), max(columns.stop, wanted.stop)
        if gap not in self._after:
            self._after[gap] = np.empty((*self._target.shape, self._lanes), dtype=np.int32), first, first
        table, low, high = self._after[gap]
        for start, end in ((first, low), (high, past)):
            if start < end:
                table[:, start:end] = self.cheapest((EVERY, slice(start, end)), gap)
        self._after[gap] = table, min(first, low), max(high, past)
        return table[:, columns]

    def reached(self, gap: int | None) -> int:
        """The gap, or the one from which on all are alike."""
        return self._reach if gap is None else min(gap, self._reach)

    def at_least(self, able: Bools, gap: int) -> Points:
        """[days, lanes] no leaf of an able cell of the main session's sheet costs less, seen from the day alone."""
        line, some = len(self._options.day) - 1, able.any(axis=0)
        start, end = (_edges(able, each, line) for each in self._whole)
        first, past = start[0], end[1]
        if self._leaf.before_next and not self._leaf.same_day:
            past = np.minimum(past, self._from_day(self._days + gap))
        soon = _edges(able, self._middle, line)[0]
        base, above = (np.where(some, self._delay * each, 0) for each in _edges(able, self._target, INF))
        before = self._tables.early.of(Stretch(first, np.minimum(past, soon)), EVERY) + _points(base)
        after = self._tables.late.of(Stretch(np.maximum(first, soon), past), EVERY) - _points(above)
        best: Points = np.minimum(before, after)
        best[~some] = INF
        return best

    def cheapest(
        self, cells: Cells, gap: int | None = None, next_start: Ints | None = None, lanes: slice = EVERY
    ) -> Points:
        """[..., lanes] the cheapest leaf for some cells of the main session.

        `gap`: days to the next main session, None: it does not matter. `next_start`: the slots at which that starts,
        for when days alone do not tell whether the leaf is over.
        """
        middle = self._middle[cells]
        early, late = self._tables
        lanes = lanes if self._lanes > 1 else EVERY
        base = _points(self._delay * self._target[cells])
        best: Points = np.full((1,), INF, dtype=np.int32)
        for start, end in self._stretches(cells, gap, next_start):
            best = np.minimum(best, early.of(Stretch(start, np.minimum(end, middle)), lanes) + base)
            best = np.minimum(best, late.of(Stretch(np.maximum(start, middle), end), lanes) - base)
        return best

    def choose(self, cell: tuple[int, int], gap: int | None, next_start: int | None, lane: int) -> int:
        """The slot of the cheapest leaf, the earliest of equals, for one cell that has any."""
        cells = slice(cell[0], cell[0] + 1), slice(cell[1], cell[1] + 1)
        limit = None if next_start is None else np.array([[next_start]])
        lane = min(lane, self._options.cost.shape[1] - 1)
        target = int(self._target[cell])
        found = []
        for start, end in self._stretches(cells, gap, limit):
            part = slice(int(start[0, 0]), int(end[0, 0]))
            points = self._options.cost[part, lane] + self._delay * abs(self._options.day[part] - target)
            if len(points):
                best = int(points.argmin())
                found.append((int(points[best]), int(self._options.slot[part][best])))
        return min(found)[1]

    def over(self, gap: int, columns: slice) -> Ints:
        """[days] the slot by which it is over whichever of its starts it takes, as far as days tell: -INF with none.

        `gap`: days to the next main session; -INF as well where it never runs into that.
        """
        if self.keeps_off:
            return np.full(len(self._days[columns]), -INF)
        start, end = self._stretches((EVERY, columns), gap, None)[0]
        last = self._options.slot[np.maximum(end - 1, 0)] + self._leaf.minutes // SLOT_MINUTES
        ends: Ints = np.where(end > start, last, -INF).max(axis=0)
        return ends

    def _over_by_midnight(self, planes: Planes) -> bool:
        """Whether it ends on the day on which it begins, whenever that is."""
        slot, day = self._options.slot[:-1], self._options.day[:-1]
        last = slot + self._leaf.minutes // SLOT_MINUTES - 1
        return not len(slot) or bool((planes.calendar.days_of(last) == day).all())

    def _window(self, reach: Reach, slot: Ints) -> Stretch:
        start = np.searchsorted(self._options.slot, slot + reach.soonest, side="left")
        end = np.searchsorted(self._options.slot, slot + reach.latest, side="right")
        if not self._leaf.same_day:
            start = np.maximum(start, self._from_day(self._days + 1))
        return Stretch(start, end)

    def _stretches(self, cells: Cells, gap: int | None, next_start: Ints | None) -> list[Stretch]:
        """The parts of the line that the leaf may use; several when it may also come after the next main session."""
        start, end = self._whole.start[cells], self._whole.end[cells]
        if gap is None:
            return [Stretch(start, end)]
        next_day = self._days[cells[1]] + gap
        if self._leaf.before_next:
            if not self._leaf.same_day:
                end = np.minimum(end, self._from_day(next_day))
            if next_start is not None:
                latest = next_start - self._leaf.minutes // SLOT_MINUTES
                end = np.minimum(end, np.searchsorted(self._options.slot, latest, side="right"))
            return [Stretch(start, end)]
        if self._leaf.same_day:
            return [Stretch(start, end)]
        return [
            Stretch(start, np.minimum(end, self._from_day(next_day))),
            Stretch(np.maximum(start, self._from_day(next_day + 1)), end),
        ]

    def _from_day(self, day: Ints) -> Ints:
        """Where on the line the starts of a day begin."""
        return np.searchsorted(self._options.day, day, side="left")

    def _longest(self, real: Bools) -> int:
        """How long a stretch may be that is asked for: that of a whole day, from its first row's to its last row's."""
        line = len(self._options.day) - 1
        first, past = _edges(real, self._whole.start, line)[0], _edges(real, self._whole.end, line)[1]
        return max(int((past - first).max(initial=1)), int((self._whole.end - self._whole.start).max(initial=1)), 1)

    def _new_reach(self) -> int:
        """The gap from which on the next main session does not concern the leaf."""
        start, end = self._whole
        last = self._options.day[np.maximum(end - 1, 0)]
        return int(np.where(end > start, last - self._days + 1, 1).max(initial=1))


def _edges(able: Bools, places: Ints, last: int) -> tuple[Ints, Ints]:
    """The least and the greatest place of the able cells of each day; `last` and 0 where there are none."""
    return np.where(able, places, last).min(axis=0), np.where(able, places, 0).max(axis=0)


def _points(prices: Ints) -> Points:
    return prices[..., np.newaxis].astype(np.int32)


def follow(planes: Planes, main: Main, bars: Bars, lanes: tuple[Choice, ...], days: range) -> Follow | None:
    """How a main session's leaf follows it, None without a leaf; shared by sessions that are alike."""
    leaf = main.leaf
    if leaf is None:
        return None
    rules = (leaf.window, leaf.before_next, leaf.same_day)
    key = (planes.kind(main), planes.key(leaf, bars, lanes), rules, days)
    return planes.once(key, lambda: Follow(planes, main, leaf, bars, lanes, days))
