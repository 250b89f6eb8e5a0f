"""Many new courses at once: large-neighborhood search with the exact planner as repair, never worse than one by one.

First `market` says what each hour is worth when all want it, and how many can be placed at the most. Then a course
that finds no room has those make way who are in it and worth least; they are planned anew beside it, along ways that
keep off dear hours, and who finds nothing waits in turn. Whoever waited in vain is worth more the next time, so that
the search does not go in circles. Once that leads no further, the best is planned anew for cheaper plans. What a floor
is (a clinic's calendars) is the caller's. No clock: the caller goes from step to step for as long as it likes.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

from scheduler.core.planner.floor import Floor, Placement
from scheduler.core.planner.grid import Ints
from scheduler.core.planner.guide import Guide

#: As many courses at most leave the floor in one round.
MOST_LIFTED = 6
#: And as many others that wait are tried beside the one that is wanted.
MOST_LET_IN = 2
#: Rounds without a better total after which the search takes what it has as it is, however long it may still look.
PATIENCE = 1000
#: Rounds of making way without a better total, after which as many others go on from the best.
TRADES, OTHERS = 100, 25
#: Rounds without a better total after which the best is planned anew for cheaper plans.
POLISHED = 25
#: So often prices are looked for before the first round, and then once in so many rounds.
TURNS, ROUNDS_A_TURN = 40, 8
#: So many others, who need not be concerned, are planned anew each time that somebody was to be let in: their plans
#: grow cheaper, and what is free moves about.
SHAKEN = 2
#: What a course is worth at most: those that have long waited would otherwise be all that counts.
MOST_WORTH = 32


class Total(NamedTuple):
    """What is to be as small as possible: courses without a place, then the cost of the others."""

    unplaced: int
    cost: int


@dataclass
class Batch:
    """The search. `kept` is the best found so far, whatever stands on the floor; the same seed finds the same.

    `bound` is below every total: each course planned as if it were alone, since others only take starts away.
    """

    floor: Floor
    count: int
    seed: int = 0
    rounds: int = 10_000
    kept: Mapping[int, Placement] = field(default_factory=dict)
    sequential: Total | None = None
    bound: Total | None = None
    #: What one of each pool costs at each slot, in parts of `market.WORTH`: by these the bound can be worked out anew.
    prices: Mapping[Hashable, Ints] = field(default_factory=dict)
    #: How many rounds were made.
    made: int = 0
    _guide: Guide = field(init=False)
    #: No more courses can be placed together.
    _most: int = 0
    _standing: dict[int, Placement] = field(default_factory=dict)
    _alone: dict[int, Placement] = field(default_factory=dict)
    _worth: dict[int, int] = field(default_factory=dict)

    @property
    def total(self) -> Total:
        """What is kept amounts to."""
        return _total(self.count, self.kept)

    @property
    def possible(self) -> frozenset[int]:
        """The courses that have a plan when nobody else is there, as far as that has been asked."""
        return frozenset(self._alone)

    def steps(self) -> Iterator[tuple[float, str]]:
        """Search, one course or one round at a time: (how far of 0 to 1, what happens now). May be left at any step."""
        yield from self._one_by_one()
        yield from self._by_themselves()
        yield from self._priced()
        random = Random(self.seed)  # noqa: S311 - it shuffles courses, not secrets
        self._worth = dict.fromkeys(self._alone, 1)
        idle, since = 0, 0  # rounds without a better total, and without one that has a place for more
        while self.made < self.rounds and idle < PATIENCE and self._alone and self.total != self.bound:
            before = self.total
            yield from self._improved(random, since % (TRADES + OTHERS))
            self._keep()
            idle = 0 if self.total < before else idle + 1
            since = 0 if self.total.unplaced < before.unplaced else since + 1
            self.made += 1
            if self.made % ROUNDS_A_TURN == 0:
                self._turn()
            yield self.made / self.rounds, "improving"

    def _improved(self, random: Random, place: int) -> Iterator[tuple[float, str]]:
        """One round, by its place among those since the last that had a place for more."""
        waiting = [course for course in sorted(self._alone) if course not in self._standing]
        if place in {POLISHED, TRADES}:
            self._go_back()
        if place == POLISHED:
            yield from self._polished()
        elif waiting and place < TRADES:
            self._make_way(random, waiting)
            self._shake(random)
        else:
            self._round(random, sorted(self._alone))

    def _one_by_one(self) -> Iterator[tuple[float, str]]:
        for course in range(self.count):
            self._try(course)
            self._keep()
            yield 0.0, "one by one"
        self.sequential = self.total

    def _by_themselves(self) -> Iterator[tuple[float, str]]:
        """The bound: no course is better off with others about."""
        for course in range(self.count):
            found = self.floor.alone(course)
            if found is not None:
                self._alone[course] = found
            yield 0.0, "bounding"
        self.bound, self._most = _total(self.count, self._alone), len(self._alone)

    def _priced(self) -> Iterator[tuple[float, str]]:
        """What hours are worth, where not all that have a plan have a place already; and a truer bound by it."""
        self._guide = Guide(self.floor, self._alone if self.bound != self.total else ())
        for _ in range(TURNS):
            self._turn()
            yield 0.0, "pricing"

    def _turn(self) -> None:
        if self._guide.open and self._most > self.count - self.total.unplaced:
            self._guide.turn(self.count - self.total.unplaced)
            self._most, self.prices = min(self._most, self._guide.most), self._guide.prices
            cheapest = sorted(self._alone.values(), key=lambda each: each.cost)[: self._most]
            self.bound = _total(self.count, dict(enumerate(cheapest)))

    def _polished(self) -> Iterator[tuple[float, str]]:
        """Plan each of those that stand anew, exactly: it may keep off hours that nobody has taken after all."""
        for course, before in sorted(self._standing.items()):
            self._lift({course: before})
            found = self.floor.plan(course)
            self._put({course: found if found is not None and found.cost < before.cost else before})
            self._keep()
            yield self.made / self.rounds, "improving"

    def _make_way(self, random: Random, waiting: Sequence[int]) -> None:
        """Let one in that waits, a small one rather than a large one, at the cost of those in its way."""
        wanted = min(waiting, key=lambda each: (self._alone[each].size * random.random(), each))
        self._try(wanted, soon=True)
        if wanted in self._standing:
            return
        self._raise(wanted)
        way = self._guide.rivals(wanted, self._worth)
        lifted = {course: self._standing[course] for course in way if course in self._standing}
        self._lift(lifted)
        self._try(wanted, soon=True)
        if wanted not in self._standing:
            self._put(lifted)
            return
        for course in sorted(lifted, key=lambda each: (self._alone[each].size, random.random())):
            self._try(course, soon=True)
        lost = [course for course in lifted if course not in self._standing]
        if len(lost) > 1 and sum(self._worth[course] for course in lost) >= self._worth[wanted]:
            self._lift({course: self._standing[course] for course in (wanted, *lifted) if course in self._standing})
            self._put(lifted)

    def _shake(self, random: Random) -> None:
        """Plan some anew as they stand: none of them can be the worse for it."""
        for course in random.sample(sorted(self._standing), min(SHAKEN, len(self._standing))):
            before = {course: self._standing[course]}
            self._lift(before)
            self._try(course, soon=True)
            if course not in self._standing:
                self._put(before)

    def _raise(self, course: int) -> None:
        """Whoever waits in vain is worth more."""
        self._worth[course] += 1
        if self._worth[course] > MOST_WORTH:
            self._worth = {each: (worth + 1) // 2 for each, worth in self._worth.items()}

    def _round(self, random: Random, movable: Sequence[int]) -> None:
        """Lift some, let the wanted one in first, plan the others anew; all is back as it was if that is no better."""
        waiting = [course for course in movable if course not in self._standing]
        wanted = random.choice(waiting) if waiting else random.choice(movable)
        lifted, before = self._around(random, wanted), _total(self.count, self._standing)
        others = [course for course in waiting if course != wanted]
        rest = [course for course in lifted if course != wanted]
        self._lift(lifted)
        self._try(wanted)
        if wanted in self._standing:
            rest += random.sample(others, min(MOST_LET_IN, len(others)))
            random.shuffle(rest)
            for course in rest:
                self._try(course)
            if _total(self.count, self._standing) <= before:
                return
        self._lift({course: self._standing[course] for course in (wanted, *rest) if course in self._standing})
        self._put(lifted)

    def _around(self, random: Random, wanted: int) -> dict[int, Placement]:
        """Courses that may be in the way: more often those with visits on the days that the wanted one would take."""
        days, standing = self._alone[wanted].days, self._standing
        near = sorted(standing, key=lambda each: (-len(days & standing[each].days) * random.random(), each))
        chosen = near[: random.randint(1, MOST_LIFTED)]
        chosen += [wanted] if wanted in standing and wanted not in chosen else []
        return {course: standing[course] for course in chosen}

    def _try(self, course: int, *, soon: bool = False) -> None:
        """Give it a place if it has none: by the cheapest plan, or, `soon`, by one that keeps off dear hours."""
        if course in self._standing:
            return
        found = self._guide.plan(course) if soon else self.floor.plan(course)
        if found is not None:
            self._put({course: found})

    def _keep(self) -> None:
        """Remember what stands if it is the best so far."""
        if _total(self.count, self._standing) < self.total:
            self.kept = dict(self._standing)

    def _go_back(self) -> None:
        """Let what is kept stand on the floor."""
        kept = self.kept
        self._lift({course: each for course, each in self._standing.items() if kept.get(course) is not each})
        self._put({course: each for course, each in kept.items() if course not in self._standing})

    def _put(self, placements: Mapping[int, Placement]) -> None:
        for course, placement in placements.items():
            self.floor.put(course, placement)
            self._standing[course] = placement

    def _lift(self, placements: Mapping[int, Placement]) -> None:
        for course, placement in list(placements.items()):
            self.floor.lift(course, placement)
            del self._standing[course]


def _total(count: int, placed: Mapping[int, Placement]) -> Total:
    return Total(count - len(placed), sum(each.cost for each in placed.values()))
