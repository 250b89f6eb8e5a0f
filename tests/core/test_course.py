"""The layout of a course: its sessions in order, the days between them, and where a gate stops it."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from scheduler.core.course import SessionSpec, expand, through_gate, windows
from scheduler.core.errors import Invalid
from scheduler.core.protocol import Protocol, parse_protocol
from scheduler.core.visit import parse_visit_type

MONDAY = date(2026, 3, 2)
KINDS = {"evaluation": "evaluation", "infusion": "dosing", "talk": "integration"}


def protocol(**changes: Any) -> Protocol:
    """An evaluation, six doses with a leaf each, and open-ended boosters by twos; gates after dose 3 and dose 6."""
    leaf = {"visit_type": "talk", "window": {"min": 24, "target": 48, "max": 72}, "before_next": True}
    induction: dict[str, Any] = {
        "key": "induction",
        "steps": [
            {
                "key": "dose",
                "visit_type": "infusion",
                "count": 6,
                "entry": {"anchor": "evaluation", "min": 1, "target": 3, "max": 14},
            },
            {"key": "talk", "each": "dose", **leaf},
        ],
    }
    if "max_days" in changes:
        induction["max_days"] = changes.pop("max_days")
    boosters = {
        "key": "booster",
        "visit_type": "infusion",
        "count": None,
        "block": 2,
        "entry": {"min": 7, "target": 28, "max": 56},
        "gap": {"min": 14, "target": 30, "max": 60},
    }
    doc = {
        "code": "series",
        "name": "A series",
        "phases": [
            {"key": "start", "steps": [{"key": "evaluation", "visit_type": "evaluation"}]},
            induction,
            {"key": "maintenance", "steps": [boosters]},
        ],
        "cadences": {
            "thrice_weekly": {"dose": {"gap": {"min": 2, "target": [2, 2, 3, 2, 2], "max": 5}}},
            "twice_weekly": {"dose": {"gap": {"min": 2, "target": [3, 4, 3, 4, 3], "max": 7}}},
        },
        "default_cadence": "thrice_weekly",
        "gates": [
            {"key": "look", "after": {"step": "dose", "count": 3}, "kind": "soft"},
            {"key": "review", "after": {"step": "dose", "count": 6}, "kind": "hard", "blocks": "maintenance"},
        ],
        **changes,
    }
    visits = {
        code: parse_visit_type(
            {
                "code": code,
                "name": code,
                "public_name": "Visit",
                "kind": kind,
                "segments": [{"name": "all", "minutes": 60}],
            },
            {},
        )
        for code, kind in KINDS.items()
    }
    return parse_protocol(doc, visits)


def of_step(specs: tuple[SessionSpec, ...], step: str) -> list[SessionSpec]:
    return [spec for spec in specs if spec.step == step]


def test_sessions_come_in_planning_order_each_leaf_after_its_dose() -> None:
    specs = expand(protocol())
    assert [(spec.step, spec.ordinal) for spec in specs] == [
        ("evaluation", 1),
        *[pair for n in range(1, 7) for pair in (("dose", n), ("talk", n))],
        ("booster", 1),
        ("booster", 2),
    ]
    assert [spec.index for spec in specs] == list(range(15))
    assert [spec.sequence for spec in specs] == list(range(1, 16))
    assert {spec.phase for spec in of_step(specs, "talk")} == {"induction"}
    assert [spec.dosing for spec in specs[:3]] == [False, True, False]


def test_a_leaf_hangs_on_its_dose_and_a_dose_on_the_one_before() -> None:
    specs = expand(protocol())
    for spec in specs[1:]:
        anchor = specs[spec.anchor or 0]
        if spec.kind == "leaf":
            assert (anchor.step, anchor.ordinal) == ("dose", spec.ordinal)
            assert spec.before_next
            assert spec.gap is None
            assert spec.window is not None
        else:
            assert anchor.kind == "main"
            assert anchor.index == max(other.index for other in specs[: spec.index] if other.kind == "main")
    assert specs[0].anchor is None


@pytest.mark.parametrize(
    ("cadence", "gaps"),
    [
        (None, [(1, 3, 14), (2, 2, 5), (2, 2, 5), (2, 3, 5), (2, 2, 5), (2, 2, 5)]),
        ("thrice_weekly", [(1, 3, 14), (2, 2, 5), (2, 2, 5), (2, 3, 5), (2, 2, 5), (2, 2, 5)]),
        ("twice_weekly", [(1, 3, 14), (2, 3, 7), (2, 4, 7), (2, 3, 7), (2, 4, 7), (2, 3, 7)]),
    ],
)
def test_the_gaps_are_those_of_the_cadence(cadence: str | None, gaps: list[tuple[int, int, int]]) -> None:
    assert [spec.gap for spec in of_step(expand(protocol(), cadence), "dose")] == gaps


def test_an_unknown_cadence_is_refused() -> None:
    with pytest.raises(Invalid) as refused:
        expand(protocol(), "hourly")
    assert [(fault.pointer, fault.code) for fault in refused.value.faults] == [("/cadence", "unknown_cadence")]


def test_an_open_end_goes_on_by_blocks() -> None:
    assert [spec.gap for spec in of_step(expand(protocol()), "booster")] == [(7, 28, 56), (14, 30, 60)]
    longer = of_step(expand(protocol(), blocks=3), "booster")
    assert [spec.ordinal for spec in longer] == [1, 2, 3, 4, 5, 6]
    assert {spec.gap for spec in longer[1:]} == {(14, 30, 60)}


def test_only_what_is_behind_a_hard_gate_waits_for_it() -> None:
    specs = expand(protocol())
    assert {spec.step: spec.gates for spec in specs} == {
        "evaluation": (),
        "dose": (),
        "talk": (),
        "booster": ("review",),
    }


def test_a_course_goes_through_to_the_next_gate() -> None:
    specs = expand(protocol())
    to_gate = through_gate(specs)
    assert (to_gate[-1].step, to_gate[-1].ordinal) == ("talk", 6)
    assert len(to_gate) == 13
    assert through_gate(specs, passed={"review"}) == specs


def test_of_two_gates_at_one_place_neither_lets_through_what_the_other_holds() -> None:
    gates = [
        {"key": "consent", "after": {"step": "dose", "count": 6}, "kind": "hard"},
        {"key": "review", "after": {"step": "talk", "count": 6}, "kind": "hard"},
    ]
    specs = expand(protocol(gates=gates))
    assert specs[-1].gates == ("consent", "review")
    for passed in ({"consent"}, {"review"}):
        assert through_gate(specs, passed) == specs[:13]
    assert through_gate(specs, {"consent", "review"}) == specs


def test_each_gate_keeps_back_all_that_follows() -> None:
    gates = [
        {"key": "late", "after": {"step": "talk", "count": 6}, "kind": "hard"},
        {"key": "early", "after": {"step": "evaluation", "count": 1}, "kind": "hard", "blocks": "induction"},
        {"key": "middle", "after": {"step": "dose", "count": 3}, "kind": "hard", "blocks": "induction"},
        {"key": "block", "after": {"step": "booster", "count": 2}, "kind": "hard", "blocks": "maintenance"},
    ]
    specs = expand(protocol(gates=gates), blocks=2)
    assert [spec.gates for spec in of_step(specs, "talk")] == [("early",)] * 3 + [("early", "middle")] * 3
    assert [spec.gates[-1] for spec in of_step(specs, "booster")] == ["late", "late", "block", "block"]
    assert [spec.step for spec in through_gate(specs)] == ["evaluation"]
    assert len(through_gate(specs, {"early"})) == 7
    assert len(through_gate(specs, {"early", "late"})) == 7
    assert len(through_gate(specs, {"early", "middle"})) == 13
    assert len(through_gate(specs, {"early", "middle", "late"})) == 15


def test_dates_chain_from_the_first_day_allowed() -> None:
    specs = expand(protocol())
    days = {(spec.step, spec.ordinal): dates for spec, dates in zip(specs, windows(specs, MONDAY), strict=True)}
    assert days["evaluation", 1] == (MONDAY, MONDAY, None)
    first = days["dose", 1]
    assert (first.earliest, first.target) == (MONDAY + timedelta(1), MONDAY + timedelta(3))
    assert [(days["dose", n].target - first.target).days for n in range(1, 7)] == [0, 2, 4, 7, 9, 11]
    assert [(days["dose", n].earliest - first.earliest).days for n in range(1, 7)] == [0, 2, 4, 6, 8, 10]


def test_dates_are_bounded_when_the_first_session_is_given() -> None:
    specs = expand(protocol())
    found = windows(specs, MONDAY, given={0: MONDAY, 1: MONDAY + timedelta(4)})
    assert found[0] == (MONDAY, MONDAY, MONDAY)
    third = found[of_step(specs, "dose")[2].index]
    assert third == (MONDAY + timedelta(8), MONDAY + timedelta(8), MONDAY + timedelta(14))


def test_a_leaf_falls_on_the_days_between_its_dose_and_the_next() -> None:
    specs = expand(protocol())
    first = of_step(specs, "dose")[0].index
    found = windows(specs, MONDAY, given={first: MONDAY})
    talks = [found[spec.index] for spec in of_step(specs, "talk")]
    assert talks[0] == (MONDAY + timedelta(1), MONDAY + timedelta(1), MONDAY + timedelta(3))
    assert talks[2].target == MONDAY + timedelta(4 + 2)
    assert talks[5].target == MONDAY + timedelta(11 + 2)
    real = windows(specs, MONDAY, given={first: MONDAY, first + 1: MONDAY + timedelta(2)})
    assert real[first + 1] == (MONDAY + timedelta(2),) * 3


def test_a_phase_that_may_not_last_longer_bounds_its_last_sessions() -> None:
    specs = expand(protocol(max_days=12))
    doses = of_step(specs, "dose")
    assert {spec.span for spec in doses} == {(doses[0].index, 12)}
    assert {spec.span for spec in of_step(specs, "booster")} == {None}
    found = windows(specs, MONDAY, given={doses[0].index: MONDAY})
    assert [(found[spec.index].latest or MONDAY) - MONDAY for spec in doses] == [
        timedelta(days) for days in (0, 5, 10, 12, 12, 12)
    ]
