"""Contradictions of time in a protocol: missing gaps, leaves that can never fit, phases that are always too long."""

from __future__ import annotations

from typing import Any

import pytest

from tests.core.series import BOOSTER, DOSE, GONE, TALK, faults_of, parsed


def test_a_gap_may_come_from_every_cadence_instead_of_the_step() -> None:
    assert parsed((f"{DOSE}/gap", GONE)).code == "series"
    found = faults_of((f"{DOSE}/gap", GONE), ("/cadences/twice/dose", GONE))
    assert [(fault.pointer, fault.code) for fault in found] == [(f"{DOSE}/gap", "required")]
    assert "'twice'" in found[0].detail


FITS: list[tuple[dict[str, Any], int, bool]] = [
    # the trap: two days apart, 24 h after the end: only late on the day between, and that is enough
    ({"edge": "end", "min": 24, "target": 24, "max": 72}, 2, True),
    ({"edge": "end", "min": 45, "target": 45, "max": 72}, 2, True),
    ({"edge": "end", "min": 46, "target": 46, "max": 72}, 2, False),
    ({"edge": "end", "min": 48, "target": 48, "max": 72}, 2, False),
    ({"edge": "end", "min": 48, "target": 48, "max": 72}, 3, True),
    ({"edge": "end", "min": 0, "target": 0, "max": 72}, 1, False),
    ({"edge": "start", "min": 0, "target": 1, "max": 1}, 5, False),
    ({"edge": "start", "min": 0, "target": 2, "max": 2}, 5, True),
]


@pytest.mark.parametrize(("window", "gap", "fits"), FITS)
def test_a_leaf_that_can_never_come_before_the_next_session(window: dict[str, Any], gap: int, fits: bool) -> None:  # noqa: FBT001
    changes: list[tuple[str, object]] = [
        (f"{TALK}/window", {"unit": "hours", **window}),
        (f"{DOSE}/gap", {"min": 1, "target": gap, "max": gap}),
        ("/cadences", GONE),
        ("/default_cadence", GONE),
    ]
    if fits:
        assert parsed(*changes).phases[1].steps[1].before_next
        return
    found = faults_of(*changes)
    assert [(fault.pointer, fault.code) for fault in found] == [(f"{TALK}/window", "leaf_never_fits")] * len(found)
    for number in (f"{window['min']} h to {window['max']} h", f"at most {gap} day(s)", "'dose'", "'talk'"):
        assert number in found[0].detail
    assert parsed(*changes, (f"{TALK}/before_next", False)).code == "series"


def test_the_way_to_the_next_step_must_have_room_too() -> None:
    found = faults_of((f"{BOOSTER}/entry", {"min": 1, "target": 1, "max": 1}))
    assert {fault.code for fault in found} == {"leaf_never_fits"}
    assert "'dose' and 'booster'" in found[0].detail


def test_a_phase_may_be_as_long_as_its_shortest_gaps() -> None:
    assert parsed(("/phases/1/max_days", 10)).phases[1].max_days == 10
    assert "10 days" in faults_of(("/phases/1/max_days", 9))[0].detail
