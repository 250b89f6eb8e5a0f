"""The benchmark's count of the visits that must move: beside all plans that there are, each with its moves."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from bench.fewest import fewest
from bench.replan import without
from scheduler.core.planner import Main, Problem, Weights, plan
from tests.core.planner.enumeration import enumerated
from tests.core.planner.handmade import course, each, main
from tests.core.planner.instances import Shape
from tests.core.planner.instances import course as random_course

ONLY_MOVES = Weights(**{**{weight.name: 0 for weight in fields(Weights)}, "moved": 1})


def plainer(seed: int) -> Problem:
    """A random course with the rules of the benchmark's courses alone."""
    problem = random_course(seed, Shape(days=(7, 11), most_starts=12, odd_leaves=False, pins=False))
    mains = tuple(_plainer(each) for each in problem.mains)
    return replace(problem, mains=mains, spans=problem.spans[:1], continuity="none")


def _plainer(main: Main) -> Main:
    gap = main.gap and replace(main.gap, min=max(1, main.gap.min))
    leaf = main.leaf and replace(main.leaf, minutes=50, window=replace(main.leaf.window, edge="end"))
    return replace(main, minutes=60, gap=gap, leaf=leaf)


def cancelled(problem: Problem, place: int) -> Problem | None:
    """The course, booked by its best plan, after the main session of that place lost its start."""
    best = plan(problem)
    if best is None:
        return None
    stood, key = dict(best.starts), problem.mains[place].session_id
    return without(problem, stood, key, 1 << stood[key])


def test_it_counts_what_the_best_of_all_plans_moves() -> None:
    found = [again for seed in range(80) for place in (0, 1) if (again := cancelled(plainer(seed), place))]
    told = [fewest(each) for each in found]
    trying = [enumerated(replace(each, weights=ONLY_MOVES)) for each in found]
    assert told == [best and best.cost for best in trying]
    assert {None, 0, 1, 2} <= set(told)


def test_it_refuses_a_course_whose_rules_it_does_not_know() -> None:
    same_day = course(main("a", each(range(3), 9)), main("b", each(range(3), 12), (0, 1, 2)))
    with pytest.raises(ValueError, match="does not know"):
        fewest(same_day)
