"""The cheapest way by days alone: never dearer than the best plan, the best plan itself where nothing else counts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache

import numpy as np

from scheduler.core.planner import Plan, Problem, Span, plan, verify
from scheduler.core.planner.grid import Ints
from scheduler.core.planner.look import cheapest
from scheduler.core.planner.planes import INF
from scheduler.core.planner.pricing import priced
from scheduler.core.planner.trail import Prices, Trail
from tests.core.planner import instances
from tests.core.planner.handmade import WHERE, course, each, main
from tests.core.planner.instances import slot


def nothing(problem: Problem) -> Prices:
    return {visit.session_id: np.zeros(problem.grid.slots, dtype=np.int64) for visit in problem.visits()}


@lru_cache(maxsize=1)
def known() -> tuple[tuple[Problem, Plan | None], ...]:
    """Courses with what they cost when doses may change their time of day, and the best plan of each."""

    def plain(problem: Problem) -> Problem:
        without = replace(problem, weights=replace(problem.weights, time_of_day=0, start_profile=0, nurse_peak=0))
        return replace(without, continuity="none") if problem.continuity == "preferred" else without

    made = (plain(make(seed)) for seed in range(120) for make in (instances.course, instances.ruled))
    return tuple((problem, plan(problem)) for problem in made if Trail.leads(problem))


def ways() -> Iterator[tuple[Problem, Plan | None, Trail, tuple[int, Plan] | None]]:
    for problem, best in known():
        trail = Trail(problem)
        way = cheapest(trail, nothing(problem))
        yield problem, best, trail, way and (way[0], priced(problem, way[1]))


def test_no_plan_is_cheaper_and_where_there_is_no_way_there_is_no_plan() -> None:
    found = list(ways())
    assert len(found) > 60
    assert sum(problem.continuity == "required" for problem, *_ in found) > 15
    for _, best, _, way in found:
        assert best is None or (way is not None and way[0] <= best.cost)
    assert sum(way is None for *_, way in found) > 10


def test_a_way_that_keeps_the_other_rules_is_a_best_plan() -> None:
    kept = broken = 0
    for problem, best, trail, _ in ways():
        way = cheapest(trail, nothing(problem))
        if way is None:
            continue
        found = priced(problem, way[1])
        faults = verify(problem, found)
        assert trail.keeps(way[1]) == (not faults), faults
        if faults:
            broken += 1
            continue
        kept += 1
        assert best is not None
        assert way[0] == found.cost == best.cost
    assert kept > 25
    assert broken > 5


def test_what_is_taken_or_dear_is_kept_off() -> None:
    problem = course(main("first", each([0, 1], 9, 10)), main("second", each(range(2, 6), 9), (1, 2, 4)))
    trail = Trail(problem)

    def second_day(price: int) -> dict[str, Ints]:
        prices = dict(nothing(problem))
        prices["first"] = prices["first"].copy()
        prices["first"][: slot(WHERE, 1, 0)] = price
        return prices

    free, dear, taken = (cheapest(trail, second_day(price)) for price in (0, 500, INF))
    assert free is not None
    assert dear is not None
    assert dear == taken
    assert (free[1].mains, dear[1].mains) == (
        (slot(WHERE, 0, 9), slot(WHERE, 2, 9)),
        (slot(WHERE, 1, 9), slot(WHERE, 3, 9)),
    )
    assert cheapest(trail, {each_id: price + INF for each_id, price in nothing(problem).items()}) is None


def test_without_wishes_a_way_costs_what_its_starts_do() -> None:
    for problem, _, _, way in list(ways())[::4]:
        prices = {session_id: price + 7 for session_id, price in nothing(problem).items()}
        bare = cheapest(Trail(problem, wishes=False), prices)
        assert (bare is None) == (way is None)
        assert bare is None or bare[0] == 7 * len(prices)


def test_one_broken_span_is_mended_and_a_second_is_noticed() -> None:
    first, second = main("first", each([0], 9)), main("second", each([1, 4], 9), (1, 1, 5))
    problem = course(first, second, main("third", each([2, 5, 7], 9), (1, 1, 5)), spans=(Span(0, 1, 9, 3),))
    one = Trail(problem)
    mended = cheapest(one, nothing(problem))
    assert mended is not None
    assert [one.calendar.local(start)[0] for start in mended[1].mains] == [0, 4, 5]
    assert one.keeps(mended[1])
    two = Trail(replace(problem, spans=(*problem.spans, Span(1, 2, 9, 3))))
    broken = cheapest(two, nothing(problem))
    assert broken is not None
    assert not two.keeps(broken[1])
