"""What must hold between the answers to two problems, whatever the answers are."""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable, Mapping
from dataclasses import fields, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.core.planner import Main, Plan, Problem, Weights, alternatives, plan, verify
from tests.core.planner.instances import course, leaving, long_course, starts

SEEDS = st.integers(0, 2_000)
#: How long one example takes says something about the machine only.
unhurried = settings(deadline=None)
Visits = Callable[[Main], Main]


def cost(problem: Problem) -> float:
    found = plan(problem)
    return float("inf") if found is None else found.cost


def opened(problem: Problem, seed: int) -> Problem:
    """The same course after bookings were removed: every visit has more starts, and more people who can serve it."""
    rng, where = random.Random(seed), problem.grid
    more = starts(where, [rng.randrange(where.days) for _ in range(4)], [rng.randrange(6, 20) for _ in range(3)])

    def wider(by: Mapping[str, Mapping[Hashable, int]]) -> dict[str, dict[Hashable, int]]:
        return {role: {person: bits | more for person, bits in people.items()} for role, people in by.items()}

    mains = []
    for main in problem.mains:
        leaf = main.leaf and replace(main.leaf, starts=main.leaf.starts | more, by=wider(main.leaf.by))
        mains.append(replace(main, starts=main.starts | more, by=wider(main.by), leaf=leaf))
    return replace(problem, mains=tuple(mains))


def hired(problem: Problem) -> Problem:
    """The same course with one more person in every role, who can serve at any time."""
    anytime = (1 << problem.grid.slots) - 1

    def joined(by: Mapping[str, Mapping[Hashable, int]]) -> dict[str, dict[Hashable, int]]:
        return {role: {**people, "New": anytime} for role, people in by.items()}

    mains = [replace(m, by=joined(m.by), leaf=m.leaf and replace(m.leaf, by=joined(m.leaf.by))) for m in problem.mains]
    candidates = {role: (*people, "New") for role, people in problem.candidates.items() if people}
    return replace(problem, mains=tuple(mains), candidates=candidates)


def renamed(problem: Problem) -> Problem:
    """The same course under other names, the order of names reversed."""

    def name(session_id: str) -> str:
        return f"z{1000 - sum(map(ord, session_id))}-{session_id[::-1]}"

    def others(by: Mapping[str, Mapping[Hashable, int]]) -> dict[str, dict[Hashable, int]]:
        return {role: {("~", p): bits for p, bits in reversed(list(people.items()))} for role, people in by.items()}

    mains = []
    for main in problem.mains:
        leaf = main.leaf and replace(main.leaf, session_id=name(main.leaf.session_id), by=others(main.leaf.by))
        mains.append(replace(main, session_id=name(main.session_id), by=others(main.by), leaf=leaf))
    return replace(
        problem,
        mains=tuple(mains),
        candidates={role: tuple(("~", person) for person in people) for role, people in problem.candidates.items()},
        pinned={name(session_id): slot for session_id, slot in problem.pinned.items()},
    )


def slots(found: Plan | None) -> list[int] | None:
    return None if found is None else [slot for _, slot in found.starts]


@unhurried
@given(seed=SEEDS)
def test_removing_bookings_never_costs(seed: int) -> None:
    problem = course(seed)
    assert cost(opened(problem, seed)) <= cost(problem)


@unhurried
@given(seed=SEEDS)
def test_one_more_person_never_costs(seed: int) -> None:
    problem = course(seed)
    assert cost(hired(problem)) <= cost(problem)


@unhurried
@given(seed=SEEDS, factor=st.integers(2, 9))
def test_multiplied_weights_multiply_the_cost_and_change_nothing_else(seed: int, factor: int) -> None:
    for problem in (course(seed), leaving(seed)):
        heavier = Weights(**{weight.name: factor * getattr(problem.weights, weight.name) for weight in fields(Weights)})
        found, again = plan(problem), plan(replace(problem, weights=heavier))
        assert slots(again) == slots(found)
        assert cost(replace(problem, weights=heavier)) == factor * cost(problem)


@unhurried
@given(seed=SEEDS)
def test_what_is_left_over_never_makes_a_plan_cheaper_or_impossible(seed: int) -> None:
    problem = leaving(seed)
    free = replace(problem, weights=replace(problem.weights, room_remainders=0, therapist_remainders=0))
    assert cost(free) <= cost(problem)
    assert (plan(free) is None) == (plan(problem) is None)


@unhurried
@given(seed=SEEDS)
def test_names_mean_nothing(seed: int) -> None:
    problem = course(seed)
    found, again = plan(problem), plan(renamed(problem))
    assert slots(again) == slots(found)
    assert (again and again.parts) == (found and found.parts)


@unhurried
@given(seed=SEEDS)
def test_finer_rows_never_cost(seed: int) -> None:
    problem = course(seed)
    assert cost(replace(problem, grid=replace(problem.grid, row_minutes=5))) <= cost(problem)


@unhurried
@given(seed=SEEDS)
def test_a_tighter_span_never_pays(seed: int) -> None:
    problem = course(seed)
    tighter = tuple(replace(span, max_days=max(0, span.max_days - 1)) for span in problem.spans)
    assert cost(replace(problem, spans=tighter)) >= cost(problem) >= cost(replace(problem, spans=()))


@unhurried
@given(seed=SEEDS, data=st.data())
def test_pinning_any_part_of_the_best_plan_moves_nothing(seed: int, data: st.DataObject) -> None:
    problem = course(seed)
    found = plan(problem)
    if found is not None:
        some = dict(data.draw(st.lists(st.sampled_from(found.starts))))
        assert plan(replace(problem, pinned={**problem.pinned, **some})) == found


@unhurried
@given(seed=SEEDS, sooner=st.integers(1, 400))
def test_a_longer_timeline_never_costs(seed: int, sooner: int) -> None:
    problem = course(seed)
    shorter = replace(problem, grid=replace(problem.grid, slots=max(1, problem.grid.slots - sooner)))
    assert cost(problem) <= cost(shorter)


@pytest.mark.parametrize("seed", range(12))
def test_every_alternative_obeys_every_rule(seed: int) -> None:
    problem = long_course(seed)
    for found in alternatives(problem, 5):
        assert verify(problem, found) == []
