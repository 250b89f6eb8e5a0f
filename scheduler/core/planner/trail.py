"""A course laid out for many questions about its cheapest way, where sessions know of each other by their days alone.

A way is a start for each session; `look` finds it. Rules by the clock between main sessions, caps, and who of several
is the primary person are not looked at, nor is the time of day from dose to dose: no plan costs less than the way, and
where there is none, there is no plan. A way that keeps those rules all the same is one.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass

import numpy as np

from scheduler.core.bitmap import SLOT_MINUTES
from scheduler.core.planner.dp import Itinerary
from scheduler.core.planner.grid import Ints, bools_of, calendar_of
from scheduler.core.planner.leaves import Stretch
from scheduler.core.planner.planes import INF
from scheduler.core.planner.pricing import misses
from scheduler.core.planner.problem import Cap, Gap, Leaf, Main, Problem, Span, Visit

#: What a start costs at each slot of the grid, for each session; INF where it may not be.
Prices = Mapping[str, Ints]


class Trail:
    """One course as it may go when nobody else is there; sessions that share their starts share what is laid out."""

    def __init__(self, problem: Problem, *, wishes: bool = True) -> None:
        """Without `wishes` a way costs what its starts do, and nothing else."""
        self.problem, self.wishes, self.days = problem, int(wishes), problem.grid.days
        self.calendar = calendar_of(problem.grid)
        self._lines: dict[Hashable, Line] = {}
        self._pairs: dict[Hashable, Pair] = {}
        self.pairs = [self._pair(main) for main in problem.mains]
        days, weights = np.arange(self.days), problem.weights
        self.begin, self.finish = (self.wishes * each * days for each in (weights.begin, weights.finish))
        gaps = [main.gap for main in problem.mains[1:] if main.gap is not None]
        steps = {gap: Step.of(self, gap) for gap in dict.fromkeys(gaps)}
        self.steps = [steps[gap] for gap in gaps]

    @staticmethod
    def leads(problem: Problem) -> bool:
        """Whether such a problem can be looked at so."""
        gaps = [main.gap for main in problem.mains if main.gap is not None]
        leaves = [main.leaf for main in problem.mains[:-1] if main.leaf is not None]
        bound = problem.pinned or problem.booked or problem.discords
        return not bound and all(leaf.before_next for leaf in leaves) and not any(gap.clinic_days for gap in gaps)

    def broken(self, found: Itinerary) -> Span | None:
        """A span that a way does not keep."""
        days = [self.calendar.local(slot)[0] for slot in found.mains]
        for span in self.problem.spans:
            if not span.min_days <= days[span.last] - days[span.first] <= span.max_days:
                return span
        return None

    def keeps(self, found: Itinerary) -> bool:
        """Whether a way keeps what was not looked at, and so is a plan."""
        problem, leaves = self.problem, iter(found.leaves)
        days = [self.calendar.local(slot)[0] for slot in found.mains]
        for place, (main, slot) in enumerate(zip(problem.mains, found.mains, strict=True)):
            if place:
                least, most = problem.mains[place - 1].until(main)
                apart = slot - found.mains[place - 1]
                if apart < least or (most is not None and apart > most):
                    return False
            leaf = None if main.leaf is None else next(leaves)
            over = 0 if leaf is None or main.leaf is None else leaf + main.leaf.minutes // SLOT_MINUTES
            if place + 1 < len(found.mains) and over > found.mains[place + 1]:
                return False
        lawful = self.broken(found) is None and all(self._below(cap, days) for cap in problem.caps)
        return lawful and self._served(found)

    def _served(self, found: Itinerary) -> bool:
        """Whether somebody serves all sessions of a role where the same person must."""
        if self.problem.continuity != "required":
            return True
        starts = found.by_session(self.problem)
        return all(0 in misses(self.problem, starts, role) for role in self.problem.roles())

    def _below(self, cap: Cap, days: list[int]) -> bool:
        """Whether no more of the main sessions lie close together than the cap allows."""
        weekday, tried = self.calendar.weekday(0), range(cap.first, cap.last - cap.most + 1)
        return not any(cap.counts_both(days[first], days[first + cap.most], weekday) for first in tried)

    def _line(self, visit: Visit) -> Line:
        key = type(visit), id(visit.starts), visit.minutes
        if key not in self._lines:
            self._lines[key] = Line.of(self, visit)
        return self._lines[key]

    def _pair(self, main: Main) -> Pair:
        leaf = main.leaf
        line, follower = self._line(main), None if leaf is None else self._line(leaf)
        rules = None if leaf is None else (leaf.window, leaf.same_day, leaf.before_next)
        key = id(line), id(follower), rules
        if key not in self._pairs:
            self._pairs[key] = Pair(self, main, line, follower)
        return self._pairs[key]


@dataclass(frozen=True, eq=False)
class Line:
    """The starts of a visit in order of time: slots, local days, what wishes make them cost; and where days begin."""

    session_id: str
    slot: Ints
    day: Ints
    cost: Ints
    edges: Ints
    #: The days that have any.
    some: Ints

    @classmethod
    def of(cls, trail: Trail, visit: Visit) -> Line:
        """Where the visit may start when nobody else is there."""
        by_time = trail.calendar.slot.T
        known = bools_of(visit.starts, trail.problem.grid.slots)
        day, row = np.nonzero((by_time >= 0) & known[np.maximum(by_time, 0)])
        slot, minute = by_time[day, row], trail.calendar.minute[row]
        cost = trail.wishes * (_wishes(trail.problem, visit, day, minute) + _persons(trail.problem, visit, slot))
        edges = np.searchsorted(day, np.arange(trail.days + 1))
        return cls(visit.session_id, slot, day, cost, edges, np.unique(day))

    def priced(self, prices: Prices) -> Ints:
        """What each start costs now."""
        found: Ints = np.minimum(self.cost + prices[self.session_id][self.slot], INF)
        return found

    def by_day(self, cost: Ints, size: int) -> Ints:
        """The cheapest of each day."""
        found: Ints = np.full(size, INF, dtype=np.int64)
        if len(cost):
            found[self.some] = np.minimum.reduceat(cost, self.edges[self.some])
        return found


def _wishes(problem: Problem, visit: Visit, day: Ints, minute: Ints) -> Ints:
    wish, weights, calendar = problem.preferences, problem.weights, calendar_of(problem.grid)
    outside = np.zeros(len(day), dtype=np.bool_)
    if wish.earliest is not None:
        outside |= minute < wish.earliest
    if wish.latest is not None:
        outside |= minute + visit.minutes > wish.latest
    if isinstance(visit, Leaf):
        talks: Ints = weights.leaf_hours * outside
        return talks
    liked = range(7) if wish.weekdays is None else wish.weekdays
    unwelcome = ~np.isin((calendar.weekday(0) + day) % 7, list(liked))
    found: Ints = weights.hours * outside + weights.weekday * unwelcome
    return found


def _persons(problem: Problem, visit: Visit, slot: Ints) -> Ints:
    """What it costs that somebody else than the one primary person there may be serves the visit."""
    found = np.zeros(len(slot), dtype=np.int64)
    for role in problem.roles():
        if problem.continuity == "preferred" and role in visit.by and len(problem.candidates[role]) == 1:
            able = bools_of(visit.by[role].get(problem.candidates[role][0], 0), problem.grid.slots)
            found += np.where(able[slot], 0, problem.weights.person(role))
    return found


class Pair:
    """A main session's starts and, where a leaf hangs on it, the stretch of the leaf's starts that each may have."""

    def __init__(self, trail: Trail, main: Main, line: Line, follower: Line | None) -> None:
        self.trail, self.line, self.follower, self.leaf = trail, line, follower, main.leaf
        self._until: dict[int | None, Ints] = {}
        if main.leaf is None or follower is None:
            return
        leaf = main.leaf
        soonest, wished, latest = main.reach(leaf)
        start = np.searchsorted(follower.slot, line.slot + soonest, side="left")
        end = np.searchsorted(follower.slot, line.slot + latest, side="right")
        if not leaf.same_day:
            start = np.maximum(start, follower.edges[np.minimum(line.day + 1, trail.days)])
        self.stretch, self.bound = Stretch(start, end), bool(leaf.before_next)
        self.longest = max(1, int((end - start).max(initial=1)))
        target = line.slot + wished
        self.target = trail.calendar.days_of(target) if len(target) else target
        self.middle = follower.edges[np.clip(self.target, 0, trail.days)]
        ends = follower.day[np.maximum(end - 1, 0)] if len(follower.day) else end
        self.reach = int((ends - line.day).max(initial=0)) + 1

    def told(self, gap: int | None) -> int | None:
        """The gap to the next main session as far as it matters; None: not at all."""
        if self.leaf is None or gap is None or not self.bound or gap >= self.reach:
            return None
        return gap

    def until(self, told: int | None) -> Ints:
        """Where the stretch of each start ends when the next main session is so many days later."""
        if told not in self._until:
            end = self.stretch.end
            if told is not None and self.follower is not None and self.leaf is not None:
                over = self.line.day + told + int(self.leaf.same_day)
                end = np.minimum(end, self.follower.edges[np.minimum(over, self.trail.days)])
            self._until[told] = end
        return self._until[told]


@dataclass(frozen=True, eq=False)
class Step:
    """How a main session leads to the next: the gaps, what each costs, and the days that each reaches."""

    gaps: tuple[int, ...]
    cost: Ints
    then: Ints

    @classmethod
    def of(cls, trail: Trail, gap: Gap) -> Step:
        """The last of the days stands for all beyond the grid."""
        gaps = np.arange(gap.min, gap.max + 1)
        cost = trail.wishes * trail.problem.weights.gap * np.abs(gaps - gap.target)
        then = np.minimum(gaps[:, np.newaxis] + np.arange(trail.days), trail.days)
        return cls(tuple(int(each) for each in gaps), cost, then)


def free_where(starts: int, size: int) -> Ints:
    """The prices of a visit that may start where the bitmap says, for nothing, and nowhere else."""
    found: Ints = np.where(bools_of(starts, size), 0, INF)
    return found
