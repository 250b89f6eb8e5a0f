"""The exact dynamic program: the cheapest course in which only neighbors in the chain know of each other.

It runs from the last main session to the first. `ahead[i][row, day, lane]` is the price of all that comes from main
session i on when that one starts there: itself, its leaf, the step to the next, and the rest. What binds sessions that
are further apart (spans, leaves that may outlast the next session) is not seen here; `search` looks after it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from scheduler.core.bitmap import SLOT_MINUTES
from scheduler.core.planner.grid import Ints
from scheduler.core.planner.leaves import Cells, Follow, follow
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
        self._problem, self._weights = planes.problem, planes.problem.weights
        self._stages = self._open_stages(window, bars, lanes)
        self._ahead: dict[int, Ints] = {}
        #: [lanes] the least price; INF or about that where there is no plan.
        self.costs: Ints = np.full(self._lanes, INF)
        if self._stages:
            self._look_ahead()
            self.costs = self._ahead[0].min(axis=(0, 1))

    def trace(self, lane: int) -> Itinerary:
        """The least of the cheapest itineraries of a lane that has any."""
        stage, points = self._stages[0], self._ahead[0][:, :, lane].T
        day, row = (int(place) for place in np.unravel_index(int(points.argmin()), points.shape))
        day += stage.first
        mains, leaves = [], []
        for place, stage in enumerate(self._stages):
            cell = (row, day - stage.sheet.first)
            mains.append(int(stage.sheet.slot[cell]))
            gap, start = None, None
            if place + 1 < len(self._stages):
                gap, row, start = self._best_step(place, cell, lane)
                day += gap
            if stage.follow is not None:
                leaves.append(stage.follow.choose(cell, self._told(place, gap), start, lane))
        return Itinerary(tuple(mains), tuple(leaves))

    def _open_stages(self, window: tuple[int, int], bars: Bars, lanes: tuple[Choice, ...]) -> list[Stage]:
        """The stages with their days narrowed by the gaps, forward and back; none when one has no day left."""
        stages = []
        low, high = window
        for place, main in enumerate(self._problem.mains):
            sheet = self._planes.sheet(main, bars, lanes)
            days = sheet.days[sheet.soonest < INF]
            days = days[(days >= low) & (days <= high)]
            if not len(days):
                return []
            first, last = int(days[0]), int(days[-1])
            stages.append(Stage(main, sheet, follow(self._planes, main, bars, lanes), first, last))
            if place + 1 < len(self._problem.mains):
                gaps = self._planes.gaps(place)
                low, high = first + gaps[0], last + gaps[-1]
        for place in reversed(range(len(stages) - 1)):
            gaps, after = self._planes.gaps(place), stages[place + 1]
            first = max(stages[place].first, after.first - gaps[-1])
            last = min(stages[place].last, after.last - gaps[0])
            if first > last:
                return []
            stages[place] = stages[place]._replace(first=first, last=last)
        return stages

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
            else:
                points = points + self._step(place)
            if place == 0:
                points = points + self._weights.begin * days[:, np.newaxis]
            self._ahead[place] = np.minimum(points, INF)

    def _step(self, place: int) -> Ints:
        """[rows, days, lanes] the price of all that comes after a main session: its leaf, the gap, and the rest."""
        here, there = self._stages[place], self._stages[place + 1]
        best: Ints = np.full((len(here.sheet.minute), here.last - here.first + 1, self._lanes), INF)
        near = self._nearest(place)
        for gap in self._planes.gaps(place):
            first, last = max(here.first, there.first - gap), min(here.last, there.last - gap)
            if first > last:
                continue
            if self._clock_matters(place, gap, first, last):
                points = self._by_the_clock(place, gap, first, last)
            else:
                points = near[:, there.within(first + gap, last + gap)]
                if here.follow is not None:
                    points = points + here.follow.after(self._told(place, gap))[:, here.columns(first, last)]
            part = best[:, here.within(first, last)]
            np.minimum(part, points + self._price_of_gap(place, gap), out=part)
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
        cap = self._weights.time_of_day_cap
        best: Ints = np.minimum(after, after.min(axis=0, keepdims=True) + cap)
        for shift in range(1, len(prices)):
            price = int(prices[0, shift])
            if price >= cap:
                break
            np.minimum(best[shift:], after[:-shift] + price, out=best[shift:])
            np.minimum(best[:-shift], after[shift:] + price, out=best[:-shift])
        return best

    def _by_the_clock(self, place: int, gap: int, first: int, last: int) -> Ints:
        """The step where the day alone does not tell what may follow: each start of the next session by itself."""
        here, there = self._stages[place], self._stages[place + 1]
        cells = (slice(None), here.columns(first, last))
        starts = there.sheet.slot[:, there.columns(first + gap, last + gap)]
        after = self._ahead[place + 1][:, there.within(first + gap, last + gap)]
        prices = self._time_of_day(place)
        best: Ints = np.full((1,), INF)
        for row, start in enumerate(starts):
            points = self._between(place, gap, cells, start) + prices[:, row, np.newaxis, np.newaxis]
            best = np.minimum(best, points + after[row])
        return best

    def _best_step(self, place: int, cell: tuple[int, int], lane: int) -> tuple[int, int, int]:
        """From one start of a main session the cheapest way on, the earliest of equals: gap in days, row and slot."""
        here, there = self._stages[place], self._stages[place + 1]
        cells = (slice(cell[0], cell[0] + 1), slice(cell[1], cell[1] + 1))
        prices, found = self._time_of_day(place)[cell[0]], []
        for gap in self._planes.gaps(place):
            day = here.sheet.first + cell[1] + gap
            if there.first <= day <= there.last:
                starts = there.sheet.slot[:, day - there.sheet.first]
                after = self._ahead[place + 1][:, day - there.first, lane]
                between = self._between(place, gap, cells, starts)[0]
                points = after + prices + between[:, min(lane, between.shape[1] - 1)] + self._price_of_gap(place, gap)
                row = int(points.argmin())
                found.append((int(points[row]), gap, row, int(starts[row])))
        return min(found)[1:]

    def _between(self, place: int, gap: int, cells: Cells, next_start: Ints) -> Ints:
        """[..., lanes] the leaf's price, INF where the next main session would start too soon, for its given start."""
        main, after = self._stages[place].main, self._stages[place + 1].main
        over = self._stages[place].sheet.slot[cells] + main.minutes // SLOT_MINUTES
        late = (over > next_start) & self._problem.judged(main.session_id, after.session_id)
        points: Ints = np.where(late, INF, 0)[..., np.newaxis]
        leaf = self._stages[place].follow
        return points if leaf is None else points + leaf.cheapest(cells, self._told(place, gap), next_start)

    def _clock_matters(self, place: int, gap: int, first: int, last: int) -> bool:
        """Whether, on some of these days, a visit could run into the next main session though the days are lawful."""
        here, there = self._stages[place], self._stages[place + 1]
        columns = here.columns(first, last)
        soonest = there.sheet.soonest[there.columns(first + gap, last + gap)]
        over = here.sheet.latest[columns] + here.main.minutes // SLOT_MINUTES
        if self._problem.judged(here.main.session_id, there.main.session_id) and (over > soonest).any():
            return True
        told = self._told(place, gap)
        return here.follow is not None and told is not None and here.follow.may_run_into(told, columns, soonest)

    def _told(self, place: int, gap: int | None) -> int | None:
        """The gap as far as it concerns the leaf: not when leaf and next main session are both pinned."""
        leaf = self._stages[place].main.leaf
        if leaf is None or gap is None:
            return None
        return gap if self._problem.judged(leaf.session_id, self._stages[place + 1].main.session_id) else None

    def _price_of_gap(self, place: int, days: int) -> int:
        gap = self._stages[place + 1].main.gap
        return self._weights.gap * abs(days - gap.target) if gap else 0

    def _time_of_day(self, place: int) -> Ints:
        """[rows here, rows there] the price of changing the wall time between two doses."""
        here, there = self._stages[place], self._stages[place + 1]
        apart = np.abs(here.sheet.minute[:, np.newaxis] - there.sheet.minute)
        prices: Ints = np.minimum(self._weights.time_of_day * (apart // QUARTER), self._weights.time_of_day_cap)
        return prices if here.main.dosing and there.main.dosing else np.zeros_like(prices)
