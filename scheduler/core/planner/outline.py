"""What the days alone say of a course: a bound that no plan is below, for every day of every main session.

Hours are left out: each day counts with its cheapest start, and each step with its cheapest leaf. What remains is a
line of days for each session, swept once from either end, so that the exact program need only look at the days
that a plan of some price could use.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from scheduler.core.planner import effort
from scheduler.core.planner.dp import Ends
from scheduler.core.planner.grid import Ints
from scheduler.core.planner.leaves import Follow, follow
from scheduler.core.planner.planes import INF, Bars, Choice, Planes, Sheet

#: A gap, the places of the days from which it leads to the next main session, and its price for each of them.
Step = tuple[int, slice, Ints]


class Outline:
    """All plans that keep off the bars and have these primary persons, seen by the day."""

    def __init__(self, planes: Planes, bars: Bars, choice: Choice) -> None:
        self._planes, self._weights = planes, planes.problem.weights
        planes.effort += effort.LAYOUT[effort.has_leaves(planes)]
        mains, lanes, whole = planes.problem.mains, (choice,), planes.whole
        self._sheets = [planes.sheet(main, bars, lanes, whole) for main in mains]
        self._follows = [follow(planes, main, bars, lanes, whole) for main in mains]
        self._first = min(sheet.first for sheet in self._sheets)
        self._width = max(int(sheet.days[-1]) for sheet in self._sheets) + 1 - self._first
        self._days = np.arange(self._first, self._first + self._width)
        self._nothing = np.zeros(self._width, dtype=np.int64)
        self._points = [self._by_day(sheet) for sheet in self._sheets]
        ahead, self._steps = self._look_ahead()
        #: For each main session [days] the least that a plan costs which has it on that day.
        self._through = self._look_back(ahead)
        #: What no plan is below; INF or about that where there is none.
        self.least = int(self._through[0].min())

    def days(self, limit: int) -> list[Ends] | None:
        """For each main session the days from which to which a plan of at most that price may have it."""
        ends = []
        for through in self._through:
            used = np.nonzero(through <= limit)[0]
            if not len(used):
                return None
            ends.append((int(used[0]) + self._first, int(used[-1]) + self._first))
        return ends

    def _by_day(self, sheet: Sheet) -> Ints:
        points = np.full(self._width, INF, dtype=np.int64)
        at = sheet.first - self._first
        points[at : at + sheet.cost.shape[1]] = self._planes.once(
            ("cheapest starts", sheet), lambda: sheet.cost.min(axis=(0, 2))
        )
        return points

    def _look_ahead(self) -> tuple[list[Ints], list[list[Step]]]:
        """From the last session to the first what a plan costs from that day on; and the price of every step."""
        end = len(self._points) - 1
        last = self._points[end] + self._weights.finish * self._days + self._leaf(end, None)
        ahead: list[Ints] = [np.minimum(last, INF)]
        steps: list[list[Step]] = []
        for place in range(end - 1, -1, -1):
            found = list(self._steps_from(place))
            best: Ints = np.full(self._width, INF, dtype=np.int64)
            for gap, here, price in found:
                part = best[here]
                np.minimum(part, price + ahead[0][here.start + gap : here.stop + gap], out=part)
            ahead.insert(0, np.minimum(best + self._points[place], INF))
            steps.insert(0, found)
        return ahead, steps

    def _look_back(self, ahead: list[Ints]) -> list[Ints]:
        before = self._weights.begin * self._days
        through = [before + ahead[0]]
        for place, steps in enumerate(self._steps):
            here_and_before = before + self._points[place]
            before = np.full(self._width, INF, dtype=np.int64)
            for gap, here, price in steps:
                part = before[here.start + gap : here.stop + gap]
                np.minimum(part, price + here_and_before[here], out=part)
            through.append(before + ahead[place + 1])
        return through

    def _steps_from(self, place: int) -> Iterator[Step]:
        """Every gap to the next main session."""
        for gap in self._planes.gaps(place):
            here = slice(max(0, -gap), min(self._width, self._width - gap))
            if here.start < here.stop:
                price = self._nothing + self._planes.price_of_gap(place, gap, self._days) + self._leaf(place, gap)
                yield gap, here, price[here]

    def _leaf(self, place: int, gap: int | None) -> Ints | int:
        """[days] no leaf costs less when the next main session is so many days later."""
        leaf, sheet = self._follows[place], self._sheets[place]
        if leaf is None:
            return 0
        told = leaf.reached(self._planes.told(place, gap))
        points: Ints = np.full(self._width, INF, dtype=np.int64)
        at = sheet.first - self._first
        points[at : at + sheet.cost.shape[1]] = self._planes.once(
            ("cheapest leaves", sheet, leaf, told), lambda: _cheapest_leaves(sheet, leaf, told)
        )
        return points


def _cheapest_leaves(sheet: Sheet, leaf: Follow, gap: int) -> Ints:
    points: Ints = leaf.at_least(sheet.able, gap).min(axis=1)
    return points
