"""Many new courses at once: large-neighborhood search with the exact planner as repair, never worse than one by one.

A course that finds no room has those make way who are in it and worth least; they are planned anew beside it, and who
finds nothing waits in turn. Whoever waited in vain is worth more the next time, so that the search does not go in
circles. Once that leads no further, courses are lifted off the floor and planned anew for better plans. What a floor is
(a clinic's calendars) is the caller's. No clock: the caller goes from step to step for as long as it likes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, NamedTuple, Protocol

#: As many courses at most leave the floor in one round.
MOST_LIFTED = 6
#: And as many others that wait are tried beside the one that is wanted.
MOST_LET_IN = 2
#: Rounds without a better total after which the search takes what it has as it is, however long it may still look.
PATIENCE = 1000
#: Rounds of making way without a better total, after which as many others go on from the best.
TRADES, OTHERS = 100, 25
#: So many others, who need not be concerned, are planned anew each time that somebody was to be let in: their plans
#: grow cheaper, and what is free moves about.
SHAKEN = 2
#: What a course is worth at most: those that have long waited would otherwise be all that counts.
MOST_WORTH = 32


@dataclass(frozen=True)
class Placement:
    """A course's plan: its cost, the days of its visits (any count that the floor keeps), and the floor's own words."""

    cost: int
    days: frozenset[int]
    plan: Any
    #: How much it takes up in all, in whatever unit.
    size: int = 1


class Floor(Protocol):
    """Where courses take up room."""

    def plan(self, course: int) -> Placement | None:
        """The cheapest plan beside everything that stands, or the proof that there is none."""

    def alone(self, course: int) -> Placement | None:
        """The same with the floor to itself: no plan beside others is cheaper."""

    def rivals(self, course: int, worth: Mapping[int, int]) -> Collection[int]:
        """Of those that stand the ones to lift so that this one finds a plan, those of little worth first: a guess."""

    def put(self, course: int, placement: Placement) -> None:
        """Let it take up its room: always the same, so that what was lifted can be put back."""

    def lift(self, course: int, placement: Placement) -> None:
        """Give its room back."""


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
    #: How many rounds were made.
    made: int = 0
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
        yield from self._longest_first()
        random, idle = Random(self.seed), 0  # noqa: S311 - it shuffles courses, not secrets
        self._worth = dict.fromkeys(self._alone, 1)
        movable = sorted(self._alone)
        while self.made < self.rounds and idle < PATIENCE and movable and self.total != self.bound:
            if idle % (TRADES + OTHERS) == TRADES:
                self._go_back()
            before = self.total
            waiting = [course for course in movable if course not in self._standing]
            if waiting and idle % (TRADES + OTHERS) < TRADES:
                self._make_way(random, waiting)
                self._shake(random)
            else:
                self._round(random, movable)
            self._keep()
            idle = 0 if self.total < before else idle + 1
            self.made += 1
            yield self.made / self.rounds, "improving"

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
        self.bound = _total(self.count, self._alone)

    def _longest_first(self) -> Iterator[tuple[float, str]]:
        """A second beginning, which is often better: those that need most days choose first."""
        self._lift(self._standing)
        for course in sorted(self._alone, key=lambda each: (-len(self._alone[each].days), each)):
            self._try(course)
        self._keep()
        self._go_back()
        yield 0.0, "longest first"

    def _make_way(self, random: Random, waiting: Sequence[int]) -> None:
        """Let one in that waits, a small one rather than a large one, at the cost of those in its way."""
        wanted = min(waiting, key=lambda each: (self._alone[each].size * random.random(), each))
        self._try(wanted)
        if wanted in self._standing:
            return
        self._raise(wanted)
        way = self.floor.rivals(wanted, self._worth)
        lifted = {course: self._standing[course] for course in way if course in self._standing}
        self._lift(lifted)
        self._try(wanted)
        if wanted not in self._standing:
            self._put(lifted)
            return
        for course in sorted(lifted, key=lambda each: (self._alone[each].size, random.random())):
            self._try(course)
        lost = [course for course in lifted if course not in self._standing]
        if len(lost) > 1 and sum(self._worth[course] for course in lost) >= self._worth[wanted]:
            self._lift({course: self._standing[course] for course in (wanted, *lifted) if course in self._standing})
            self._put(lifted)

    def _shake(self, random: Random) -> None:
        """Plan some anew as they stand: none of them can be the worse for it."""
        for course in random.sample(sorted(self._standing), min(SHAKEN, len(self._standing))):
            before = {course: self._standing[course]}
            self._lift(before)
            self._try(course)
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

    def _try(self, course: int) -> None:
        found = None if course in self._standing else self.floor.plan(course)
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
