"""Other plans: the optimum first, then plans that truly differ, in the order of the stated cost."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from itertools import combinations
from zoneinfo import ZoneInfo

import pytest

from scheduler.core.bitmap import SLOT
from scheduler.core.planner import Gap, Plan, Preferences, Problem, Weights, alternatives, plan, verify
from tests.core.planner.handmade import WHERE, course, each, main, people, read
from tests.core.planner.instances import long_course, slot

# A Monday morning at once, or a liked Thursday afternoon; P is free in the afternoons.
CHOICE = course(
    main("a", each(range(10), 9, 14), by=people("prescriber", {"P": each(range(10), 14), "Q": each([0], 9)})),
    main("b", each(range(10), 9, 14), (2, 2, 4), by=people("prescriber", {"P": each([5, 7], 14), "Q": each([2], 9)})),
    candidates={"prescriber": ("P", "Q")},
    continuity="preferred",
    preferences=Preferences(frozenset({3, 5}), 13 * 60, None),
)


def each_slot(day: int) -> int:
    return slot(WHERE, day, 9)


def far_apart(problem: Problem, one: Plan, other: Plan) -> bool:
    """Other people, ends three days apart, or a third of the sessions an hour or a day away."""
    zone, slots = ZoneInfo(problem.grid.zone), (dict(one.starts), dict(other.starts))

    def walls(session_id: str) -> list[datetime]:
        return [(problem.grid.origin + each[session_id] * SLOT).astimezone(zone) for each in slots]

    moved = 0
    for here, there in map(walls, slots[0]):
        minutes = abs(60 * (here.hour - there.hour) + here.minute - there.minute)
        moved += here.date() != there.date() or minutes >= 60
    ends = [walls(problem.mains[place].session_id) for place in (0, -1)]
    apart = max(abs((there.date() - here.date()).days) for here, there in ends)
    return one.primaries != other.primaries or apart >= 3 or 3 * moved >= len(slots[0])


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


def test_a_twin_is_left_out_and_whoever_truly_differs_is_not() -> None:
    days = [main("a", each([0], 9))]
    days += [main(f"m{day}", each([day], *((9, 14) if day < 3 else (9,))), (1, 1, 1)) for day in range(1, 7)]
    # Two of seven sessions can be at another hour: that is less than a third.
    assert len(alternatives(course(*days), 5)) == 1
    with_three = [*days[:3], replace(days[3], starts=each([3], 9, 14)), *days[4:]]
    wish = Preferences(earliest=12 * 60)
    some = course(*with_three, preferences=wish, weights=Weights(time_of_day=4, hours=15))
    found = alternatives(some, 5)
    assert len(found) == 2
    assert far_apart(some, *found)
    late = [*days[:-1], replace(days[-1], starts=each([6, 9], 9), gap=Gap(1, 1, 4))]
    assert [dict(each.starts)["m6"] for each in alternatives(course(*late), 5)] == [each_slot(6), each_slot(9)]
    near = [*days[:-1], replace(days[-1], starts=each([6, 8], 9), gap=Gap(1, 1, 4))]
    assert len(alternatives(course(*near), 5)) == 1


def test_what_stands_is_not_counted() -> None:
    days = [main("a", each([0], 9)), *(main(f"m{day}", each([day], 9), (1, 1, 1)) for day in range(1, 6))]
    free = [*days, main("last", each([6], 9, 14), (1, 1, 1))]
    pinned = {each.session_id: each_slot(day) for day, each in enumerate(days)}
    assert len(alternatives(course(*free), 5)) == 1
    assert len(alternatives(course(*free, pinned=pinned, preferences=Preferences(earliest=12 * 60)), 5)) == 2


def test_no_more_than_wanted() -> None:
    everything = alternatives(CHOICE, 5)
    assert [len(alternatives(CHOICE, k)) for k in (0, 1, 2)] == [0, 1, 2]
    assert alternatives(CHOICE, 2) == everything[:2]


def test_an_impossible_course_has_none() -> None:
    assert alternatives(course(main("a", 0)), 3) == ()


def test_a_course_with_one_plan_has_one() -> None:
    problem = course(main("a", each([1], 9)), main("b", each([4], 9), (2, 3, 4)))
    assert len(alternatives(problem, 5)) == 1
