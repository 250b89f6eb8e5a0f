"""Booked sessions that may be moved at a price: the best plan is the one that disturbs least."""

from __future__ import annotations

from dataclasses import fields, replace
from random import Random

import pytest

from scheduler.core.planner import Problem, Weights, plan, verify
from scheduler.services.problems import STAYING, moving_least
from tests.core.planner.enumeration import enumerated
from tests.core.planner.handmade import WHERE, course, each, main, read
from tests.core.planner.instances import course as random_course
from tests.core.planner.instances import slot
from tests.core.planner.test_exactness import best


def booked_course(seed: int) -> Problem:
    """A random course, some of whose sessions are booked: at starts that they have, or where nobody is free now."""
    problem, rng = random_course(seed), Random(seed)
    booked = {
        visit.session_id: rng.randrange(288, problem.grid.slots - 288)
        if rng.random() < 0.3 or not visit.starts
        else rng.choice([place for place in range(problem.grid.slots) if visit.starts >> place & 1])
        for visit in problem.visits()
        if visit.session_id not in problem.pinned and rng.random() < 0.7
    }
    weights = replace(problem.weights, moved=rng.choice([0, 30, 300]), moved_day=rng.choice([0, 8]), moved_days_cap=3)
    return replace(problem, booked=booked, weights=weights)


@pytest.mark.parametrize("seed", range(120))
def test_the_least_disturbance_is_what_trying_everything_finds(seed: int) -> None:
    problem = booked_course(seed)
    found = plan(problem)
    assert best(problem, found) == enumerated(problem)
    assert found is None or verify(problem, found) == []


@pytest.mark.parametrize("seed", range(30))
def test_where_staying_is_worth_most_no_plan_moves_fewer(seed: int) -> None:
    problem = replace(booked_course(seed), continuity="none")
    found = plan(replace(problem, weights=replace(Weights(), moved=STAYING)))
    only_moves = Weights(**{**{weight.name: 0 for weight in fields(Weights)}, "moved": 1})
    least = enumerated(replace(problem, weights=only_moves))
    moved = [key for key, place in problem.booked.items() if found and dict(found.starts)[key] != place]
    assert (None if found is None else len(moved)) == (None if least is None else least[0])


def test_a_move_weighs_what_the_organization_says_and_never_so_little_that_a_wish_is_worth_it() -> None:
    problem = booked_course(0)
    for said, weighed in ((0, STAYING), (STAYING - 1, STAYING), (9_000, 9_000)):
        told = replace(problem, weights=replace(problem.weights, moved=said))
        assert moving_least(told).weights == replace(problem.weights, moved=weighed)


@pytest.mark.parametrize("seed", range(60))
def test_a_plan_that_is_booked_and_can_stay_moves_nothing(seed: int) -> None:
    problem = random_course(seed)
    found = plan(problem)
    if found is None:
        return
    booked = {session_id: place for session_id, place in found.starts if session_id not in problem.pinned}
    again = plan(replace(problem, booked=booked))
    assert again is not None
    assert (again.starts, again.parts["moved"]) == (found.starts, 0)


def test_a_session_that_lost_its_time_moves_alone_when_it_can() -> None:
    days = range(12)
    free = each(days, 9) & ~(1 << slot(WHERE, 4, 9))
    problem = course(
        main("a", each(days, 9)),
        main("b", free, (1, 2, 4)),
        main("c", each(days, 9), (1, 2, 4)),
        booked={"a": slot(WHERE, 2, 9), "b": slot(WHERE, 4, 9), "c": slot(WHERE, 6, 9)},
    )
    found = plan(problem)
    assert read(problem, found) == {"a": "2 09:00", "b": "3 09:00", "c": "6 09:00"}
    assert found is not None
    assert found.parts["moved"] == Weights().moved + Weights().moved_day
