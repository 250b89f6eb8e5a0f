"""A search that was given an end: honest about what it proved, never without a plan where there is one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from scheduler.core.planner import Problem, plan, verify
from scheduler.core.planner.search import Search
from tests.core.planner.handmade import course as handmade
from tests.core.planner.handmade import each, main, people
from tests.core.planner.instances import course, grid, long_course, ruled


def undecided(seed: int) -> Problem:
    """A long course for which anybody may be the primary person."""
    return replace(long_course(seed), continuity="preferred")


@pytest.mark.parametrize("make", [undecided, course, ruled])
def test_no_end_hides_a_plan_or_boasts(make: Callable[[int], Problem]) -> None:
    proven = 0
    for seed in range(14):
        problem = make(seed)
        best = plan(problem)
        for effort in (0, 200, 10**9):
            found = plan(problem, effort=effort)
            assert (found is None) == (best is None)
            if found is not None and best is not None:
                assert verify(problem, found) == []
                assert found.cost >= best.cost
                assert found.optimal <= (found.cost == best.cost)
                proven += found.optimal
        assert plan(problem, effort=10**9) == best
    assert proven > 0


def test_an_early_end_is_an_early_end() -> None:
    found = [plan(undecided(seed), effort=0) for seed in range(12)]
    assert {each.optimal for each in found if each} == {True, False}


def test_the_same_end_gives_the_same_plan() -> None:
    assert plan(undecided(3), effort=200) == plan(undecided(3), effort=200)


def test_how_far_the_grid_goes_costs_a_course_of_the_same_person_nothing() -> None:
    """Who is the best person to keep is found near the best plan, not in all the days after it."""

    def effort(days: int) -> int:
        where = grid(days=days)
        free = each(range(days), 9, 11, 14, where=where)
        by = people("prescriber", dict.fromkeys("abcd", free))
        doses = [main(f"dose {n}", free, (2, 3, 9) if n else None, by=by) for n in range(4)]
        candidates = {"prescriber": tuple("abcd")}
        search = Search(handmade(*doses, grid=where, candidates=candidates, continuity="required"))
        assert search.run() is not None
        return search._planes.effort

    assert effort(60) == effort(240)
