"""The exact dynamic program: the cheapest course in which only neighbors in the chain know of each other.

It runs from the last main session to the first. `ahead[i][row, day, lane]` is the price of all that comes from main
session i on when that one starts there: itself, its leaf, the step to the next, and the rest. Caps are kept by the
states of `memory`, which share the last axis with the lanes. What else binds sessions that are further apart (spans,
leaves that may outlast the next session) only narrows the days here; `search` looks after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from scheduler.core.planner import effort
from scheduler.core.planner.grid import Bools, Ints
from scheduler.core.planner.leaves import EVERY, Cells, Follow, follow
from scheduler.core.planner.memory import FORBIDDEN, Memory
from scheduler.core.planner.planes import INF, QUARTER, Bars, Choice, Planes, Points, Sheet
from scheduler.core.planner.problem import Main, Problem

#: The first and the last local day of something.
Ends = tuple[int, int]


class Stage(NamedTuple):
    """One main session, and the days on which the others leave it room."""

    main: Main
    sheet: Sheet
    follow: Follow | None
    #: The first and the last of those days.
    first: int
    last: int

    def columns(self, first: int, last: int) -> slice:
        """The sheet's columns of some days."""
        return slice(first - self.sheet.first, last - self.sheet.first + 1)

    def within(self, first: int, last: int) -> slice:
        """The same, counted from the stage's first day."""
        return slice(first - self.first, last - self.first + 1)


class Itinerary(NamedTuple):
    """Slots in the order of the course. Of two with the same price the lesser tuple is the better plan."""

    mains: tuple[int, ...]
    leaves: tuple[int, ...]

    def by_session(self, problem: Problem) -> dict[str, int]:
        """The slot of each session."""
        leaves, found = iter(self.leaves), {}
        for main, slot in zip(problem.mains, self.mains, strict=True):
            found[main.session_id] = slot
            if main.leaf is not None:
                found[main.leaf.session_id] = next(leaves)
        return found


class Chain:
    """All plans with each main session inside its `days` and nothing at a barred start, lane by lane."""

    def __init__(self, planes: Planes, days: Sequence[Ends], bars: Bars, lanes: tuple[Choice, ...]) -> None:
        self._planes, self._lanes = planes, len(lanes)
        self._memory = planes.once("memory", lambda: Memory(planes))
        self._problem, self._weights = planes.problem, planes.problem.weights
        #: The columns that sessions with the same leaf will ask for.
        self._expected: dict[Follow | None, slice] = {}
        self._stages = self._open_stages(days, bars, lanes)
        self._ahead: dict[int, Points] = {}
        #: [lanes] the least price; INF or about that where there is no plan.
        self.costs: Points = np.full(self._lanes, INF, dtype=np.int32)
        if self._stages:
            self._look_ahead()
            self.costs = self._ahead[0].min(axis=(0, 1))

    def trace(self, lane: int) -> Itinerary:
        """The least of the cheapest itineraries of a lane that has any."""
        stage, points = self._stages[0], self._ahead[0][:, :, lane].T
        day, row = (int(place) for place in np.unravel_index(int(points.argmin()), points.shape))
        day += stage.first
        self._planes.effort += effort.TRACE[effort.has_leaves(self._planes)] * len(self._stages)
        mains, leaves, state = [], [], 0
        for place, stage in enumerate(self._stages):
            cell = (row, day - stage.sheet.first)
            mains.append(int(stage.sheet.slot[cell]))
            gap, start = None, None
            if place + 1 < len(self._stages):
                rest = self._rest(place, cell, lane, state)
                gap, row, start, state = self._best_step(place, cell, (lane, state), rest)
                day += gap
            if stage.follow is not None:
                leaves.append(stage.follow.choose(cell, self._planes.told(place, gap), start, lane))
        return Itinerary(tuple(mains), tuple(leaves))

    def _open_stages(self, days: Sequence[Ends], bars: Bars, lanes: tuple[Choice, ...]) -> list[Stage]:
        """The stages with their days narrowed by gaps and spans; none when one has no day left."""
        whole = self._planes.whole
        if len(lanes) > 1:  # one lane has its sheets of all days already, others only need these
            whole = range(max(0, min(first for first, _ in days)), min(whole.stop, 1 + max(last for _, last in days)))
        mains = self._problem.mains
        sheets = [self._planes.sheet(main, bars, lanes, whole) for main in mains]
        used = []
        for sheet, (first, last) in zip(sheets, days, strict=True):
            open_days = sheet.days[sheet.soonest < INF]
            used.append(open_days[(open_days >= first) & (open_days <= last)])
        if not all(len(each) for each in used):
            return []
        ends = [(int(each[0]), int(each[-1])) for each in used]
        if not self._narrow(used, ends):
            return []
        follows = [follow(self._planes, main, bars, lanes, whole) for main in mains]
        every = zip(mains, sheets, follows, ends, strict=True)
        stages = [Stage(main, sheet, leaf, *edges) for main, sheet, leaf, edges in every]
        for stage in stages:
            mine = stage.columns(stage.first, stage.last)
            other = self._expected.get(stage.follow, mine)
            self._expected[stage.follow] = slice(min(mine.start, other.start), max(mine.stop, other.stop))
        return stages

    def _narrow(self, used: list[Ints], ends: list[Ends]) -> bool:
        """Take from the first and last days of each session what the others exclude; False when nothing is left."""
        distances = self._planes.once("distances", self._distances)
        narrower = True
        while narrower:
            narrower = False
            for one, other, least, most in distances:
                (low, high), (first, last) = ends[one], ends[other]
                for place, start, end in ((one, first - most, last - least), (other, low + least, high + most)):
                    if start <= ends[place][0] and end >= ends[place][1]:
                        continue
                    left = used[place][(used[place] >= start) & (used[place] <= end)]
                    if not len(left):
                        return False
                    used[place], narrower = left, True
                    ends[place] = int(left[0]), int(left[-1])
        return True

    def _distances(self) -> list[tuple[int, int, int, int]]:
        """Two main sessions by their places, and how many days lie between them at least and at most."""
        found = []
        for place in range(len(self._problem.mains) - 1):
            gaps = self._planes.gaps(place)
            found.append((place, place + 1, gaps[0], gaps[-1]))
        for span in self._problem.spans:
            ends = self._problem.mains[span.first].session_id, self._problem.mains[span.last].session_id
            if self._problem.judged(*ends):
                found += [(span.first, span.last, span.min_days, span.max_days)]
        return found

    def _look_ahead(self) -> None:
        ends = [(stage.first, stage.last) for stage in self._stages]
        self._planes.effort += effort.of_pass(self._planes, self._memory.widths, ends, self._lanes)
        end = len(self._stages) - 1
        for place in range(end, -1, -1):
            stage = self._stages[place]
            days, columns = np.arange(stage.first, stage.last + 1), stage.columns(stage.first, stage.last)
            points = stage.sheet.cost[:, columns]
            if place == end:
                points = points + (self._weights.finish * days[:, np.newaxis]).astype(np.int32)
                if stage.follow is not None:
                    points = points + stage.follow.after(None, columns, self._expected[stage.follow])
                points = np.repeat(points, self._lanes // points.shape[2], axis=2)
                points = np.repeat(points, self._memory.widths[place], axis=2)
            else:
                points = np.repeat(points, self._memory.widths[place], axis=2) if points.shape[2] > 1 else points
                points = points + self._step(place)
            if place == 0:
                points = points + (self._weights.begin * days[:, np.newaxis]).astype(np.int32)
            self._ahead[place] = np.minimum(points, INF, out=points)

    def _step(self, place: int) -> Points:
        """[rows, days, lanes] the price of all that comes after a main session: its leaf, the gap, and the rest."""
        here, there = self._stages[place], self._stages[place + 1]
        shape = len(here.sheet.minute), here.last - here.first + 1, self._lanes * self._memory.widths[place]
        best: Points = np.full(shape, INF, dtype=np.int32)
        near = self._nearest(place, self._ahead[place + 1])
        for gap in self._planes.gaps(place):
            first, last = max(here.first, there.first - gap), min(here.last, there.last - gap)
            if first > last:
                continue
            days = np.arange(first, last + 1)
            if self._clock_matters(place, gap, first, last):
                points = self._by_the_clock(place, gap, days)
            else:
                points = self._by_the_day(place, gap, days, near[:, there.within(first + gap, last + gap)])
            part = best[:, here.within(first, last)]
            price = np.asarray(self._planes.price_of_gap(place, gap, days), dtype=np.int32)
            np.minimum(part, points + price[..., np.newaxis], out=part)
        return best

    def _nearest(self, place: int, after: Points) -> Points:
        """[rows, days of the next] the best start of the next main session on each day, seen from each row of this.

        `after`: the price of each of its starts, with all that comes from there on.
        """
        prices = self._time_of_day(place)
        if not prices.any():
            any_row: Points = after.min(axis=0, keepdims=True)
            return any_row
        if 1 in prices.shape:
            each_row: Points = (after[np.newaxis] + prices[:, :, np.newaxis, np.newaxis]).min(axis=1)
            return each_row
        # Both sessions have the same evenly spaced rows, so the price depends on the distance alone.
        cap, rows = self._weights.time_of_day_cap, self._problem.grid.row_minutes
        best: Points = np.minimum(after, after.min(axis=0, keepdims=True) + cap)
        if QUARTER % rows == 0:
            return self._by_quarters(best, QUARTER // rows, after)
        for shift in range(1, len(prices)):
            price = int(prices[0, shift])
            if price >= cap:
                break
            np.minimum(best[shift:], after[:-shift] + price, out=best[shift:])
            np.minimum(best[:-shift], after[shift:] + price, out=best[:-shift])
        return best

    def _by_quarters(self, best: Points, step: int, after: Points) -> Points:
        """The same by whole quarters: what starts less than one away costs nothing, then every quarter the same.

        Each round doubles how far is looked, for whoever is so many quarters away is half as many from someone between.
        """
        wide = after.copy()
        for shift in range(1, step):
            _nearer(wide, after, shift, 0)
        weight, quarters = self._weights.time_of_day, 1
        while weight * quarters < self._weights.time_of_day_cap and quarters * step < len(wide):
            _nearer(wide, wide.copy(), quarters * step, weight * quarters)
            quarters *= 2
        return np.minimum(best, wide, out=best)

    def _by_the_day(self, place: int, gap: int, days: Ints, near: Points) -> Points:
        """The step where the day alone tells what may follow: `near` is the best start of the next session on each."""
        here = self._stages[place]
        points = self._memory.recalled(place, gap, days, near)
        if here.follow is None:
            return points
        told, columns = self._planes.told(place, gap), here.columns(int(days[0]), int(days[-1]))
        return points + self._memory.spread(place, here.follow.after(told, columns, self._expected[here.follow]))

    def _by_the_clock(self, place: int, gap: int, days: Ints) -> Points:
        """The step where the day alone does not tell what may follow: such starts of the next session one by one."""
        here, there = self._stages[place], self._stages[place + 1]
        first, last = int(days[0]), int(days[-1])
        columns = here.columns(first, last)
        starts = there.sheet.slot[:, there.columns(first + gap, last + gap)]
        after = self._ahead[place + 1][:, there.within(first + gap, last + gap)]
        close = self._close(place, gap, columns, (starts, starts))[..., np.newaxis]
        best = self._by_the_day(place, gap, days, self._nearest(place, np.where(close, np.int32(INF), after)))
        after = self._memory.recalled(place, gap, days, np.where(close, after, np.int32(INF)))
        prices = self._time_of_day(place)
        for row in np.nonzero((after < INF).any(axis=(1, 2)))[0]:
            between = self._memory.spread(place, self._between(place, gap, (EVERY, columns), starts[row]))
            best = np.minimum(best, between + prices[:, row, np.newaxis, np.newaxis] + after[row])
        return best

    def _rest(self, place: int, cell: tuple[int, int], lane: int, state: int) -> int:
        """The price of the cheapest way on from one start of a main session."""
        stage = self._stages[place]
        day = stage.sheet.first + cell[1]
        mine = stage.sheet.cost[cell]
        total = self._ahead[place][cell[0], day - stage.first, lane * self._memory.widths[place] + state]
        return int(total) - int(mine[lane % len(mine)]) - (0 if place else self._weights.begin * day)

    def _best_step(
        self, place: int, cell: tuple[int, int], column: tuple[int, int], rest: int
    ) -> tuple[int, int, int, int]:
        """From one start of a main session the way on at that price, the earliest of equals: gap, row, slot, state."""
        here, there = self._stages[place], self._stages[place + 1]
        lane, state = column
        cells = (slice(cell[0], cell[0] + 1), slice(cell[1], cell[1] + 1))
        day, prices = here.sheet.first + cell[1], self._time_of_day(place)[cell[0]]
        for gap in self._planes.gaps(place):
            then = self._memory.step(place, gap, day, state)
            if not there.first <= day + gap <= there.last or then == FORBIDDEN:
                continue
            width = self._memory.widths[place + 1]
            points = prices + self._ahead[place + 1][:, day + gap - there.first, lane * width + then]
            points += np.asarray(self._planes.price_of_gap(place, gap, np.array([day])), dtype=np.int32)
            if points.min() > rest:
                continue
            starts = there.sheet.slot[:, day + gap - there.sheet.first]
            points += self._between(place, gap, cells, starts, slice(lane, lane + 1))[0, :, 0]
            row = int(points.argmin())
            if points[row] == rest:
                return gap, row, int(starts[row]), then
        raise AssertionError(place)  # the price was worked out from one of these steps

    def _between(self, place: int, gap: int, cells: Cells, next_start: Ints, lanes: slice = EVERY) -> Points:
        """[..., lanes] the leaf's price, INF where the next main session would start too soon, for its given start."""
        since = self._stages[place].sheet.slot[cells]
        least, most = self._distance(place)
        unlawful = (since + least > next_start) | (since + most < next_start)
        leaf = self._stages[place].follow
        if leaf is None:
            points: Points = np.where(unlawful, INF, 0)[..., np.newaxis].astype(np.int32)
            return points
        points = leaf.cheapest(cells, self._planes.told(place, gap), next_start, lanes)
        return np.where(unlawful[..., np.newaxis], np.int32(INF), points)

    def _clock_matters(self, place: int, gap: int, first: int, last: int) -> bool:
        """Whether, on some of these days, a visit could run into the next main session though the days are lawful."""
        here, there = self._stages[place], self._stages[place + 1]
        least, most = self._distance(place)
        if (
            most == INF
            and least <= self._planes.calendar.least_between(gap)
            and (here.follow is None or here.follow.keeps_off)
        ):
            return False
        # What holds on all days that the sheets have holds on some, and is asked once for all stages that are alike.
        told = self._planes.told(place, gap)
        key = ("clock", here.sheet, there.sheet, here.follow, gap, told, least, most)
        ever = self._planes.once(key, lambda: self._matters(place, gap, *_overlap(here.sheet, there.sheet, gap)))
        return ever and self._matters(place, gap, first, last)

    def _matters(self, place: int, gap: int, first: int, last: int) -> bool:
        if first > last:
            return False
        here, there = self._stages[place].sheet, self._stages[place + 1].sheet
        columns = self._stages[place].columns(first, last)
        following = self._stages[place + 1].columns(first + gap, last + gap)
        soonest, latest = there.soonest[following], there.latest[following]
        used = (soonest < INF) & (here.soonest[columns] < INF)
        return bool((used & self._close(place, gap, columns, (soonest, latest))).any())

    def _close(self, place: int, gap: int, columns: slice, starts: tuple[Ints, Ints]) -> Bools:
        """[..., days] whether, of some starts of the next main session, the first may be too soon or the last too late.

        That is: for some start of this main session on that day, or for its leaf, though the days are lawful.
        """
        here, (least, most) = self._stages[place], self._distance(place)
        soonest, latest = starts
        over, told = here.sheet.latest[columns] + least, self._planes.told(place, gap)
        if here.follow is not None and told is not None:
            over = np.maximum(over, here.follow.over(told, columns))
        close: Bools = (over > soonest) | (here.sheet.soonest[columns] + most < latest)
        return close

    def _distance(self, place: int) -> tuple[int, int]:
        """How many slots the next main session starts after this one, at least and at most."""
        return self._planes.once(("distance", place), lambda: self._new_distance(place))

    def _new_distance(self, place: int) -> tuple[int, int]:
        here, there = self._stages[place].main, self._stages[place + 1].main
        if not self._problem.judged(here.session_id, there.session_id):
            return -INF, INF
        least, most = here.until(there)
        return least, INF if most is None else most

    def _time_of_day(self, place: int) -> Points:
        """[rows here, rows there] the price of changing the wall time between two doses."""
        here, there = self._stages[place], self._stages[place + 1]
        matters = here.main.dosing and there.main.dosing
        key = "time of day", matters, here.sheet.minute.tobytes(), there.sheet.minute.tobytes()
        return self._planes.once(key, lambda: self._new_time_of_day(here, there, matters=matters))

    def _new_time_of_day(self, here: Stage, there: Stage, *, matters: bool) -> Points:
        apart = np.abs(here.sheet.minute[:, np.newaxis] - there.sheet.minute) // QUARTER
        prices = np.minimum(self._weights.time_of_day * apart, self._weights.time_of_day_cap).astype(np.int32)
        return prices if matters else np.zeros_like(prices)


def _overlap(here: Sheet, there: Sheet, gap: int) -> Ends:
    """The days of one sheet so many before those of another."""
    first, last = max(here.first, there.first - gap), min(here.days[-1], there.days[-1] - gap)
    return first, int(last)


def _nearer(wide: Points, points: Points, shift: int, price: int) -> None:
    """Lessen points to those so many rows before and after, at a price."""
    dearer = points + price if price else points
    np.minimum(wide[shift:], dearer[:-shift], out=wide[shift:])
    np.minimum(wide[:-shift], dearer[shift:], out=wide[:-shift])
