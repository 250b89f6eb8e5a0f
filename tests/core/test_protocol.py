"""Protocols: what their documents become, and every fault that they can have, alone and together."""

from __future__ import annotations

from typing import Any

import pytest

from scheduler.core.errors import Invalid
from scheduler.core.protocol import Gate, Window, parse_protocol
from tests.core.series import BOOSTER, DOSE, GONE, PROTOCOL, TALK, VISITS, changed, faults_of, parsed


def test_a_sound_document_becomes_values() -> None:
    protocol = parsed()
    assert [(phase.key, step.key, step.is_leaf) for phase, step in protocol.steps()] == [
        ("start", "evaluation", False),
        ("induction", "dose", False),
        ("induction", "talk", True),
        ("maintenance", "booster", False),
    ]
    dose, talk = protocol.phases[1].steps
    assert dose.dosing
    assert not talk.dosing
    assert dose.gap is not None
    assert [dose.gap.days(place) for place in range(5)] == [(2, 2, 5), (2, 2, 5), (2, 3, 5), (2, 2, 5), (2, 2, 5)]
    assert talk.window == Window("end", 24 * 60, 48 * 60, 72 * 60)
    assert protocol.gates[1] == Gate("review", "dose", 6, "hard", "maintenance", "", 14)
    assert (protocol.phases[2].steps[0].count, protocol.phases[2].steps[0].block) == (None, 4)
    assert protocol.enabled


def test_a_cadence_puts_its_own_gaps_in_place() -> None:
    protocol = parsed()
    dose = protocol.phases[1].steps[0]
    default, twice = protocol.rhythm(dose, None), protocol.rhythm(dose, "twice")
    assert default.gap is not None
    assert default.gap.targets == (2, 2, 3, 2, 2)
    assert twice.gap is not None
    assert (twice.gap.targets, twice.gap.maximum) == ((3, 4, 3, 4, 3), 7)
    assert twice.entry == dose.entry


def test_a_window_in_days_is_of_24_hours_each() -> None:
    talk = parsed((f"{TALK}/window", {"edge": "start", "unit": "days", "min": 1, "target": 2, "max": 3}))
    assert talk.phases[1].steps[1].window == Window("start", 1440, 2880, 4320)


def test_provenance_may_be_missing_or_stand_anywhere() -> None:
    noted = {"min": 7, "target": 28, "max": 56, "grade": {"min": "N"}, "source": ["S1"], "note": "ours"}
    assert parsed((f"{BOOSTER}/gap", noted), ("/sources", {"S1": "a book"}), ("/note", "draft")).code == "series"


ALONE: list[tuple[str, object, str, str]] = [
    ("/code", GONE, "/code", "required"),
    ("/name", 3, "/name", "wrong_type"),
    ("/phases", [], "/phases", "empty"),
    ("/phases/0/steps", [], "/phases/0/steps", "empty"),
    ("/phases/0/colour", "red", "/phases/0/colour", "unknown_field"),
    ("/phases/0/key", "induction", "/phases/1/key", "duplicate_phase"),
    (f"{TALK}/key", "dose", f"{TALK}/key", "duplicate_step"),
    ("/gates/1/key", "look", "/gates/1/key", "duplicate_gate"),
    (f"{DOSE}/visit_type", "surgery", f"{DOSE}/visit_type", "unknown_visit_type"),
    (f"{DOSE}/dosing", False, f"{DOSE}/dosing", "dosing_mismatch"),
    (f"{TALK}/dosing", True, f"{TALK}/dosing", "dosing_mismatch"),
    ("/continuity/0", "magician", "/continuity/0", "unknown_role"),
    (f"{DOSE}/count", 0, f"{DOSE}/count", "out_of_range"),
    (f"{DOSE}/count", -6, f"{DOSE}/count", "out_of_range"),
    (f"{DOSE}/count", 101, f"{DOSE}/count", "out_of_range"),
    (f"{DOSE}/count", "six", f"{DOSE}/count", "wrong_type"),
    (f"{DOSE}/count", None, f"{DOSE}/count", "open_not_last"),
    (f"{DOSE}/block", 4, f"{DOSE}/block", "block_without_end"),
    (f"{BOOSTER}/block", GONE, f"{BOOSTER}/block", "required"),
    (f"{BOOSTER}/block", 88, "/phases", "too_many_sessions"),
    (f"{BOOSTER}/gap", GONE, f"{BOOSTER}/gap", "required"),
    (f"{BOOSTER}/entry", GONE, f"{BOOSTER}/entry", "required"),
    (f"{BOOSTER}/gap/min", 60, f"{BOOSTER}/gap/min", "min_above_max"),
    (f"{BOOSTER}/gap/min", -1, f"{BOOSTER}/gap/min", "out_of_range"),
    (f"{BOOSTER}/gap/max", 367, f"{BOOSTER}/gap/max", "out_of_range"),
    (f"{BOOSTER}/gap/max", GONE, f"{BOOSTER}/gap/max", "required"),
    (f"{BOOSTER}/gap/target", 6, f"{BOOSTER}/gap/target", "target_outside"),
    (f"{BOOSTER}/gap/target", 57, f"{BOOSTER}/gap/target", "target_outside"),
    (f"{BOOSTER}/gap/target", [28, 28], f"{BOOSTER}/gap/target", "target_length"),
    (f"{BOOSTER}/gap/target", [], f"{BOOSTER}/gap/target", "empty"),
    (f"{BOOSTER}/gap/target", ["28"], f"{BOOSTER}/gap/target/0", "wrong_type"),
    (f"{BOOSTER}/gap/unit", "weeks", f"{BOOSTER}/gap/unit", "unknown_unit"),
    (f"{BOOSTER}/gap/min_hours", 57 * 24, f"{BOOSTER}/gap/min_hours", "hours_above_days"),
    (f"{BOOSTER}/gap/edge", "middle", f"{BOOSTER}/gap/edge", "unknown_edge"),
    ("/phases/1/per_week", 0, "/phases/1/per_week", "out_of_range"),
    ("/phases/1/limits", [{"most": 3}], "/phases/1/limits/0/days", "required"),
    (f"{DOSE}/offsets", {"anchor": "phase_start", "days": [0, 3]}, f"{DOSE}/offsets/days", "offset_length"),
    (
        f"{DOSE}/offsets",
        {"anchor": "phase_start", "days": [0, 3, 3, 9, 11, 14]},
        f"{DOSE}/offsets/days/2",
        "not_ascending",
    ),
    (
        f"{DOSE}/offsets",
        {"anchor": "booster", "days": [0, 2, 4, 7, 9, 11]},
        f"{DOSE}/offsets/anchor",
        "anchor_not_previous",
    ),
    (f"{DOSE}/entry/anchor", "phase_start", f"{DOSE}/entry/anchor", "no_such_anchor"),
    (f"{DOSE}/entry/anchor", "first_dose", f"{DOSE}/entry/anchor", "no_such_anchor"),
    (f"{BOOSTER}/gap/minimum", 7, f"{BOOSTER}/gap/minimum", "unknown_field"),
    (f"{BOOSTER}/entry/min", 0, f"{BOOSTER}/entry/min", "out_of_range"),
    (f"{DOSE}/gap/target/2", 6, f"{DOSE}/gap/target/2", "target_outside"),
    (f"{DOSE}/gap/target", [2, 2], f"{DOSE}/gap/target", "target_length"),
    (f"{DOSE}/entry/anchor", "nowhere", f"{DOSE}/entry/anchor", "unknown_anchor"),
    (f"{BOOSTER}/entry/anchor", "talk", f"{BOOSTER}/entry/anchor", "anchor_is_leaf"),
    (f"{DOSE}/entry/anchor", "dose", f"{DOSE}/entry/anchor", "anchor_cycle"),
    (f"{TALK}/each", "nothing", f"{TALK}/each", "unknown_step"),
    (f"{TALK}/each", "talk", f"{TALK}/each", "anchor_cycle"),
    (f"{TALK}/count", 6, f"{TALK}/count", "unknown_field"),
    (f"{TALK}/window", GONE, f"{TALK}/window", "required"),
    (f"{TALK}/window/edge", "middle", f"{TALK}/window/edge", "unknown_edge"),
    (f"{TALK}/window/min", 73, f"{TALK}/window/min", "min_above_max"),
    (f"{TALK}/window/min", -24, f"{TALK}/window/min", "out_of_range"),
    (f"{TALK}/window/target", 12, f"{TALK}/window/target", "target_outside"),
    (f"{TALK}/window/target", "noon", f"{TALK}/window/target", "wrong_type"),
    (f"{TALK}/before_next", "yes", f"{TALK}/before_next", "wrong_type"),
    ("/phases/1/max_days", 9, "/phases/1/max_days", "span_too_short"),
    ("/phases/1/hard_max", True, "/phases/1/hard_max", "hard_without_max"),
    ("/phases/1/max_days", -1, "/phases/1/max_days", "out_of_range"),
    ("/default_cadence", "hourly", "/default_cadence", "unknown_cadence"),
    ("/default_cadence", GONE, "/default_cadence", "required"),
    ("/cadences/twice/nowhere", {"gap": {"min": 1, "target": 1, "max": 1}}, "/cadences/twice/nowhere", "unknown_step"),
    ("/cadences/twice/talk", {}, "/cadences/twice/talk", "unknown_step"),
    ("/cadences/twice/dose/gap/min", 8, "/cadences/twice/dose/gap/min", "min_above_max"),
    ("/cadences/twice/dose/gap/target", [3, 4], "/cadences/twice/dose/gap/target", "target_length"),
    ("/gates/1/after", GONE, "/gates/1/after", "required"),
    ("/gates/1/after/step", "nowhere", "/gates/1/after/step", "unknown_step"),
    ("/gates/1/after/count", 7, "/gates/1/after/count", "count_above_step"),
    ("/gates/1/after/count", GONE, "/gates/1/after/count", "required"),
    ("/gates/1/blocks", "nowhere", "/gates/1/blocks", "unknown_phase"),
    ("/gates/1/blocks", "start", "/gates/1/blocks", "gate_blocks_nothing"),
    ("/gates/1/blocks", "induction", "/gates/1/blocks", "gate_blocks_nothing"),
    ("/gates/1/kind", "iron", "/gates/1/kind", "unknown_kind"),
    ("/gates/1/deadline_days", 0, "/gates/1/deadline_days", "out_of_range"),
]
#: One wrong value here takes away what others refer to.
SPREADING = {("/phases", "empty"), ("/phases/0/steps", "empty"), (f"{DOSE}/count", "open_not_last")}


@pytest.mark.parametrize(("where", "value", "pointer", "code"), ALONE)
def test_each_fault_alone_is_named_where_it_is(where: str, value: object, pointer: str, code: str) -> None:
    found = faults_of((where, value))
    assert (pointer, code) in [(fault.pointer, fault.code) for fault in found]
    assert len(found) == 1 or (pointer, code) in SPREADING, found


def test_many_faults_are_all_named_at_once() -> None:
    found = faults_of(
        ("/name", GONE),
        (f"{DOSE}/visit_type", "surgery"),
        (f"{DOSE}/gap/min", 9),
        (f"{TALK}/window/target", 12),
        (f"{BOOSTER}/gap/target", 6),
        (f"{BOOSTER}/entry/anchor", "nowhere"),
        ("/default_cadence", "hourly"),
        ("/gates/0/after/count", 9),
        ("/gates/1/blocks", "nowhere"),
    )
    assert {(fault.pointer, fault.code) for fault in found} == {
        ("/name", "required"),
        (f"{DOSE}/visit_type", "unknown_visit_type"),
        (f"{DOSE}/gap/min", "min_above_max"),
        (f"{TALK}/window/target", "target_outside"),
        (f"{BOOSTER}/gap/target", "target_outside"),
        (f"{BOOSTER}/entry/anchor", "unknown_anchor"),
        ("/default_cadence", "unknown_cadence"),
        ("/gates/0/after/count", "count_above_step"),
        ("/gates/1/blocks", "unknown_phase"),
    }


@pytest.mark.parametrize("document", [None, 3, [], {"phases": {}}, {"phases": [3, None], "gates": 1, "cadences": []}])
def test_what_is_no_protocol_is_faults_and_no_crash(document: Any) -> None:
    with pytest.raises(Invalid) as refused:
        parse_protocol(document, VISITS)
    assert "wrong_type" in {fault.code for fault in refused.value.faults}


def pointers(value: Any, at: str = "") -> list[str]:
    """Every place of a document."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for key, item in inside for found in (f"{at}/{key}", *pointers(item, f"{at}/{key}"))]


def refused_with(pointer: str, value: object) -> int:
    """The number of faults with a value at a place; 0 when the document is sound all the same."""
    try:
        parsed((pointer, value))
    except Invalid as refused:
        return len(refused.faults)
    return 0


@pytest.mark.parametrize("value", [None, -1, 0, True, 2.5, 10**9, "dose", "", [], [1], {}, {"a": {"b": 1}}, GONE])
def test_whatever_stands_in_a_document_is_read_or_refused(value: object) -> None:
    found = [refused_with(pointer, value) for pointer in pointers(PROTOCOL)]
    assert len([faults for faults in found if faults]) > 50


def test_a_role_that_nobody_has_is_named_with_its_visit_type() -> None:
    with pytest.raises(Invalid) as refused:
        parse_protocol(changed(), VISITS, known_roles={"prescriber", "therapist"})
    found = [(fault.pointer, fault.code) for fault in refused.value.faults]
    assert found == [(f"{DOSE}/visit_type", "unknown_role"), (f"{BOOSTER}/visit_type", "unknown_role")]
    assert "'nurse'" in refused.value.faults[0].detail
    assert parse_protocol(changed(), VISITS).code == "series"


CYCLES: list[tuple[list[tuple[str, object]], str, str]] = [
    (
        [("/phases/0/steps/0/entry", {"anchor": "dose", "min": 1, "target": 1, "max": 1})],
        "/phases/0/steps/0/entry/anchor",
        "evaluation -> dose -> evaluation",
    ),
    (
        [("/phases/0/steps/0/entry", {"anchor": "booster", "min": 1, "target": 1, "max": 1})],
        "/phases/0/steps/0/entry/anchor",
        "evaluation -> booster -> dose -> evaluation",
    ),
    ([(f"{DOSE}/entry/anchor", "talk")], f"{DOSE}/entry/anchor", "dose -> talk -> dose"),
    ([(f"{DOSE}/entry/anchor", "booster")], f"{DOSE}/entry/anchor", "dose -> booster -> dose"),
    ([(f"{DOSE}/entry/anchor", "dose")], f"{DOSE}/entry/anchor", "dose -> dose"),
]


@pytest.mark.parametrize(("changes", "pointer", "circle"), CYCLES)
def test_a_cycle_is_named_with_all_its_steps(changes: list[tuple[str, object]], pointer: str, circle: str) -> None:
    found = faults_of(*changes)
    assert [(fault.pointer, fault.code) for fault in found] == [(pointer, "anchor_cycle")]
    assert f": {circle}." in found[0].detail


def test_only_one_step_hangs_on_a_main_step() -> None:
    second = {**PROTOCOL["phases"][1]["steps"][1], "key": "again"}
    leaf = {**second, "key": "deeper", "each": "talk"}
    found = faults_of(("/phases/1/steps/2", second), ("/phases/1/steps/3", leaf))
    assert [(fault.pointer, fault.code) for fault in found] == [
        ("/phases/1/steps/2/each", "second_leaf"),
        ("/phases/1/steps/3/each", "each_names_leaf"),
    ]


def test_something_must_stand_by_itself() -> None:
    one = {"key": "a", "visit_type": "integration", "each": "b", "window": {"min": 1, "target": 1, "max": 1}}
    found = faults_of(("/phases", [{"key": "p", "steps": [one]}]), ("/gates", []), ("/cadences", GONE))
    assert ("/phases", "no_main_step") in [(fault.pointer, fault.code) for fault in found]


def test_a_gate_may_stand_after_a_leaf_and_block_its_own_phase() -> None:
    protocol = parsed(
        ("/gates/1/after", {"step": "talk", "count": 6}),
        ("/gates/0", {"key": "look", "after": {"step": "dose", "count": 3}, "kind": "hard", "blocks": "induction"}),
        (
            "/gates/2",
            {"key": "again", "after": {"step": "booster", "count": 4}, "kind": "hard", "blocks": "maintenance"},
        ),
    )
    assert [gate.blocks for gate in protocol.gates] == ["induction", "maintenance", "maintenance"]


def test_a_hundred_sessions_are_the_most_leaves_included() -> None:
    assert parsed((f"{BOOSTER}/block", 87)).phases[2].steps[0].block == 87
    assert "101 sessions" in faults_of((f"{BOOSTER}/block", 88))[0].detail


def test_what_is_off_is_read_as_off() -> None:
    assert not parsed(("/enabled", False)).enabled
