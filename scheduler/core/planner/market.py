"""What each slot of each pool is worth when many courses want it, and how many of them could be placed at the most.

Every course asks for its cheapest way at the present prices; where more is asked for than there is the price rises,
where less it falls. At whatever prices, the worth of all slots and of what courses would pay less than a place is worth
to them is above the number that can be placed together. A pool's members are counted as if a visit could pass from one
to another, and rules that a trail leaves out only add to it: it is always true, and nearer the longer it goes on.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from math import floor

import numpy as np
from numpy.typing import NDArray

from scheduler.core.planner.grid import Ints, bools_of
from scheduler.core.planner.look import cheapest
from scheduler.core.planner.trail import Trail

Floats = NDArray[np.float64]

#: What a place is worth to a course: prices are whole numbers below that.
WORTH = 1 << 20
#: How far prices move at first, by how much less after so many turns in vain, and when they stand still.
STRIDE, SHORTER, TURNS, SHORTEST = 1.0, 0.75, 6, 0.02
#: A bound that is nearer by less is none, in courses.
NEARER = 0.01


@dataclass(frozen=True)
class Use:
    """One of a pool, `count` times, from `start` up to but not including `end`, in slots from the visit's start."""

    pool: Hashable
    start: int
    end: int
    #: The slots at which each of the pool could be there for such a visit, and how many times at once.
    offers: Mapping[Hashable, tuple[int, int]]
    count: int = 1


#: A use without who could be it: the pool, from when to when, and how many.
Part = tuple[Hashable, int, int, int]
#: For each session.
Uses = Mapping[str, Sequence[Use]]


class Market:
    """Courses with a way of their own, by number."""

    def __init__(self, trails: Mapping[int, Trail], uses: Mapping[int, Uses]) -> None:
        """All on the same timeline; `trails` without wishes."""
        self._trails = trails
        self._size = next((each.problem.grid.slots for each in trails.values()), 0)
        self._parts = {
            course: {name: tuple(map(_part, each)) for name, each in uses[course].items()} for course in trails
        }
        self._room = self._rooms(uses)
        self._price: dict[Hashable, Floats] = {pool: np.zeros(len(room)) for pool, room in self._room.items()}
        self._stride, self._idle = STRIDE, 0
        #: No more of them can be placed together.
        self.bound = float(len(trails))
        #: What one of a pool costs up to each slot, at the prices that gave the bound; and charges at these prices.
        self._best = {pool: _summed(price) for pool, price in self._price.items()}
        self._known: dict[tuple[Part, ...], Ints] = {}

    def __contains__(self, course: int) -> bool:
        return course in self._trails

    @property
    def most(self) -> int:
        """The bound as a number of courses."""
        return floor(self.bound + 1e-6)

    @property
    def prices(self) -> dict[Hashable, Ints]:
        """What one of a pool costs at each slot, in parts of `WORTH`: whoever doubts the bound can work it out anew."""
        return {pool: np.diff(upto) for pool, upto in self._best.items()}

    @property
    def open(self) -> bool:
        """Whether another turn may still bring the bound nearer."""
        return self._stride > SHORTEST and bool(self._trails)

    def turn(self, placed: int) -> None:
        """Ask everybody once, and move the prices; so many are known to have a place together."""
        prices = {pool: np.floor(price * WORTH).astype(np.int64) for pool, price in self._price.items()}
        upto = {pool: _summed(price) for pool, price in prices.items()}
        wanted = {pool: np.zeros(len(room)) for pool, room in self._room.items()}
        total = sum(int((price * self._room[pool]).sum()) for pool, price in prices.items())
        known: dict[tuple[Part, ...], Ints] = {}
        for course, trail in self._trails.items():
            way = cheapest(trail, self._charges(course, upto, known))
            if way is None or way[0] >= WORTH:
                continue
            total += WORTH - way[0]
            for session_id, slot in way[1].by_session(trail.problem).items():
                for pool, start, end, count in self._parts[course][session_id]:
                    wanted[pool][slot + start : slot + end] += count
        self._learn(total / WORTH, upto)
        self._move(wanted, total / WORTH, placed)

    def charges(self, course: int) -> dict[str, Ints]:
        """What each start of each of the course's sessions costs at the best prices; at most what a place is worth."""
        return self._charges(course, self._best, self._known)

    def _charges(
        self, course: int, upto: Mapping[Hashable, Ints], known: dict[tuple[Part, ...], Ints]
    ) -> dict[str, Ints]:
        for parts in self._parts[course].values():
            if parts not in known:
                known[parts] = self._charge(parts, upto)
        return {session_id: known[parts] for session_id, parts in self._parts[course].items()}

    def _charge(self, parts: tuple[Part, ...], upto: Mapping[Hashable, Ints]) -> Ints:
        charge = np.zeros(self._size, dtype=np.int64)
        for pool, start, end, count in parts:
            first, past = (_later(upto[pool], edge, self._size) for edge in (start, end))
            charge += count * (past - first)
        return np.minimum(charge, WORTH)

    def _learn(self, bound: float, upto: dict[Hashable, Ints]) -> None:
        if bound < self.bound - NEARER:
            self.bound, self._best, self._known, self._idle = bound, upto, {}, 0
            return
        self._idle += 1
        if self._idle == TURNS:
            self._stride, self._idle = self._stride * SHORTER, 0

    def _move(self, wanted: Mapping[Hashable, Floats], bound: float, placed: int) -> None:
        """A step along what is asked for too much, as long as half the way to what is known to be possible asks."""
        steps = {pool: wanted[pool] - room for pool, room in self._room.items()}
        for pool, step in steps.items():
            step[(self._price[pool] <= 0) & (step < 0)] = 0
        length = sum(float((step * step).sum()) for step in steps.values())
        if length == 0:
            self._stride = 0.0  # nobody asks for what is not there: no prices are better
            return
        ahead = self._stride * (bound - (placed + self.bound) / 2) / length
        for pool, step in steps.items():
            self._price[pool] = np.maximum(0.0, self._price[pool] + ahead * step)

    def _rooms(self, all_uses: Mapping[int, Uses]) -> dict[Hashable, Ints]:
        """How many of each pool there are at each slot."""
        offers: dict[Hashable, dict[Hashable, tuple[int, int]]] = {}
        for uses in all_uses.values():
            for use in {id(each): each for some in uses.values() for each in some}.values():
                known = offers.setdefault(use.pool, {})
                for who, (slots, units) in use.offers.items():
                    known[who] = known.get(who, (0, 0))[0] | slots, units
        size = self._size
        return {
            pool: sum((units * bools_of(slots, size) for slots, units in known.values()), np.zeros(size, np.int64))
            for pool, known in offers.items()
        }


def _part(use: Use) -> Part:
    return use.pool, use.start, use.end, use.count


def _summed(price: NDArray[np.generic]) -> Ints:
    sums: Ints = np.concatenate([[0], np.cumsum(price.astype(np.int64))])
    return sums


def _later(sums: Ints, slots: int, size: int) -> Ints:
    """The sums so many slots later; outside the timeline nothing is added."""
    return sums[np.clip(np.arange(slots, slots + size), 0, size)]


def spread(starts: int, start: int, end: int) -> int:
    """The slots that visits at these starts take up, each from `start` to `end`."""
    run, found = 1, starts << start if start >= 0 else starts >> -start
    while run < end - start:
        step = min(run, end - start - run)
        found |= found << step
        run += step
    return found
