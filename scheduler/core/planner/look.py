"""The cheapest way along a trail at some prices: a tenth of the exact planner's work."""

from __future__ import annotations

import numpy as np

from scheduler.core.planner.dp import Itinerary
from scheduler.core.planner.grid import Ints
from scheduler.core.planner.leaves import EVERY, RangeMinimum, Stretch
from scheduler.core.planner.planes import IMPOSSIBLE, INF
from scheduler.core.planner.problem import Span
from scheduler.core.planner.trail import Line, Pair, Prices, Step, Trail

#: What it costs, and the start of each session.
Way = tuple[int, Itinerary]


def cheapest(trail: Trail, prices: Prices) -> Way | None:
    """The cheapest way at these prices, the earliest of equals; None where there is none. One broken span is mended."""
    look = Look(trail, prices)
    found = look.best(None)
    span = None if found is None else trail.broken(found[1])
    return found if span is None else look.best(span)


class Look:
    """One question: a trail at some prices."""

    def __init__(self, trail: Trail, prices: Prices) -> None:
        self._trail = trail
        self._slope = trail.wishes * trail.problem.weights.leaf_delay
        self._main = {pair: pair.line.priced(prices) for pair in dict.fromkeys(trail.pairs)}
        self._leaf: dict[Pair, Ints] = {}
        self._tables: dict[Pair, tuple[RangeMinimum, ...]] = {}
        #: What each start costs with its leaf, and the cheapest of each day; None: whenever the next main session is.
        self._cells: dict[tuple[Pair, int | None], tuple[Ints, Ints]] = {}
        self._leaving: dict[tuple[Pair, Step], Ints] = {}
        for pair in self._main:
            if pair.follower is not None:
                self._lay_out(pair, np.append(pair.follower.priced(prices), INF), np.append(pair.follower.day, 0))

    def _lay_out(self, pair: Pair, cost: Ints, day: Ints) -> None:
        self._leaf[pair] = cost
        lanes = [cost - self._slope * day, cost + self._slope * day] if self._slope else [cost]
        self._tables[pair] = tuple(RangeMinimum(each[:, np.newaxis].astype(np.int32), pair.longest) for each in lanes)

    def best(self, span: Span | None) -> Way | None:
        """The cheapest way, the span kept too."""
        ahead, ends = self._look_ahead(span)
        total = ahead[0][:-1] + self._trail.begin
        day = int(total.argmin())
        return None if total[day] >= IMPOSSIBLE else (int(total[day]), self._trace(ahead, day, span, ends))

    def _look_ahead(self, span: Span | None) -> tuple[list[Ints], Ints | None]:
        """From the last main session to the first what a way costs from each day on, INF beyond the grid.

        Within a span there is a line for each day of its last session; then comes, for each day of its first, which.
        """
        pairs, size, ends = self._trail.pairs, self._trail.days, None
        last = self._day(pairs[-1], None)[1] + self._trail.finish
        ahead: list[Ints] = [np.append(last, INF)]
        for place in range(len(pairs) - 1, -1, -1):
            if place < len(pairs) - 1:
                after = ahead[0]
                found = np.full((*after.shape[:-1], size + 1), INF, dtype=np.int64)
                np.minimum(self._stepping(place, after).min(axis=-2), INF, out=found[..., :-1])
                ahead.insert(0, found)
            if span is not None and place == span.last:
                ahead[0] = np.where(np.eye(size, size + 1, dtype=np.bool_), ahead[0], INF)
            if span is not None and place == span.first:
                apart = np.arange(size)[:, np.newaxis] - np.arange(size + 1)
                kept = np.where((apart >= span.min_days) & (apart <= span.max_days), ahead[0], INF)
                ends, ahead[0] = kept.argmin(axis=0), kept.min(axis=0)
        return ahead, ends

    def _stepping(self, place: int, after: Ints) -> Ints:
        """[..., gaps, days] what it costs to leave a main session for the next, and all that comes then."""
        pair, step = self._trail.pairs[place], self._trail.steps[place]
        if (pair, step) not in self._leaving:
            days = [self._day(pair, pair.told(gap))[1] for gap in step.gaps]
            self._leaving[pair, step] = np.stack(days) + step.cost[:, np.newaxis]
        priced: Ints = after[..., step.then] + self._leaving[pair, step]
        return priced

    def _day(self, pair: Pair, told: int | None) -> tuple[Ints, Ints]:
        if (pair, told) not in self._cells:
            cost = self._main[pair]
            if pair.follower is not None:
                cost = np.minimum(cost + self._following(pair, told), INF)
            self._cells[pair, told] = cost, pair.line.by_day(cost, self._trail.days)
        return self._cells[pair, told]

    def _following(self, pair: Pair, told: int | None) -> Ints:
        """The cheapest leaf of each start."""
        (start, _), end, tables = pair.stretch, pair.until(told), self._tables[pair]
        if len(tables) == 1:
            return tables[0].of(Stretch(start, end), EVERY)[:, 0].astype(np.int64)
        early = tables[0].of(Stretch(start, np.minimum(end, pair.middle)), EVERY)[:, 0]
        late = tables[1].of(Stretch(np.maximum(start, pair.middle), end), EVERY)[:, 0]
        found: Ints = np.minimum(early + self._slope * pair.target, late - self._slope * pair.target)
        return found

    def _trace(self, ahead: list[Ints], day: int, span: Span | None, ends: Ints | None) -> Itinerary:
        mains, leaves, end = [], [], 0
        for place, pair in enumerate(self._trail.pairs):
            if span is not None and ends is not None and place == span.first:
                end = int(ends[day])
            gap = None
            if place + 1 < len(ahead):
                after = ahead[place + 1]
                steps = self._stepping(place, after[end] if after.ndim > 1 else after)
                gap = self._trail.steps[place].gaps[int(steps[:, day].argmin())]
            cell = self._cheapest(pair, day, pair.told(gap))
            mains.append(int(pair.line.slot[cell]))
            if pair.follower is not None:
                leaves.append(self._leaf_of(pair, pair.follower, cell, pair.told(gap)))
            day += gap or 0
        return Itinerary(tuple(mains), tuple(leaves))

    def _cheapest(self, pair: Pair, day: int, told: int | None) -> int:
        first, past = (int(edge) for edge in pair.line.edges[day : day + 2])
        return first + int(self._day(pair, told)[0][first:past].argmin())

    def _leaf_of(self, pair: Pair, line: Line, cell: int, told: int | None) -> int:
        part = slice(int(pair.stretch.start[cell]), int(pair.until(told)[cell]))
        cost = self._leaf[pair][part] + self._slope * np.abs(line.day[part] - pair.target[cell])
        return int(line.slot[part][cost.argmin()])
