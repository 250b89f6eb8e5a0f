"""Pinned sessions: they stand where they are, and the others heed them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from scheduler.core.planner import Cap, Gap, Rest, Span, Window, memory, plan, verify
from tests.core.planner.handmade import DAY, WHERE, at, course, each, leaf, main, people, read
from tests.core.planner.instances import slot

DAYS = range(12)
AFTER = Window(DAY, DAY, 3 * DAY, "end")


def test_a_pinned_session_needs_no_start_of_its_own() -> None:
    problem = course(main("a", 0), main("b", each(DAYS, 9), (2, 2, 3)), pinned={"a": slot(WHERE, 1, 9) + 1})
    found = plan(problem)
    assert read(problem, found) == {"a": "1 09:05", "b": "3 09:00"}
    assert found is not None
    assert verify(problem, found) == []


def test_gaps_count_from_what_happened_before_the_grid_begins() -> None:
    problem = course(main("a", 0), main("b", each(DAYS, 9), (2, 2, 6)), pinned={"a": slot(WHERE, -4, 9)})
    found = plan(problem)
    assert read(problem, found) == {"a": "-4 09:00", "b": "0 09:00"}
    assert found is not None
    assert (found.parts["begin"], found.parts["gap"], verify(problem, found)) == (-4, 60, [])
    assert plan(replace(problem, pinned={"a": slot(WHERE, -7, 9)})) is None


def test_a_session_between_two_pins_keeps_both_gaps() -> None:
    pins = {"a": slot(WHERE, 0, 9), "c": slot(WHERE, 5, 9)}
    mains = main("a", 0), main("b", each(DAYS, 9), (2, 2, 3)), main("c", 0, (3, 3, 3))
    assert read(course(*mains, pinned=pins), plan(course(*mains, pinned=pins)))["b"] == "2 09:00"  # type: ignore[index]
    assert plan(course(*mains, pinned=pins | {"c": slot(WHERE, 7, 9)})) is None


def test_what_concerns_pins_only_is_not_judged() -> None:
    talk = leaf("talk", 0, AFTER)
    pins = {"a": slot(WHERE, 0, 9), "talk": slot(WHERE, 8, 9), "b": slot(WHERE, 8, 9.5)}
    problem = course(
        main("a", 0, leaf=talk),
        main("b", 0, (2, 2, 3)),
        main("c", each(DAYS, 9), (1, 1, 1)),
        pinned=pins,
        spans=(Span(0, 1, 2),),
    )
    found = plan(problem)
    assert read(problem, found) == {"a": "0 09:00", "talk": "8 09:00", "b": "8 09:30", "c": "9 09:00"}
    assert found is not None
    assert verify(problem, found) == []


@pytest.mark.parametrize("states", [64, 0])
@pytest.mark.parametrize(
    "rules",
    [
        {"caps": (Cap(0, 1, 1, 7),)},
        {"caps": (Cap(0, 1, 1, None),)},
        {"spans": (Span(0, 1, 9, 5),)},
        {"discords": (frozenset({("a", slot(WHERE, 0, 9)), ("b", slot(WHERE, 2, 9))}),)},
    ],
)
def test_no_rule_judges_two_pins(rules: dict[str, Any], states: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "MOST_STATES", states)
    second = replace(main("b", 0, (2, 2, 2)), gap=Gap(2, 2, 2, Rest(9 * DAY, None, "start")))
    mains = main("a", 0), second, main("c", each(DAYS, 9), (1, 1, 1))
    problem = course(*mains, pinned={"a": slot(WHERE, 0, 9), "b": slot(WHERE, 2, 9)}, **rules)
    found = plan(problem)
    assert read(problem, found) == {"a": "0 09:00", "b": "2 09:00", "c": "3 09:00"}
    assert found is not None
    assert verify(problem, found) == []


def test_a_free_leaf_heeds_pinned_sessions() -> None:
    talk = leaf("talk", each([1, 2], 8), Window(0, 0, 3 * DAY, "end"))
    problem = course(
        main("a", 0, leaf=talk), main("b", 0, (1, 1, 9)), pinned={"a": slot(WHERE, 0, 9), "b": slot(WHERE, 2, 9)}
    )
    assert read(problem, plan(problem))["talk"] == "1 08:00"  # type: ignore[index]
    assert plan(replace(problem, pinned={**problem.pinned, "b": slot(WHERE, 1, 9)})) is None


def test_free_sessions_heed_a_pinned_leaf() -> None:
    talk = leaf("talk", 0, AFTER)
    problem = course(
        main("a", each(DAYS, 9), leaf=talk), main("b", each(DAYS, 9), (2, 2, 5)), pinned={"talk": slot(WHERE, 4, 12)}
    )
    assert read(problem, plan(problem)) == {"a": "3 09:00", "talk": "4 12:00", "b": "5 09:00"}
    nowhere = replace(problem, pinned={"talk": slot(WHERE, 0, 9)})
    assert plan(nowhere) is None


def test_a_pin_at_a_doubtful_wall_time_is_taken_as_it_is() -> None:
    problem = course(main("a", 0), pinned={"a": 10_000})
    found = plan(problem)
    assert found is not None
    assert (found.starts, verify(problem, found)) == ((("a", 10_000),), [])


def test_a_pinned_session_binds_the_course_to_whoever_serves_it() -> None:
    free = people("prescriber", {"P": each(DAYS, 9), "Q": each(DAYS, 10)})
    stood = slot(WHERE, 0, 9)
    problem = course(
        main("a", 0, by=people("prescriber", {"Q": 1 << stood})),
        main("b", each(DAYS, 9, 10), (2, 2, 2), by=free),
        candidates={"prescriber": ("P", "Q")},
        continuity="required",
        pinned={"a": stood},
    )
    assert read(problem, plan(problem))["b"] == "2 10:00"  # type: ignore[index]
    # Whom nobody among the candidates serves binds nobody.
    foreign = replace(problem, mains=(main("a", 0, by=people("prescriber", {"X": 1 << stood})), problem.mains[1]))
    found = plan(foreign)
    assert found is not None
    assert (read(foreign, found)["b"], verify(foreign, found)) == ("2 09:00", [])  # type: ignore[index]


def test_pinning_a_plan_where_it_stands_changes_nothing() -> None:
    talk = leaf("talk", each(DAYS, 10), AFTER)
    problem = course(
        main("a", each(DAYS, 9), leaf=talk), main("b", each(DAYS, 9), (2, 2, 4)), main("c", at((6, 9)), (2, 3, 4))
    )
    found = plan(problem)
    assert found is not None
    assert plan(replace(problem, pinned=dict(found.starts))) == found
