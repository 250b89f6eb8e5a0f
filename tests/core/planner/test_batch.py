"""Many courses at once: never worse than one by one, never below the bound, the same for the same seed, lawful."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from random import Random

import pytest

from scheduler.core.bitmap import dilate
from scheduler.core.planner import Main, Plan, Problem, plan, verify
from scheduler.core.planner.batch import Batch
from scheduler.core.planner.dp import Itinerary
from scheduler.core.planner.floor import Placement
from scheduler.core.planner.market import Use, Uses
from scheduler.core.planner.pricing import priced
from scheduler.core.planner.rivals import Block, Lane, Needs
from scheduler.core.planner.trail import Prices, Trail, free_where
from tests.core.planner.handmade import WHERE, course, each, main


@dataclass
class OneRoom:
    """Courses that all need the same room, an hour at a time."""

    problems: list[Problem]
    taken: set[int] = field(default_factory=set)
    standing: dict[int, Plan] = field(default_factory=dict)

    def alone(self, number: int) -> Placement | None:
        return OneRoom(self.problems).plan(number)

    def now(self, number: int) -> Problem:
        room = 0
        for slot in self.taken:
            room |= 1 << slot
        barred = dilate(room, 12)
        problem = self.problems[number]
        return replace(problem, mains=tuple(replace(each, starts=each.starts & ~barred) for each in problem.mains))

    def plan(self, number: int) -> Placement | None:
        found = plan(self.now(number))
        return None if found is None else self.placed(found)

    def trail(self, number: int, *, wishes: bool) -> Trail | None:
        return Trail(self.problems[number], wishes=wishes)

    def open(self, number: int) -> Prices:
        problem = self.now(number)
        return {visit.session_id: free_where(visit.starts, problem.grid.slots) for visit in problem.visits()}

    def along(self, number: int, way: Itinerary) -> Placement | None:
        return self.placed(priced(self.now(number), way))

    def needs(self, number: int) -> Mapping[str, Needs]:
        blocks = [Block(each, s - 11, s + 12) for each, found in self.standing.items() for _, s in found.starts]
        needs = [[Lane(-1, 0, tuple(blocks))]]
        return {visit.session_id: needs for visit in self.problems[number].visits()}

    def uses(self, number: int) -> Uses:
        room = [Use("room", 0, 12, {"it": (-1, 1)})]
        return {visit.session_id: room for visit in self.problems[number].visits()}

    @staticmethod
    def placed(found: Plan) -> Placement:
        return Placement(found.cost, frozenset(s // 288 for _, s in found.starts), found, len(found.starts))

    def put(self, number: int, placement: Placement) -> None:
        assert verify(self.now(number), placement.plan) == []
        assert not self.taken & hours(placement.plan)
        self.taken |= hours(placement.plan)
        self.standing[number] = placement.plan

    def lift(self, number: int, placement: Placement) -> None:
        assert self.standing.pop(number) == placement.plan
        self.taken -= hours(placement.plan)


def hours(found: Plan) -> set[int]:
    return {slot + each for _, slot in found.starts for each in range(12)}


def one_room(seed: int, count: int = 9) -> OneRoom:
    """Courses of two or three visits, each able to come at a few hours of a few days."""
    rng = Random(seed)
    problems = []
    for _ in range(count):
        days, at = rng.sample(range(10), 6), rng.sample([9, 10, 11], rng.randint(1, 2))
        mains: list[Main] = [main("v0", each(days, *at))]
        more = range(1, rng.randint(2, 3))
        mains += [main(f"v{place}", each(days, *at), (1, rng.randint(1, 3), 4)) for place in more]
        problems.append(course(*mains))
    return OneRoom(problems)


@lru_cache(maxsize=8)
def searched(seed: int, rounds: int = 30) -> Batch:
    batch = Batch(one_room(seed), 9, seed=3, rounds=rounds)
    for _ in batch.steps():
        pass
    return batch


@pytest.mark.parametrize("seed", range(8))
def test_it_is_never_worse_than_one_by_one_and_never_below_the_bound(seed: int) -> None:
    batch = searched(seed)
    assert batch.sequential is not None
    assert batch.bound is not None
    assert batch.bound <= batch.total <= batch.sequential


def test_it_places_more_than_one_by_one_does() -> None:
    found = [searched(seed) for seed in range(8)]
    assert sum(each.total.unplaced for each in found) < sum(
        each.sequential.unplaced for each in found if each.sequential
    )


def test_whoever_stops_at_any_step_has_plans_that_stand_together() -> None:
    placed = []
    for steps in (0, 4, 12, 20, 35, 60):
        batch = Batch(one_room(1), 9, seed=3, rounds=50)
        for _ in zip(range(steps), batch.steps(), strict=False):
            pass
        empty = one_room(1)
        for number, placement in batch.kept.items():
            empty.put(number, placement)  # each is judged by the verifier beside those before it
        placed.append(len(batch.kept))
    assert placed == sorted(placed)


def test_it_lets_two_in_at_the_cost_of_a_large_one() -> None:
    """One by one the long course takes the only mornings; the others fit beside each other, not beside it."""
    long = course(main("v0", each([0], 9)), *(main(f"v{place}", each([place], 9), (1, 1, 1)) for place in (1, 2)))
    short = [course(main("v0", each([place], 9))) for place in range(3)]
    batch = Batch(OneRoom([long, *short]), 4, rounds=20)
    for _ in batch.steps():
        pass
    assert batch.sequential is not None
    assert (batch.sequential.unplaced, batch.total.unplaced, sorted(batch.kept)) == (3, 1, [1, 2, 3])


def test_the_same_seed_and_rounds_find_the_same() -> None:
    assert searched.__wrapped__(5).kept == searched(5).kept
    assert WHERE.zone == "UTC"
