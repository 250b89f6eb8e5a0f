"""Leaves: windows, days, the next session, and one patient who cannot be in two places."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from scheduler.core.planner import Preferences, Problem, Window, plan, verify
from scheduler.core.planner.explain import feasible
from tests.core.planner.handmade import DAY, WHERE, at, course, each, leaf, main, people, read
from tests.core.planner.instances import grid, slot

#: One to three days after the end, best after two.
AFTER = Window(DAY, 2 * DAY, 3 * DAY, "end")


def talked(problem: Problem) -> str | None:
    found = plan(problem)
    assert found is None or verify(problem, found) == []
    return (read(problem, found) or {}).get("talk")


def dose_and_talk(talk_starts: int, window: Window, **more: object) -> Problem:
    return course(main("dose", each([0], 9), leaf=leaf("talk", talk_starts, window, **more)))


@pytest.mark.parametrize(
    ("hour", "window", "planned"),
    [
        (10, Window(DAY, DAY, DAY, "end"), "1 10:00"),
        (9, Window(DAY, DAY, DAY, "start"), "1 09:00"),
        (9, Window(DAY, DAY, DAY, "end"), None),
        (10, Window(DAY - 60, DAY, DAY - 5, "end"), None),
        (10, Window(DAY + 5, DAY, 2 * DAY, "end"), None),
    ],
)
def test_a_window_counts_elapsed_minutes_from_its_edge(hour: float, window: Window, planned: str | None) -> None:
    assert talked(dose_and_talk(at((1, hour)), window)) == planned


def test_the_day_of_the_target_is_preferred() -> None:
    assert talked(dose_and_talk(each([1, 2, 3], 10), AFTER)) == "2 10:00"
    late = dose_and_talk(each([1, 3], 10), AFTER)
    assert talked(late) == "1 10:00"  # equally far from the target, and earlier
    found = plan(late)
    assert found is not None
    assert found.parts["leaf_delay"] == 3


def test_a_leaf_keeps_off_the_day_of_its_session() -> None:
    problem = dose_and_talk(at((0, 14), (1, 8)), Window(0, 0, DAY, "end"))
    assert talked(problem) == "1 08:00"
    assert talked(dose_and_talk(at((0, 14), (1, 8)), Window(0, 0, DAY, "end"), same_day=True)) == "0 14:00"


@pytest.mark.parametrize("edge", ["start", "end"])
def test_a_leaf_begins_when_its_session_is_over(edge: str) -> None:
    window = Window(0, 0, DAY, edge)  # type: ignore[arg-type]
    problem = dose_and_talk(each([0], 9, 10, 11), window, same_day=True)
    assert talked(problem) == "0 10:00"


def test_a_leaf_comes_on_a_day_between_two_sessions() -> None:
    talk = leaf("talk", each([1, 2, 3], 10), AFTER)
    problem = course(main("a", each([0], 9), leaf=talk), main("b", each([2], 9), (2, 2, 2)))
    assert talked(problem) == "1 10:00"
    only_on_the_day = replace(
        problem, mains=(replace(problem.mains[0], leaf=replace(talk, starts=each([2], 8))), problem.mains[1])
    )
    assert plan(only_on_the_day) is None


def test_the_next_session_waits_for_the_leaf() -> None:
    talk = leaf("talk", each([2], 10), AFTER)
    problem = course(main("a", each([0], 9), leaf=talk), main("b", each([2, 3], 9), (2, 2, 3)))
    assert read(problem, plan(problem)) == {"a": "0 09:00", "talk": "2 10:00", "b": "3 09:00"}


def test_a_leaf_of_the_same_day_is_over_before_the_next_session() -> None:
    talk = leaf("talk", each([1], 8, 9, 10), Window(0, DAY, 2 * DAY, "end"), same_day=True, minutes=90)
    problem = course(main("a", each([0], 9), leaf=talk), main("b", each([1], 9, 10), (1, 1, 1)))
    assert read(problem, plan(problem)) == {"a": "0 09:00", "talk": "1 08:00", "b": "1 10:00"}


def test_all_on_one_day() -> None:
    talk = leaf("talk", each([0], 9, 10, 11, 12), Window(0, 0, 600, "end"), same_day=True)
    problem = course(main("a", each([0], 9), leaf=talk), main("b", each([0], 10, 11), (0, 0, 0)))
    assert read(problem, plan(problem)) == {"a": "0 09:00", "talk": "0 10:00", "b": "0 11:00"}


def test_a_leaf_past_midnight_is_over_before_the_next_session() -> None:
    talk = leaf("talk", each([1], 12, 23), AFTER, minutes=180)
    mains = main("a", each([0], 9), leaf=talk), main("b", each([2], 1), (2, 2, 2))
    assert talked(course(*mains)) == "1 12:00"
    assert plan(course(replace(mains[0], leaf=replace(talk, starts=each([1], 23))), mains[1])) is None


def test_a_leaf_that_may_come_later_leaps_over_the_next_session() -> None:
    talk = leaf("talk", each([1, 3], 9), AFTER, before_next=False)
    problem = course(main("a", each([0], 9), leaf=talk), main("b", each([1], 9), (1, 1, 1)))
    assert talked(problem) == "3 09:00"
    assert plan(course(replace(problem.mains[0], leaf=replace(talk, before_next=True)), problem.mains[1])) is None


def test_a_leaf_keeps_off_the_days_of_all_sessions_however_far() -> None:
    talk = leaf("talk", each(range(1, 7), 14), Window(DAY, 2 * DAY, 6 * DAY, "end"), before_next=False)
    days = course(
        main("a", each([0], 9), leaf=talk),
        *(main(f"b{day}", each([day], 9), (1, 1, 1)) for day in (1, 2, 3)),
        main("c", each([5], 9), (1, 1, 3)),
    )
    assert talked(days) == "4 14:00"


def test_two_leaves_do_not_overlap() -> None:
    window = Window(DAY, 4 * DAY, 6 * DAY, "end")
    hours = each([4], 9, 10)
    problem = course(
        main("a", each([0], 9), leaf=leaf("talk", hours, window, before_next=False)),
        main("b", each([1], 9), (1, 1, 1), leaf=leaf("other", hours, window)),
    )
    assert read(problem, plan(problem)) == {"a": "0 09:00", "b": "1 09:00", "talk": "4 09:00", "other": "4 10:00"}
    long = replace(problem, mains=tuple(replace(m, leaf=replace(m.leaf, minutes=65)) for m in problem.mains if m.leaf))
    assert plan(long) is None


def test_two_leaves_may_touch() -> None:
    where, window = grid(row_minutes=5), Window(0, DAY, 3 * DAY, "end")
    problem = course(
        main(
            "a", each([0], 9), leaf=leaf("talk", at((2, 8 + 55 / 60), (2, 9), where=where), window, before_next=False)
        ),
        main("b", each([1], 9), (1, 1, 1), leaf=leaf("other", at((2, 9), (2, 9 + 55 / 60), where=where), window)),
        grid=where,
        preferences=Preferences(earliest=9 * 60),
    )
    assert talked(problem) == "2 08:55"


def test_the_last_leaf_needs_its_window_only() -> None:
    problem = course(main("a", each([0], 9)), main("b", each([2], 9), (2, 2, 2), leaf=leaf("talk", at((5, 9)), AFTER)))
    assert talked(problem) == "5 09:00"
    assert slot(WHERE, 5, 9) - slot(WHERE, 2, 10) < 3 * 288


@pytest.mark.parametrize("edge", ["start", "end"])
def test_a_window_that_is_not_whole_slots_begins_with_the_next_and_ends_with_the_one_before(edge: Any) -> None:
    where, after = grid(row_minutes=5), 600 if edge == "end" else 540
    for minute, lawful in ((0, False), (5, True), (10, True), (15, False)):
        window = Window(DAY + 1, DAY + 1, DAY + 14, edge)
        talk = leaf("talk", at((1, (after + minute) / 60), where=where), window)
        found = plan(course(main("dose", each([0], 9, where=where), leaf=talk), grid=where))
        assert (found is not None) == lawful, minute


def test_the_day_of_the_target_is_the_day_on_which_its_minute_is() -> None:
    """A minute before midnight is still of that day."""
    window = Window(0, 15 * 60 - 1, 3 * DAY, "start")
    problem = dose_and_talk(each([0, 1], 22), window, same_day=True)
    assert talked(problem) == "0 22:00"


@pytest.mark.parametrize(("target", "planned"), [(DAY, "1 10:00"), (3 * DAY, "3 10:00")])
def test_of_the_days_before_and_after_the_next_session_the_better_one_is_taken(target: int, planned: str) -> None:
    talk = leaf("talk", each([1, 3], 10), Window(0, target, 4 * DAY, "end"), before_next=False)
    assert talked(course(main("a", each([0], 9), leaf=talk), main("b", each([2], 9), (2, 2, 2)))) == planned


def test_a_day_of_23_hours_brings_a_leaf_a_day_further() -> None:
    """Less than a day after its dose the talk is two dates later; nobody serves both doses, so each is looked at."""
    where = grid("America/New_York", date(2030, 3, 8), 8, 15)
    first, second, late = at((0, 9), where=where), at((1, 23.5), where=where), at((3, 0.25), where=where)
    talk = leaf("talk", late, Window(0, 0, DAY - 5, "start"))
    mains = (
        main("a", first, by=people("prescriber", {"P": first, "Q": 0})),
        main("b", second, (1, 1, 1), by=people("prescriber", {"P": 0, "Q": second}), minutes=15, leaf=talk),
    )
    wish: dict[str, Any] = {"candidates": {"prescriber": ("P", "Q")}, "continuity": "preferred"}
    assert talked(course(*mains, grid=where, **wish)) == "3 00:15"
    assert feasible(course(*mains, grid=where, **wish))
