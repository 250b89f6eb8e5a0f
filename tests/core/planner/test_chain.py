"""Gaps, order, spans and wishes: what binds the main sessions."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from scheduler.core.planner import Cap, Gap, Preferences, Rest, Span, Weights, memory, plan, verify
from tests.core.planner.handmade import DAY, WHERE, at, course, each, main, read
from tests.core.planner.instances import grid, slot


def test_a_single_visit_is_planned_at_its_first_start() -> None:
    problem = course(main("only", at((3, 9), (2, 14), (2, 10))))
    found = plan(problem)
    assert read(problem, found) == {"only": "2 10:00"}
    assert found is not None
    assert found.cost == 2 * (10 + 1)
    assert {part: points for part, points in found.parts.items() if points} == {"finish": 20, "begin": 2}


def test_two_sessions_of_one_day_follow_each_other_without_overlap() -> None:
    evaluation = main("evaluation", each([0], 9, 10, 11), minutes=90, dosing=False)
    problem = course(evaluation, main("dose", each([0], 9, 10, 11), (0, 0, 0)))
    assert read(problem, plan(problem)) == {"evaluation": "0 09:00", "dose": "0 11:00"}


def test_two_sessions_of_one_day_may_touch() -> None:
    problem = course(main("a", each([0], 9)), main("b", each([0], 10), (0, 0, 3)))
    assert read(problem, plan(problem)) == {"a": "0 09:00", "b": "0 10:00"}


def test_no_order_on_one_day_means_no_plan() -> None:
    assert plan(course(main("a", each([0], 10)), main("b", each([0], 9), (0, 0, 0)))) is None


def test_a_rest_is_kept_to_the_minute() -> None:
    where = grid(row_minutes=5)
    second = main("b", at((1, 10), (1, 10 + 1 / 12), where=where), (1, 1, 1))
    rested = replace(second, gap=Gap(1, 1, 1, Rest(DAY + 1, None, "end")))
    problem = course(main("a", each([0], 9, where=where)), rested, grid=where)
    found = plan(problem)
    assert read(problem, found) == {"a": "0 09:00", "b": "1 10:05"}
    assert found is not None
    assert verify(problem, found) == []


def test_a_visit_past_midnight_ends_before_the_next_one() -> None:
    late = main("late", each([0], 23), minutes=180)
    problem = course(late, main("early", each([1], 1, 2), (1, 1, 1)))
    assert read(problem, plan(problem)) == {"late": "0 23:00", "early": "1 02:00"}


def test_the_target_of_a_gap_is_worth_a_delay() -> None:
    # Day 2 is a day off the target (30 points); day 3 ends the course a day later (10).
    problem = course(main("a", each([0], 9)), main("b", each([2, 3], 9), (2, 3, 3)))
    assert read(problem, plan(problem)) == {"a": "0 09:00", "b": "3 09:00"}
    hasty = replace(problem, weights=Weights(gap=9))
    assert read(hasty, plan(hasty)) == {"a": "0 09:00", "b": "2 09:00"}


def test_a_gap_is_never_stretched() -> None:
    assert plan(course(main("a", each([0], 9)), main("b", each([1, 5], 9), (2, 3, 4)))) is None


def test_doses_keep_their_time_of_day() -> None:
    problem = course(main("a", each([0], 14)), main("b", each([2], 9, 13, 14.5), (2, 2, 2)))
    assert read(problem, plan(problem)) == {"a": "0 14:00", "b": "2 13:00"}  # rows are whole hours here
    visits = replace(problem, mains=(replace(problem.mains[0], dosing=False), problem.mains[1]))
    assert read(visits, plan(visits)) == {"a": "0 14:00", "b": "2 09:00"}


def test_changing_the_time_of_day_has_a_highest_price() -> None:
    problem = course(main("a", each([0], 8)), main("b", each([2], 18), (2, 2, 2)))
    found = plan(problem)
    assert found is not None
    assert found.parts["time_of_day"] == 64


def test_below_the_highest_price_each_quarter_counts() -> None:
    # The second dose is 3 h 45 min later on the wall clock, for 60; an unwelcome hour for the first avoids that.
    where = grid(row_minutes=15)
    mains = main("a", each([0], 9, 12.75, where=where)), main("b", each([2], 12.75, where=where), (2, 2, 2))
    problem = course(*mains, grid=where, preferences=Preferences(latest=12 * 60), weights=Weights(hours=62))
    assert read(problem, plan(problem)) == {"a": "0 09:00", "b": "2 12:45"}
    cheaper = replace(problem, weights=Weights(hours=59))
    assert read(cheaper, plan(cheaper)) == {"a": "0 12:45", "b": "2 12:45"}


def test_wishes_bend_but_do_not_forbid() -> None:
    problem = course(main("a", each([1, 2], 8, 12)), preferences=Preferences(frozenset({2}), 11 * 60, 13 * 60))
    found = plan(problem)  # day 0 of the grid is a Monday
    assert read(problem, found) == {"a": "2 12:00"}
    only = replace(problem, mains=(main("a", each([1], 8)),))
    found = plan(only)
    assert found is not None
    assert (found.parts["weekday"], found.parts["hours"]) == (25, 20)
    assert verify(only, found) == []


def test_a_span_moves_the_first_session_rather_than_the_last() -> None:
    # Without the span: days 0 and 5. The last session is free on day 5 only.
    first, last = main("first", each([0, 2, 4], 9)), main("last", each([5], 9), (1, 5, 5))
    assert read(course(first, last), plan(course(first, last))) == {"first": "0 09:00", "last": "5 09:00"}
    short = course(first, last, spans=(Span(0, 1, 3),))
    assert read(short, plan(short)) == {"first": "2 09:00", "last": "5 09:00"}
    assert plan(replace(short, spans=(Span(0, 1, 0),))) is None


def test_of_two_sessions_too_close_together_neither_is_moved_too_far() -> None:
    # Days 2 and 5 are best; days 1 and 6 are just far enough apart, and from day 0 the time of day changes.
    first = main("first", each([0], 20) | each([1, 2], 9))
    mains = first, main("then", each(range(9), 9), (1, 1, 9)), main("last", each([5, 6], 9), (1, 1, 9))
    assert read(course(*mains), plan(course(*mains))) == {"first": "2 09:00", "then": "3 09:00", "last": "5 09:00"}
    problem = course(*mains, spans=(Span(0, 2, 30, 5),))
    found = plan(problem)
    assert read(problem, found) == {"first": "1 09:00", "then": "2 09:00", "last": "6 09:00"}
    assert found is not None
    assert verify(problem, found) == []


@pytest.mark.parametrize("states", [64, 0])
def test_a_week_is_from_monday_to_sunday(states: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "MOST_STATES", states)
    where = grid(first_day=date(2030, 6, 6))  # a Thursday: days 2 and 3 are a weekend
    mains = main("a", each([2, 3], 9, where=where)), main("b", each([3, 4, 5], 9, where=where), (1, 1, 3))
    free = course(*mains, grid=where)
    assert read(free, plan(free)) == {"a": "2 09:00", "b": "3 09:00"}
    problem = replace(free, caps=(Cap(0, 1, 1, None),))
    found = plan(problem)
    assert read(problem, found) == {"a": "3 09:00", "b": "4 09:00"}
    assert found is not None
    assert verify(problem, found) == []


def test_of_three_starts_that_exclude_each_other_the_last_one_may_give_way() -> None:
    mains = main("a", each([0], 9)), main("b", each([1], 9), (1, 1, 1)), main("c", each([2, 3], 9), (1, 1, 2))
    starts = {(name, slot(WHERE, day, 9)) for day, name in enumerate("abc")}
    problem = course(*mains, discords=(frozenset(starts),))
    assert read(problem, plan(problem)) == {"a": "0 09:00", "b": "1 09:00", "c": "3 09:00"}


def test_spans_may_interlock() -> None:
    days = range(12)
    mains = (main("a", each(days, 9)), *(main(name, each(days, 9), (1, 3, 4)) for name in "bcd"))
    problem = course(*mains, spans=(Span(0, 2, 4), Span(1, 3, 3), Span(0, 3, 6)))
    found = plan(problem)
    assert found is not None
    assert verify(problem, found) == []
    # a-c and b-d are at most 4 and 3 days: the gaps 3, 1, 2 deviate from their target of 3 by 0 + 2 + 1.
    assert found.parts["gap"] == 30 * 3


def test_of_equal_plans_the_earliest_is_taken() -> None:
    nothing = Weights(*[0] * 12)
    problem = course(main("a", each([2, 1], 9, 8)), main("b", each(range(9), 9, 8), (1, 1, 6)), weights=nothing)
    assert read(problem, plan(problem)) == {"a": "1 08:00", "b": "2 08:00"}


def test_a_later_first_day_may_be_only_just_better() -> None:
    # Day 27 at an unwelcome hour costs 27 * 11 + 20, day 28 costs 28 * 11.
    where = grid(days=60)
    starts = each([27], 8, where=where) | each([28], 10, where=where)
    problem = course(main("a", starts), grid=where, preferences=Preferences(earliest=9 * 60))
    assert read(problem, plan(problem)) == {"a": "28 10:00"}


@pytest.mark.parametrize("edge", ["start", "end"])
def test_a_rest_that_is_not_whole_slots_ends_with_the_slot_before(edge: Any) -> None:
    """From nine to ten on one day, and then from nine or from five past nine on the next."""
    where, hour = grid(row_minutes=5), 0 if edge == "end" else 60
    for start, lawful in ((9, True), (9 + 1 / 12, False)):
        second = main("b", at((1, start), where=where), (1, 1, 1))
        rested = replace(second, gap=Gap(1, 1, 1, Rest(0, 23 * 60 + hour + 4, edge)))
        assert (plan(course(main("a", each([0], 9, where=where)), rested, grid=where)) is not None) == lawful


def test_a_long_night_is_looked_at_anew_for_whatever_follows() -> None:
    """Two sessions alike last until two; one follows at one or at three, and the other has always been far away."""
    night = each([0, 2], 22)
    mains = (
        main("a", night, minutes=240),
        main("b", each([1], 1, 3), (1, 1, 1)),
        main("c", night, (1, 1, 1), minutes=240),
        main("d", each([3], 12), (1, 1, 1)),
    )
    found = read(course(*mains), plan(course(*mains)))
    assert found == {"a": "0 22:00", "b": "1 03:00", "c": "2 22:00", "d": "3 12:00"}
