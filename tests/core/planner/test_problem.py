"""A problem that contradicts itself is refused at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import pytest

from scheduler.core.planner import Cap, Gap, Preferences, Problem, Rest, Span, Weights, Window, plan
from tests.core.planner.handmade import DAY, WHERE, course, each, leaf, main

AFTER = Window(0, 0, DAY, "end")
GOOD = course(main("a", each([0], 9)), main("b", each([2], 9), (2, 2, 2)))


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Gap(3, 3, 2), "a gap has 0 <= min <= max"),
        (lambda: Gap(-1, 0, 2), "a gap has 0 <= min <= max"),
        (lambda: Window(-5, 0, 60, "end"), "a window has 0 <= min <= max"),
        (lambda: main("a", 0, minutes=0), "a visit lasts whole slots"),
        (lambda: leaf("a", 0, AFTER, minutes=7), "a visit lasts whole slots"),
        (lambda: Span(2, 2, 9), "a span runs forward"),
        (lambda: Span(0, 1, 4, 5), "a span runs forward"),
        (lambda: Rest(60, 30, "end"), "a rest has 0 <= min <= max"),
        (lambda: Cap(0, 1, 0, 7), "a cap allows one session at least"),
        (lambda: Cap(0, 1, 1, 0), "a cap counts at least one day"),
        (lambda: Weights(gap=-1), "Weights.gap is 0 to 10000"),
        (lambda: Weights(leaf_hours=10**9), "Weights.leaf_hours is 0 to 10000"),
        (lambda: replace(WHERE, row_minutes=7), "Grid.row_minutes is a multiple of 5 from 5 to 60"),
        (lambda: replace(WHERE, origin=datetime(2030, 1, 1)), "Grid.origin must be aware"),  # noqa: DTZ001
        (lambda: replace(WHERE, origin=WHERE.origin.replace(minute=3)), "Grid.origin is on a five-minute mark"),
        (lambda: replace(WHERE, days=0), "a grid has at least one slot and one day"),
        (lambda: course(), "a course has at least one main session"),  # noqa: PLW0108
        (lambda: course(main("a", 0), main("a", 0, (1, 1, 1))), "session ids are unique"),
        (lambda: course(main("a", 0, (1, 1, 1))), "the first main session has no gap"),
        (lambda: course(main("a", 0), main("b", 0)), "every later main session has a gap"),
        (lambda: replace(GOOD, spans=(Span(0, 2, 5),)), "a span ends inside the course"),
        (lambda: replace(GOOD, caps=(Cap(0, 2, 1, 7),)), "a cap ends inside the course"),
        (lambda: replace(GOOD, discords=(frozenset({("a", 5)}),)), "one start by itself is no discord"),
        (
            lambda: replace(GOOD, discords=(frozenset({("a", 5), ("x", 5)}),)),
            "only sessions of the course are in discord",
        ),
        (lambda: course(main("a", 0, levels={"noise": (1,)})), "levels have known names"),
        (lambda: replace(GOOD, pinned={"x": 5}), "only sessions of the course can be pinned"),
    ],
)
def test_a_contradiction_is_refused(make: Callable[[], object], sentence: str) -> None:
    with pytest.raises(ValueError, match="^" + sentence.replace(".", r"\.") + "$"):
        make()


def test_bits_beyond_the_timeline_and_the_days_do_not_count() -> None:
    beyond = (1 << 5 * WHERE.slots) - (1 << WHERE.slots)
    assert plan(course(main("a", beyond))) is None
    day_before = each([-1, 14], 9)
    assert plan(course(main("a", day_before))) is None


def test_equal_problems_have_equal_plans() -> None:
    again: Problem = course(main("a", each([0], 9)), main("b", each([2], 9), (2, 2, 2)), preferences=Preferences())
    assert plan(again) == plan(GOOD)
