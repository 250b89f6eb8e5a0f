"""Who makes way for a course: those worth least, as few as may be, and nobody where there is room."""

from __future__ import annotations

import pytest

from scheduler.core.planner import Problem
from scheduler.core.planner.rivals import CHARGE, Block, Lane, Needs, rivals
from scheduler.core.planner.trail import Prices, Trail, free_where
from tests.core.planner.handmade import WHERE, at, course, each, main
from tests.core.planner.instances import slot

#: One visit, on day 0 or on day 1.
EITHER_DAY = course(main("visit", each([0, 1], 9)))
#: Course 1 stands on day 0, course 2 on day 1.
TAKEN = tuple(Block(day + 1, slot(WHERE, day, 9), slot(WHERE, day, 10)) for day in (0, 1))


def asked(problem: Problem, needs: Needs, worth: dict[int, int], dear: Prices | None = None) -> frozenset[int]:
    return rivals(Trail(problem), {visit.session_id: needs for visit in problem.visits()}, worth, dear or {})


@pytest.mark.parametrize(("worth", "leaves"), [({1: 1, 2: 3}, {1}), ({1: 3, 2: 1}, {2})])
def test_whoever_is_worth_least_makes_way(worth: dict[int, int], leaves: set[int]) -> None:
    assert asked(EITHER_DAY, [[Lane(-1, 0, TAKEN)]], worth) == leaves


def test_nobody_leaves_where_somebody_else_can_serve() -> None:
    able = at((1, 9))
    assert asked(EITHER_DAY, [[Lane(-1, 0, TAKEN), Lane(able, able, ())]], {1: 1, 2: 1}) == frozenset()


def test_one_who_shares_is_enough() -> None:
    """Two watch at the same hour, and one place is wanted; at another hour there is one already."""
    both = tuple(Block(number, slot(WHERE, 0, 9), slot(WHERE, 0, 10)) for number in (1, 2))
    first = course(main("visit", each([0], 9)))
    assert asked(first, [[Lane(-1, 0, both, units=2)]], {1: 2, 2: 1}) == {2}
    assert asked(first, [[Lane(-1, at((0, 9)), both, units=2)]], {1: 2, 2: 1}) == frozenset()


def test_every_need_counts() -> None:
    """The room is free on day 0 and the nurse on day 1: either way one of them must leave, and two on neither day."""
    room, nurse = [Lane(-1, 0, TAKEN[1:])], [Lane(-1, 0, TAKEN[:1])]
    assert asked(EITHER_DAY, [room, nurse], {1: 2, 2: 1}) == {2}


def test_a_dear_hour_is_left_alone_though_whoever_has_it_is_worth_less() -> None:
    dear = {"visit": 3 * CHARGE - free_where(at((1, 9)), WHERE.slots).clip(max=3 * CHARGE)}
    assert asked(EITHER_DAY, [[Lane(-1, 0, TAKEN)]], {1: 2, 2: 1}) == {2}
    assert asked(EITHER_DAY, [[Lane(-1, 0, TAKEN)]], {1: 2, 2: 1}, dear) == {1}


def test_no_plan_is_no_plan_whoever_leaves() -> None:
    assert asked(course(main("visit", 0)), [[Lane(-1, -1, ())]], {}) == frozenset()
