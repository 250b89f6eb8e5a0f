"""Many new courses at once: large-neighborhood search with the exact planner as repair, never worse than one by one.

A course is planned exactly beside those that stand; the search takes a few of them off the floor, lets one in that had
no room, and plans the others anew. What a floor is (a clinic's calendars) is the caller's. No clock: the caller goes
from step to step for as long as it likes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, NamedTuple, Protocol

#: As many courses at most leave the floor in one round.
MOST_LIFTED = 6
#: And as many others that wait are tried beside the one that is wanted.
MOST_LET_IN = 2
#: Rounds without a better total after which the search takes what it has as it is, however long it may still look.
PATIENCE = 1000


@dataclass(frozen=True)
class Placement:
    """A course's plan: its cost, the days of its visits (any count that the floor keeps), and the floor's own words."""

    cost: int
    days: frozenset[int]
    plan: Any


class Floor(Protocol):
    """Where courses take up room."""

    def plan(self, course: int) -> Placement | None:
        """The cheapest plan beside everything that stands, or the proof that there is none."""

    def alone(self, course: int) -> Placement | None:
        """The same with the floor to itself: no plan beside others is cheaper."""

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
    """The search. `kept` is the best found so far, and the floor stands as it says; the same seed finds the same.

    `bound` is below every total: each course planned as if it were alone, since others only take starts away.
    """

    floor: Floor
    count: int
    seed: int = 0
    rounds: int = 10_000
    kept: dict[int, Placement] = field(default_factory=dict)
    sequential: Total | None = None
    bound: Total | None = None
    #: How many rounds were made.
    made: int = 0
    _alone: dict[int, Placement] = field(default_factory=dict)

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
        movable = sorted(self._alone)
        while self.made < self.rounds and idle < PATIENCE and movable and self.total != self.bound:
            idle = 0 if self._round(random, movable) else idle + 1
            self.made += 1
            yield self.made / self.rounds, "improving"

    def _one_by_one(self) -> Iterator[tuple[float, str]]:
        for course in range(self.count):
            self._try(course)
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
        before = dict(self.kept)
        self._lift(before)
        for course in sorted(self._alone, key=lambda each: (-len(self._alone[each].days), each)):
            self._try(course)
        if self.total > _total(self.count, before):
            self._lift(self.kept)
            self._put(before)
        yield 0.0, "longest first"

    def _round(self, random: Random, movable: Sequence[int]) -> bool:
        """Lift some, let the wanted one in first, plan the others anew; all is back as it was if that is no better."""
        waiting = [course for course in movable if course not in self.kept]
        wanted = random.choice(waiting) if waiting else random.choice(movable)
        lifted, before = self._around(random, wanted), self.total
        others = [course for course in waiting if course != wanted]
        rest = [course for course in lifted if course != wanted]
        self._lift(lifted)
        self._try(wanted)
        if wanted in self.kept:
            rest += random.sample(others, min(MOST_LET_IN, len(others)))
            random.shuffle(rest)
            for course in rest:
                self._try(course)
            if self.total <= before:
                return self.total < before
        self._lift({course: self.kept[course] for course in (wanted, *rest) if course in self.kept})
        self._put(lifted)
        return False

    def _around(self, random: Random, wanted: int) -> dict[int, Placement]:
        """Courses that may be in the way: more often those with visits on the days that the wanted one would take."""
        days = self._alone[wanted].days
        near = sorted(self.kept, key=lambda each: (-len(days & self.kept[each].days) * random.random(), each))
        chosen = near[: random.randint(1, MOST_LIFTED)]
        chosen += [wanted] if wanted in self.kept and wanted not in chosen else []
        return {course: self.kept[course] for course in chosen}

    def _try(self, course: int) -> None:
        found = None if course in self.kept else self.floor.plan(course)
        if found is not None:
            self._put({course: found})

    def _put(self, placements: dict[int, Placement]) -> None:
        for course, placement in placements.items():
            self.floor.put(course, placement)
            self.kept[course] = placement

    def _lift(self, placements: dict[int, Placement]) -> None:
        for course, placement in list(placements.items()):
            self.floor.lift(course, placement)
            del self.kept[course]


def _total(count: int, placed: dict[int, Placement]) -> Total:
    return Total(count - len(placed), sum(each.cost for each in placed.values()))
