"""The exact dynamic program: the cheapest course in which only neighbors in the chain know of each other.

It runs from the last main session to the first. `ahead[i][row, day, lane]` is the price of all that comes from main
session i on when that one starts there: itself, its leaf, the step to the next, and the rest. Caps are kept by the
states of `memory`, which share the last axis with the lanes. What else binds sessions that are further apart (spans,
leaves that may outlast the next session) only narrows the days here; `search` looks after it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from scheduler.core.bitmap import SLOT_MINUTES
from scheduler.core.planner.grid import Ints
from scheduler.core.planner.leaves import Cells, Follow, follow
from scheduler.core.planner.memory import FORBIDDEN, Memory
from scheduler.core.planner.planes import INF, QUARTER, Bars, Choice, Planes, Sheet
from scheduler.core.planner.problem import Main


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


class Chain:
    """All plans with the first main session inside `window` (days) and nothing at a barred start, lane by lane."""

    def __init__(self, planes: Planes, window: tuple[int, int], bars: Bars, lanes: tuple[Choice, ...]) -> None:
        self._planes, self._lanes = planes, len(lanes)
        self._memory = planes.once("memory", lambda: Memory(planes))
        self._problem, self._weights = planes.problem, planes.problem.weights
        self._stages = self._open_stages(window, bars, lanes)
        self._ahead: dict[int, Ints] = {}
        self._effort = 0
        #: [lanes] the least price; INF or about that where there is no plan.
        self.costs: Ints = np.full(self._lanes, INF)
        if self._stages:
            self._look_ahead()
            self.costs = self._ahead[0].min(axis=(0, 1))
            planes.effort += self._effort
            planes.effort_of_one = max(planes.effort_of_one, self._effort // self._lanes)

    def trace(self, lane: int) -> Itinerary:
        """The least of the cheapest itineraries of a lane that has any."""
        stage, points = self._stages[0], self._ahead[0][:, :, lane].T
        day, row = (int(place) for place in np.unravel_index(int(points.argmin()), points.shape))
        day += stage.first
        mains, leaves, state = [], [], 0
        for place, stage in enumerate(self._stages):
            cell = (row, day - stage.sheet.first)
            mains.append(int(stage.sheet.slot[cell]))
            gap, start = None, None
            if place + 1 < len(self._stages):
                gap, row, start, state = self._best_step(place, cell, lane, state)
                day += gap
            if stage.follow is not None:
                leaves.append(stage.follow.choose(cell, self._told(place, gap), start, lane))
        return Itinerary(tuple(mains), tuple(leaves))

    def _open_stages(self, window: tuple[int, int], bars: Bars, lanes: tuple[Choice, ...]) -> list[Stage]:
        """The stages with their days narrowed by gaps and spans; none when one has no day left."""
        sheets = [self._planes.sheet(main, bars, lanes) for main in self._problem.mains]
        used = [sheet.days[sheet.soonest < INF] for sheet in sheets]
        used[0] = used[0][(used[0] >= window[0]) & (used[0] <= window[1])]
        if not all(len(days) for days in used):
            return []
        ends = [(int(days[0]), int(days[-1])) for days in used]
        if not self._narrow(used, ends):
            return []
        stages = []
        for main, sheet, (first, last) in zip(self._problem.mains, sheets, ends, strict=True):
            stages.append(Stage(main, sheet, follow(self._planes, main, bars, lanes), first, last))
        return stages

    def _narrow(self, used: list[Ints], ends: list[tuple[int, int]]) -> bool:
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
        end = len(self._stages) - 1
        for place in range(end, -1, -1):
            stage = self._stages[place]
            days, columns = np.arange(stage.first, stage.last + 1), stage.columns(stage.first, stage.last)
            points = np.repeat(stage.sheet.cost[:, columns], self._lanes // stage.sheet.cost.shape[2], axis=2)
            if place == end:
                points = points + self._weights.finish * days[:, np.newaxis]
                if stage.follow is not None:
                    points = points + stage.follow.cheapest((slice(None), columns))
                points = np.repeat(points, self._memory.widths[place], axis=2)
            else:
                points = np.repeat(points, self._memory.widths[place], axis=2) + self._step(place)
            if place == 0:
                points = points + self._weights.begin * days[:, np.newaxis]
            self._ahead[place] = np.minimum(points, INF)

    def _step(self, place: int) -> Ints:
        """[rows, days, lanes] the price of all that comes after a main session: its leaf, the gap, and the rest."""
        here, there = self._stages[place], self._stages[place + 1]
        shape = len(here.sheet.minute), here.last - here.first + 1, self._lanes * self._memory.widths[place]
        best: Ints = np.full(shape, INF)
        near = self._nearest(place)
        for gap in self._planes.gaps(place):
            first, last = max(here.first, there.first - gap), min(here.last, there.last - gap)
            if first > last:
                continue
            days = np.arange(first, last + 1)
            self._effort += shape[0] * len(days) * shape[2]
            if self._clock_matters(place, gap, first, last):
                points = self._by_the_clock(place, gap, days)
            else:
                points = self._memory.recalled(place, gap, days, near[:, there.within(first + gap, last + gap)])
                if here.follow is not None:
                    leaf = here.follow.after(self._told(place, gap))[:, here.columns(first, last)]
                    points = points + self._memory.spread(place, leaf)
            part = best[:, here.within(first, last)]
            price = self._planes.price_of_gap(place, gap, days)
            np.minimum(part, points + price[:, np.newaxis], out=part)
        return best

    def _nearest(self, place: int) -> Ints:
        """[rows, days of the next] the best start of the next main session on each day, seen from each row of this."""
        prices, after = self._time_of_day(place), self._ahead[place + 1]
        if not prices.any():
            any_row: Ints = after.min(axis=0, keepdims=True)
            return any_row
        if 1 in prices.shape:
            each_row: Ints = (after[np.newaxis] + prices[:, :, np.newaxis, np.newaxis]).min(axis=1)
            return each_row
        # Both sessions have the same evenly spaced rows, so the price depends on the distance alone.
        cap, rows = self._weights.time_of_day_cap, self._problem.grid.row_minutes
        best: Ints = np.minimum(after, after.min(axis=0, keepdims=True) + cap)
        if QUARTER % rows == 0:
            return self._by_quarters(best, QUARTER // rows, after)
        for shift in range(1, len(prices)):
            price = int(prices[0, shift])
            if price >= cap:
                break
            np.minimum(best[shift:], after[:-shift] + price, out=best[shift:])
            np.minimum(best[:-shift], after[shift:] + price, out=best[:-shift])
        return best

    def _by_quarters(self, best: Ints, step: int, after: Ints) -> Ints:
        """The same, quarter by quarter: whatever starts less than so many quarters away is one price."""
        wide = after
        for shift in range(1, step):
            wide = _wider(wide, after, shift)
        np.minimum(best, wide, out=best)
        weight, cap = self._weights.time_of_day, self._weights.time_of_day_cap
        for quarters in range(1, -(-cap // weight) if weight else 1):
            wide = _wider(wide, wide, step)
            np.minimum(best, wide + weight * quarters, out=best)
        return best

    def _by_the_clock(self, place: int, gap: int, days: Ints) -> Ints:
        """The step where the day alone does not tell what may follow: each start of the next session by itself."""
        here, there = self._stages[place], self._stages[place + 1]
        first, last = int(days[0]), int(days[-1])
        cells = (slice(None), here.columns(first, last))
        starts = there.sheet.slot[:, there.columns(first + gap, last + gap)]
        after = self._ahead[place + 1][:, there.within(first + gap, last + gap)]
        after = self._memory.recalled(place, gap, days, after)
        prices = self._time_of_day(place)
        best: Ints = np.full((1,), INF)
        for row, start in enumerate(starts):
            between = self._memory.spread(place, self._between(place, gap, cells, start))
            best = np.minimum(best, between + prices[:, row, np.newaxis, np.newaxis] + after[row])
        return best

    def _best_step(self, place: int, cell: tuple[int, int], lane: int, state: int) -> tuple[int, int, int, int]:
        """From one start of a main session the cheapest way on, the earliest of equals: gap, row, slot and state."""
        here, there = self._stages[place], self._stages[place + 1]
        cells = (slice(cell[0], cell[0] + 1), slice(cell[1], cell[1] + 1))
        prices, found = self._time_of_day(place)[cell[0]], []
        day = here.sheet.first + cell[1]
        for gap in self._planes.gaps(place):
            then = self._memory.step(place, gap, day, state)
            if there.first <= day + gap <= there.last and then != FORBIDDEN:
                starts = there.sheet.slot[:, day + gap - there.sheet.first]
                column = lane * self._memory.widths[place + 1] + then
                after = self._ahead[place + 1][:, day + gap - there.first, column]
                between = self._between(place, gap, cells, starts)[0]
                points = after + prices + between[:, min(lane, between.shape[1] - 1)]
                points = points + self._planes.price_of_gap(place, gap, np.array([day]))
                row = int(points.argmin())
                found.append((int(points[row]), gap, row, int(starts[row]), then))
        return min(found)[1:]

    def _between(self, place: int, gap: int, cells: Cells, next_start: Ints) -> Ints:
        """[..., lanes] the leaf's price, INF where the next main session would start too soon, for its given start."""
        since = self._stages[place].sheet.slot[cells]
        least, most = self._distance(place)
        unlawful = (since + least > next_start) | (since + most < next_start)
        points: Ints = np.where(unlawful, INF, 0)[..., np.newaxis]
        leaf = self._stages[place].follow
        return points if leaf is None else points + leaf.cheapest(cells, self._told(place, gap), next_start)

    def _clock_matters(self, place: int, gap: int, first: int, last: int) -> bool:
        """Whether, on some of these days, a visit could run into the next main session though the days are lawful."""
        here, there = self._stages[place], self._stages[place + 1]
        columns, following = here.columns(first, last), there.columns(first + gap, last + gap)
        least, most = self._distance(place)
        soonest, latest = there.sheet.soonest[following], there.sheet.latest[following]
        used = (soonest < INF) & (here.sheet.soonest[columns] < INF)
        too_soon = here.sheet.latest[columns] + least > soonest
        if (used & (too_soon | (here.sheet.soonest[columns] + most < latest))).any():
            return True
        told = self._told(place, gap)
        return here.follow is not None and told is not None and here.follow.may_run_into(told, columns, soonest)

    def _distance(self, place: int) -> tuple[int, int]:
        """How many slots the next main session starts after this one, at least and at most."""
        here, there = self._stages[place].main, self._stages[place + 1].main
        if not self._problem.judged(here.session_id, there.session_id):
            return -INF, INF
        rest = there.gap.rest if there.gap else None
        if rest is None:
            return here.minutes // SLOT_MINUTES, INF
        edge = here.minutes if rest.edge == "end" else 0
        least = max(here.minutes, edge + rest.min)
        return -(-least // SLOT_MINUTES), INF if rest.max is None else (edge + rest.max) // SLOT_MINUTES

    def _told(self, place: int, gap: int | None) -> int | None:
        """The gap as far as it concerns the leaf: not when leaf and next main session are both pinned."""
        leaf = self._stages[place].main.leaf
        if leaf is None or gap is None:
            return None
        return gap if self._problem.judged(leaf.session_id, self._stages[place + 1].main.session_id) else None

    def _time_of_day(self, place: int) -> Ints:
        """[rows here, rows there] the price of changing the wall time between two doses."""
        here, there = self._stages[place], self._stages[place + 1]
        apart = np.abs(here.sheet.minute[:, np.newaxis] - there.sheet.minute)
        prices: Ints = np.minimum(self._weights.time_of_day * (apart // QUARTER), self._weights.time_of_day_cap)
        return prices if here.main.dosing and there.main.dosing else np.zeros_like(prices)


def _wider(wide: Ints, points: Ints, shift: int) -> Ints:
    """The lesser of some points and of others so many rows before and after."""
    wider = wide.copy()
    np.minimum(wider[shift:], points[:-shift], out=wider[shift:])
    np.minimum(wider[:-shift], points[shift:], out=wider[:-shift])
    return wider
