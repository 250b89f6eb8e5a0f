"""The outline by days: a bound that no plan is below, and days that the best plan never leaves."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from scheduler.core.planner import Problem, plan
from scheduler.core.planner.outline import Outline
from scheduler.core.planner.planes import IMPOSSIBLE, OPEN, Planes
from tests.core.planner import handmade
from tests.core.planner.handmade import each
from tests.core.planner.instances import course, leaving, long_course, ruled


def outlined(problem: Problem) -> Outline:
    planes = Planes(problem)
    people = [problem.candidates[role] for role in planes.roles]
    return Outline(planes, (), tuple(OPEN if len(persons) > 1 else 0 for persons in people))


@pytest.mark.parametrize(("make", "seeds"), [(course, 30), (ruled, 60), (leaving, 60), (long_course, 12)])
def test_no_plan_is_below_it_or_outside_its_days(make: Callable[[int], Problem], seeds: int) -> None:
    planned, near = 0, 0
    for seed in range(40, 40 + seeds):
        problem = make(seed)
        outline, best = outlined(problem), plan(problem)
        if best is None:
            continue
        planned += 1
        assert outline.least <= best.cost
        days = outline.days(best.cost)
        assert days is not None
        starts, calendar = dict(best.starts), Planes(problem).calendar
        for main, (first, last) in zip(problem.mains, days, strict=True):
            assert first <= calendar.local(starts[main.session_id])[0] <= last
        near += outline.least * 10 >= best.cost * 6
    assert planned > 3
    assert near * 2 > planned, "a bound that is far below most plans spares nothing"


def test_a_gap_that_no_two_days_keep_leaves_nothing() -> None:
    problem = handmade.course(handmade.main("a", each([0, 1], 9)), handmade.main("b", each([5], 9), (1, 2, 3)))
    outline = outlined(problem)
    assert outline.least >= IMPOSSIBLE
    assert outline.days(IMPOSSIBLE - 1) is None
    assert plan(problem) is None
