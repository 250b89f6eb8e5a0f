"""A search that was given an end: honest about what it proved, never without a plan where there is one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from scheduler.core.planner import Problem, Window, plan, verify
from scheduler.core.planner.dp import Chain
from scheduler.core.planner.search import Search
from tests.core.planner.handmade import course as handmade
from tests.core.planner.handmade import each, leaf, main, people
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


def test_day_and_night_only_starts_near_midnight_are_looked_at_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A talk of three quarters that begins late in the evening runs into doses of the next day's first half hour."""
    where = grid(days=12, row_minutes=15)
    always = each(range(12), *(quarter / 4 for quarter in range(96)), where=where)
    talk = leaf("talk", always, Window(1440, 2880, 4320, "end"), minutes=45)
    looks: list[int] = []
    between = Chain._between
    monkeypatch.setattr(
        Chain, "_between", lambda chain, place, *rest: looks.append(place) or between(chain, place, *rest)
    )
    problem = handmade(main("a", always, leaf=talk), main("b", always, (2, 2, 3)), grid=where)
    found = plan(problem)
    assert found is not None
    assert verify(problem, found) == []
    in_two_gaps, to_follow_the_plan = 2 * 2, 1
    assert len(looks) == in_two_gaps + to_follow_the_plan
