"""The verifier against sabotage: each lawless or miscounted plan is told, and by the right sentence."""

from __future__ import annotations

import ast
import inspect
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scheduler.core.planner import Cap, Gap, Plan, Rest, Span, Window, plan, verify
from scheduler.core.planner.problem import LEVELS
from tests.core.planner.handmade import DAY, WHERE, course, each, leaf, main, people, read
from tests.core.planner.instances import grid, slot

DAYS = range(14)
ALWAYS = (1 << WHERE.slots) - 1
AFTER = Window(DAY, 2 * DAY, 3 * DAY, "end")
BY = people("prescriber", {"P": ALWAYS, "Q": each([0], 9)})
COURSE = course(
    main("a", ALWAYS, by=BY, leaf=leaf("talk", ALWAYS, AFTER)),
    main("b", ALWAYS, (3, 4, 5), by=BY, leaf=leaf("later", ALWAYS, AFTER)),
    main("c", ALWAYS, (3, 4, 5), by=BY),
    candidates={"prescriber": ("P", "Q")},
    continuity="required",
    spans=(Span(0, 2, 9),),
)


def best() -> Plan:
    found = plan(COURSE)
    assert found is not None
    assert verify(COURSE, found) == []
    assert read(COURSE, found) == {
        "a": "0 00:00", "talk": "2 00:00", "b": "4 00:00", "later": "6 00:00", "c": "8 00:00",
    }  # fmt: skip
    return found


def moved(session_id: str, day: int, hour: float) -> Plan:
    """The best plan with one session elsewhere."""
    starts = dict(best().starts) | {session_id: slot(WHERE, day, hour)}
    return replace(best(), starts=tuple(sorted(starts.items(), key=lambda start: start[1])))


@pytest.mark.parametrize(
    ("session_id", "day", "hour", "fault"),
    [
        ("b", 2, 12, "b follows a after 2 days"),
        ("c", 10, 0, "c follows b after 6 days"),
        ("c", 10, 0, "10 days from a to c"),
        ("talk", 1, 0, "talk starts 1380 minutes after the end of its session"),
        ("talk", 3, 2, "talk starts 4380 minutes after the end of its session"),
        ("talk", 4, 0, "talk and b share 60 minutes"),
        ("talk", 0, 2, "talk is not on a later day than a"),
        ("later", 8, 1, "later is on the day of c"),
        ("later", 8, 1, "later is not on an earlier day than c"),
        ("later", 8, 1, "later is not over when c starts"),
        ("later", 8, 0.5, "later and c share 30 minutes"),
        ("a", 0, 0.5, "a starts between two rows"),
        ("a", -2, 0, "a starts where it may not"),
        ("a", -1, 12, "a is outside the days of the grid"),
        ("c", 14, 0, "c is outside the days of the grid"),
    ],
)
def test_a_moved_session_is_told(session_id: str, day: int, hour: float, fault: str) -> None:
    assert fault in verify(COURSE, moved(session_id, day, hour))


def test_a_start_that_is_not_offered_is_told() -> None:
    problem = replace(COURSE, mains=(replace(COURSE.mains[0], starts=1), *COURSE.mains[1:]))
    assert verify(problem, best()) == ["a starts where it may not"]


@pytest.mark.parametrize(
    ("rules", "fault"),
    [
        ({"spans": (Span(0, 2, 30, 9),)}, "8 days from a to c"),
        ({"caps": (Cap(0, 2, 2, 9),)}, "3 sessions within 9 days from 2030-06-03, not 2"),
        ({"caps": (Cap(1, 2, 1, None),)}, None),
        ({"caps": (Cap(0, 1, 1, None),)}, "2 sessions within 7 days from 2030-06-03, not 1"),
        ({"discords": (frozenset({("a", 288), ("c", 288 * 9)}),)}, "a and c cannot all start there"),
        ({"discords": (frozenset({("a", 288), ("c", 288 * 8)}),)}, None),
    ],
)
def test_a_rule_between_distant_sessions_is_told(rules: dict[str, Any], fault: str | None) -> None:
    problem = replace(COURSE, **({"spans": ()} | rules))
    assert verify(problem, best()) == ([fault] if fault else [])


@pytest.mark.parametrize(
    ("gap", "fault"),
    [
        (Gap(3, 4, 5, Rest(5760, None, "start")), None),
        (Gap(3, 4, 5, Rest(5700, 5700, "end")), None),
        (Gap(3, 4, 5, Rest(5765, None, "start")), "b starts 5760 minutes after the start of a"),
        (Gap(3, 4, 5, Rest(0, 5695, "end")), "b starts 5700 minutes after the end of a"),
        (Gap(4, 4, 5, clinic_days=True), "b follows a after 3 days"),
        (Gap(2, 2, 3, clinic_days=True), "gap costs 30, not 0"),
    ],
)
def test_a_gap_in_hours_or_in_clinic_days_is_told(gap: Gap, fault: str | None) -> None:
    mains = (COURSE.mains[0], replace(COURSE.mains[1], gap=gap), COURSE.mains[2])
    found = verify(replace(COURSE, mains=mains, open_days=-1 ^ 0b10), best())
    assert (found[:1] or [None]) == [fault]


@pytest.mark.parametrize("name", LEVELS)
def test_a_full_clinic_is_counted(name: str) -> None:
    found = best()
    full, weights = replace(COURSE.mains[0], levels={name: (ALWAYS, ALWAYS, 1)}), replace(COURSE.weights, **{name: 2})
    assert verify(replace(COURSE, mains=(full, *COURSE.mains[1:]), weights=weights), found) == [
        f"{name} costs 4, not 0",
        f"the plan costs {found.cost + 4}, not {found.cost}",
    ]


def test_what_the_own_therapist_leaves_is_counted_where_it_serves() -> None:
    by, own = people("therapist", {"T": ALWAYS, "U": each([0], 9)}), {"T": (ALWAYS, ALWAYS), "U": (ALWAYS,)}
    mains = tuple(replace(each, by=by, own_levels=own) for each in COURSE.mains)
    weights = replace(COURSE.weights, therapist_remainders=5)
    problem = replace(COURSE, mains=mains, candidates={"therapist": ("T", "U")}, weights=weights)
    found = replace(best(), primaries={"therapist": "T"})
    assert verify(problem, found) == [
        "therapist_remainders costs 30, not 0", f"the plan costs {found.cost + 30}, not {found.cost}",
    ]  # fmt: skip
    alone = replace(problem, continuity="preferred")
    assert "therapist_remainders" not in " ".join(verify(alone, replace(found, primaries={"therapist": "U"})))


def test_sessions_of_one_day_in_the_wrong_order_are_told() -> None:
    problem = course(main("a", ALWAYS), main("b", ALWAYS, (0, 0, 1)))
    lawful = plan(problem)
    assert lawful is not None
    early = replace(lawful, starts=(("a", slot(WHERE, 0, 0)), ("b", slot(WHERE, 0, 0.5))))
    assert "b starts before a is over" in verify(problem, early)
    assert "a and b share 30 minutes" in verify(problem, early)


def test_a_doubtful_wall_time_is_told() -> None:
    where = grid("America/New_York", COURSE.grid.first_day.replace(month=11, day=3), 3, 30)  # 01:30 comes twice
    first = slot(where, 0, 0.5) + 12
    problem = course(main("a", (1 << where.slots) - 1), grid=where)
    found = plan(problem)
    assert found is not None
    assert verify(problem, replace(found, starts=(("a", first),))) == ["a starts at a wall time that is not unique"]


def test_a_pin_that_was_left_is_told() -> None:
    pinned = replace(COURSE, pinned={"a": slot(WHERE, 0, 1)})
    assert "a left the slot at which it is pinned" in verify(pinned, best())


@pytest.mark.parametrize(
    ("primaries", "fault"),
    [
        ({}, "the primary persons are not one for each role that needs one"),
        ({"prescriber": "P", "nurse": "N"}, "the primary persons are not one for each role that needs one"),
        ({"prescriber": "X"}, "X is not a candidate for prescriber"),
        ({"prescriber": "Q"}, "b is not served by the prescriber of the course"),
    ],
)
def test_wrong_persons_are_told(primaries: dict[str, str], fault: str) -> None:
    assert fault in verify(COURSE, replace(best(), primaries=primaries))


@pytest.mark.parametrize("part", ["finish", "begin", "gap", "time_of_day", "weekday", "hours", "persons", "leaf_delay"])
def test_a_wrong_part_is_told(part: str) -> None:
    found = best()
    wrong = replace(found, parts={**found.parts, part: found.parts[part] + 1})
    assert verify(COURSE, wrong) == [f"{part} costs {found.parts[part]}, not {found.parts[part] + 1}"]


def test_a_wrong_sum_is_told() -> None:
    found = best()
    assert verify(COURSE, replace(found, cost=found.cost - 1)) == [f"the plan costs {found.cost}, not {found.cost - 1}"]


def test_a_missing_doubled_or_foreign_session_is_told() -> None:
    found, sentence = best(), ["the plan does not hold each session exactly once"]
    assert verify(COURSE, replace(found, starts=found.starts[1:])) == sentence
    assert verify(COURSE, replace(found, starts=(*found.starts, found.starts[-1]))) == sentence
    assert verify(COURSE, replace(found, starts=(*found.starts[:-1], ("x", 0)))) == sentence


def test_a_plan_out_of_order_is_told() -> None:
    found = best()
    assert verify(COURSE, replace(found, starts=found.starts[::-1])) == ["the starts are not in chronological order"]


def test_the_planner_and_its_verifier_share_values_only() -> None:
    tree = ast.parse(Path(inspect.getfile(verify)).read_text())
    imported = {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {module for module in imported if "planner" in module} == {"scheduler.core.planner.problem"}
    assert not any("numpy" in module for module in imported)
