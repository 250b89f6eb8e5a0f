"""Why there is no plan: the session, the cause, and the days on which it would have to be."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from scheduler.core.planner import Blocked, Problem, Span, Window, blocked, plan
from tests.core.planner.handmade import DAY, WHERE, course, each, leaf, main, people
from tests.core.planner.instances import course as random_course
from tests.core.planner.instances import slot

DAYS = range(14)
AFTER = Window(DAY, 2 * DAY, 3 * DAY, "end")


def told(problem: Problem) -> tuple[str, str, dict[int, int]] | None:
    """Session, cause, and the starts by day, counted from the grid's first."""
    found = blocked(problem)
    if found is None:
        return None
    return found.session_id, found.cause, {(day - WHERE.first_day).days: starts for day, starts in found.days}


def test_a_possible_course_is_not_blocked() -> None:
    assert blocked(course(main("a", each(DAYS, 9)))) is None


def test_a_first_session_without_a_start() -> None:
    problem = course(main("a", 0), main("b", each(DAYS, 9), (1, 1, 1)))
    assert told(problem) == ("a", "no_start", dict.fromkeys(DAYS, 0))


def test_a_later_session_without_a_start_on_the_days_left() -> None:
    first, last = main("a", each([0, 1], 9)), main("c", each(DAYS, 9), (2, 2, 2))
    problem = course(first, main("b", each([0, 1, 6], 9), (2, 3, 4)), last)
    assert told(problem) == ("b", "no_start", dict.fromkeys(range(2, 6), 0))


def test_an_order_within_the_day_that_does_not_exist() -> None:
    problem = course(main("a", each([0], 10)), main("b", each([0], 8, 9), (0, 0, 0)))
    assert told(problem) == ("b", "no_fit", {0: 2})


def test_a_leaf_without_a_start() -> None:
    problem = course(
        main("a", each([0], 9), leaf=leaf("talk", each([0, 4], 9), AFTER)), main("b", each(DAYS, 9), (2, 2, 2))
    )
    assert told(problem) == ("talk", "no_start", {1: 0, 2: 0, 3: 0})


def test_a_leaf_whose_day_has_only_hours_outside_the_window() -> None:
    problem = course(main("a", each([0], 9), leaf=leaf("talk", each([1], 8), AFTER)))
    assert told(problem) == ("talk", "no_fit", {1: 1, 2: 0, 3: 0})


def test_a_session_that_leaves_the_leaf_before_it_no_day() -> None:
    talk = leaf("talk", each([3], 9), AFTER)
    problem = course(main("a", each([0], 9), leaf=talk), main("b", each([2, 3], 9), (2, 2, 3)))
    assert told(problem) == ("b", "no_start", {})


def test_changing_people() -> None:
    by = [people("prescriber", {person: each(DAYS, 9)}) for person in ("P", "Q")]
    problem = course(
        main("a", each([0], 9), by=by[0]),
        main("b", each(DAYS, 9), (2, 2, 3), by=by[1]),
        candidates={"prescriber": ("P", "Q")},
        continuity="required",
    )
    assert told(problem) == ("b", "continuity", {2: 1, 3: 1})


def test_a_span_that_is_too_short() -> None:
    mains = main("a", each([0], 9)), main("b", each(DAYS, 9), (2, 2, 3)), main("c", each([5], 9), (2, 2, 3))
    problem = course(*mains, main("d", 0, (1, 1, 1)), spans=(Span(0, 2, 4), Span(0, 3, 9)))
    assert told(problem) == ("c", "span", {4: 0, 5: 1, 6: 0})


def test_pinned_sessions_bound_the_days() -> None:
    problem = course(main("a", 0), main("b", each([9], 9), (2, 2, 3)), pinned={"a": slot(WHERE, -1, 9)})
    assert told(problem) == ("b", "no_start", {1: 0, 2: 0})


@pytest.mark.parametrize("seed", range(120))
def test_it_speaks_exactly_when_there_is_no_plan_and_names_the_first_session(seed: int) -> None:
    problem = random_course(seed)
    found = blocked(problem)
    assert (found is None) == (plan(problem) is not None)
    if found is not None:
        _check_first(problem, found)


def _check_first(problem: Problem, found: Blocked) -> None:
    """The course is possible up to the session before the blocked one, and counts are of the session's own starts."""
    ids = [visit.session_id for visit in problem.visits()]
    length = ids.index(found.session_id)
    mains = [main for main in problem.mains if ids.index(main.session_id) < length]
    if mains and mains[-1].leaf is not None and ids.index(mains[-1].leaf.session_id) >= length:
        mains[-1] = replace(mains[-1], leaf=None)
    spans = tuple(span for span in problem.spans if span.last < len(mains))
    pinned = {session_id: slot for session_id, slot in problem.pinned.items() if session_id in ids[:length]}
    if mains:
        assert plan(replace(problem, mains=tuple(mains), spans=spans, pinned=pinned)) is not None
    assert (found.cause == "no_start") == (sum(starts for _, starts in found.days) == 0)
    assert all(
        later - earlier >= timedelta(days=1)
        for (earlier, _), (later, _) in zip(found.days, found.days[1:], strict=False)
    )
