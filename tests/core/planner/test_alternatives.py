"""Other plans: the optimum first, then plans that truly differ, in the order of the stated cost."""

from __future__ import annotations

from itertools import combinations

import pytest

from scheduler.core.planner import Plan, Preferences, Problem, alternatives, plan, verify
from scheduler.core.planner.grid import calendar_of
from tests.core.planner.handmade import course, each, main, people, read
from tests.core.planner.instances import long_course

# A Monday morning at once, or a liked Thursday afternoon; P is free in the afternoons.
CHOICE = course(
    main("a", each(range(10), 9, 14), by=people("prescriber", {"P": each(range(10), 14), "Q": each([0], 9)})),
    main("b", each(range(10), 9, 14), (2, 2, 4), by=people("prescriber", {"P": each([5, 7], 14), "Q": each([2], 9)})),
    candidates={"prescriber": ("P", "Q")},
    continuity="preferred",
    preferences=Preferences(frozenset({3, 5}), 13 * 60, None),
)


def far_apart(problem: Problem, one: Plan, other: Plan) -> bool:
    calendar, others = calendar_of(problem.grid), dict(other.starts)
    moves = [(calendar.local(slot), calendar.local(others[session_id])) for session_id, slot in one.starts]
    return one.primaries != other.primaries or any(a[0] != b[0] or abs(a[1] - b[1]) >= 60 for a, b in moves)


def test_tastes_give_other_plans() -> None:
    found = alternatives(CHOICE, 5)
    assert len(found) >= 2
    assert found[0] == plan(CHOICE)
    assert [each.cost for each in found] == sorted(each.cost for each in found)
    assert read(CHOICE, found[0]) != read(CHOICE, found[1])


@pytest.mark.parametrize("seed", range(20))
def test_they_are_lawful_ranked_and_truly_different(seed: int) -> None:
    problem = long_course(seed)
    found = alternatives(problem, 5)
    assert (found[0] if found else None) == plan(problem)
    assert [each.cost for each in found] == sorted(each.cost for each in found)
    assert all(verify(problem, each) == [] for each in found)
    assert all(far_apart(problem, one, other) for one, other in combinations(found, 2))


def test_no_more_than_wanted() -> None:
    everything = alternatives(CHOICE, 5)
    assert [len(alternatives(CHOICE, k)) for k in (0, 1, 2)] == [0, 1, 2]
    assert alternatives(CHOICE, 2) == everything[:2]


def test_an_impossible_course_has_none() -> None:
    assert alternatives(course(main("a", 0)), 3) == ()


def test_a_course_with_one_plan_has_one() -> None:
    problem = course(main("a", each([1], 9)), main("b", each([4], 9), (2, 3, 4)))
    assert len(alternatives(problem, 5)) == 1
