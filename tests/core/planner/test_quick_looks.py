"""The quick looks before the search: days never rule out a plan, what is tried out is one, and neither is idle."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from scheduler.core.planner import Gap, Plan, Problem, Rest, Span, Window, plan, verify
from scheduler.core.planner.attempt import attempt
from scheduler.core.planner.explain import bare, feasible
from scheduler.core.planner.glance import Glance
from scheduler.core.planner.planes import Planes
from tests.core.planner import handmade
from tests.core.planner.handmade import each, leaf, main
from tests.core.planner.instances import course, ruled

SEEDS = range(80)


def looked(problem: Problem) -> tuple[Glance, dict[str, int] | None]:
    glance = Glance(Planes(problem))
    return glance, attempt(problem, glance)


def test_neither_look_contradicts_the_search() -> None:
    seen: Counter[str] = Counter()
    for seed in SEEDS:
        problem = bare((course, ruled)[seed % 3 == 0](seed))
        glance, slots = looked(problem)
        exists = plan(problem) is not None
        assert feasible(problem) == exists, seed
        assert exists or slots is None, seed
        assert not exists or glance.impossible is None, seed
        seen["ruled out"] += glance.impossible is not None
        seen["come across"] += slots is not None
        if slots is not None:
            starts = tuple(sorted(slots.items(), key=lambda start: (start[1], start[0])))
            faults = verify(problem, Plan(starts, 0, {}, {}))
            assert all("cost" in fault or "points" in fault for fault in faults), (seed, faults)
    assert seen["ruled out"] > 20, "most courses without a plan are told by their days"
    assert seen["come across"] > 5


@pytest.mark.parametrize("seed", SEEDS[:30])
def test_a_beginning_that_is_ruled_out_has_no_plan_and_the_days_left_hold_every_plan(seed: int) -> None:
    problem = course(seed)
    glance, found = Glance(Planes(problem)), plan(problem)
    if found is None or problem.pinned:
        return
    days = [glance.calendar.local(dict(found.starts)[main.session_id])[0] for main in problem.mains]
    assert all(left >> day & 1 for left, day in zip(glance.reached, days, strict=True))
    assert glance.soonest <= days[-1]


def test_days_at_the_very_end_of_a_span_or_a_window_are_not_ruled_out() -> None:
    span = handmade.course(main("a", each([0], 9)), main("b", each([5], 9), (1, 5, 9)), spans=(Span(0, 1, 5),))
    late = leaf("talk", each([2], 9), Window(0, 0, 36 * 60, "end"))
    window = handmade.course(main("a", each([0], 20), leaf=late))
    for problem in (span, window):
        assert plan(problem) is not None
        assert Glance(Planes(problem)).impossible is None
        assert feasible(problem)


@pytest.mark.parametrize(
    ("rest", "lawful"),
    [
        (Rest(edge="end", min=23 * 60, max=None), True),
        (Rest(edge="end", min=23 * 60 + 5, max=None), False),
        (Rest(edge="end", min=0, max=23 * 60), True),
        (Rest(edge="end", min=0, max=23 * 60 - 5), False),
        (Rest(edge="start", min=24 * 60, max=24 * 60), True),
        (Rest(edge="start", min=24 * 60 + 5, max=None), False),
    ],
)
def test_what_is_tried_out_rests_for_as_long_as_it_must(rest: Rest, *, lawful: bool) -> None:
    """From nine to ten on one day, and from nine on the next."""
    later = replace(main("b", each([1], 9)), gap=Gap(1, 1, 1, rest=rest))
    problem = handmade.course(main("a", each([0], 9)), later)
    assert (looked(problem)[1] is not None, plan(problem) is not None) == (lawful, lawful)
