"""Visit types: their spans, and every fault that a document can have, alone and together."""

from __future__ import annotations

import json
from typing import Any

import pytest

from scheduler.core.errors import Fault, Invalid
from scheduler.core.visit import Need, VisitType, parse_visit_type

NURSE: dict[str, Any] = {"role": "nurse", "mode": "exclusive"}
WATCH: dict[str, Any] = {"role": "nurse", "mode": "shared"}
ON_SITE: dict[str, Any] = {"role": "prescriber", "mode": "present"}
CHAIR: dict[str, Any] = {"room_type": "esketamine_chair", "mode": "exclusive"}

NASAL: dict[str, Any] = {
    "code": "nasal",
    "name": "Nasal dosing",
    "public_name": "Clinic visit",
    "kind": "dosing",
    "modality": "esketamine",
    "segments": [
        {"name": "setup", "minutes": 10, "patient": False, "needs": [CHAIR]},
        {"name": "prep", "minutes": 20, "needs": [NURSE, CHAIR]},
        {"name": "dose", "minutes": 15, "needs": [{**NURSE, "same_as": "prep"}, ON_SITE, CHAIR]},
        {"name": "monitor", "minutes": 120, "needs": [WATCH, ON_SITE, CHAIR]},
        {"name": "discharge", "minutes": 10, "needs": [NURSE, CHAIR]},
        {"name": "turnover", "minutes": 15, "patient": False, "needs": [CHAIR]},
    ],
    "observation": {"minutes": 120, "anchor": "last_device", "segment": "monitor"},
    "requires": {"site_certifications": ["rems"], "clearances": ["enrolled"]},
    "instructions": {
        "solids_minutes": 120,
        "clear_liquids_minutes": 30,
        "nasal_products_minutes": 60,
        "no_driving": "until_next_day",
        "escort": True,
    },
}
DEMANDS: dict[str, Any] = {
    "observation_minutes": 120,
    "present_roles": ["prescriber"],
    "site_certifications": ["rems"],
    "clearances": ["enrolled"],
    "solids_minutes": 120,
    "clear_liquids_minutes": 30,
    "nasal_products_minutes": 60,
    "no_driving": "until_next_day",
}
FLOORS: dict[str, Any] = {
    "floors": [
        {
            "code": "nasal_floor",
            "applies_to": {"kind": "dosing", "modality": "esketamine"},
            "demands": {name: {"value": value, "grade": "L", "source": ["S1"]} for name, value in DEMANDS.items()},
        }
    ]
}
GONE = object()


def changed(*changes: tuple[str, object]) -> dict[str, Any]:
    """The sound document with values put in, or taken out, at JSON pointers."""
    doc: Any = json.loads(json.dumps(NASAL))
    for pointer, value in changes:
        *path, last = (int(token) if token.isdigit() else token for token in pointer.split("/")[1:])
        place: Any = doc
        for token in path:
            place = place[token]
        if value is GONE:
            del place[last]
        else:
            place[last] = value
    return dict(doc)


def faults_of(doc: Any, floors: dict[str, Any] | None = None) -> list[Fault]:
    with pytest.raises(Invalid) as refused:
        parse_visit_type(doc, floors or {})
    return list(refused.value.faults)


def parsed(*changes: tuple[str, object]) -> VisitType:
    return parse_visit_type(changed(*changes), FLOORS)


def test_a_sound_document_becomes_values() -> None:
    visit = parsed()
    assert (visit.code, visit.kind, visit.modality) == ("nasal", "dosing", "esketamine")
    assert visit.segments[2].needs[0] == Need("role", "nurse", "exclusive", same_as="prep")
    assert visit.segments[3].needs[0] == Need("role", "nurse", "shared", units=1, count=1)
    assert visit.site_certifications == ("rems",)
    assert visit.clearances == ("enrolled",)
    assert visit.instructions.clear_liquids_minutes == 30
    assert visit.instructions.arrive_early_minutes == 0
    assert visit.observation is not None
    assert visit.observation.through == "monitor"


def test_start_and_end_are_the_patients_presence() -> None:
    visit = parsed()
    assert (visit.lead_minutes, visit.minutes, visit.trail_minutes) == (10, 165, 15)
    assert [(segment.name, start, end) for segment, start, end in visit.offsets()] == [
        ("setup", -10, 0),
        ("prep", 0, 20),
        ("dose", 20, 35),
        ("monitor", 35, 155),
        ("discharge", 155, 165),
        ("turnover", 165, 180),
    ]


@pytest.mark.parametrize(
    ("need", "selector"),
    [
        ({"role": "nurse", "mode": "exclusive"}, "role:nurse"),
        ({"room_type": "infusion", "mode": "exclusive"}, "room:infusion"),
        ({"device_type": "pump", "mode": "shared", "units": 2}, "device:pump"),
    ],
)
def test_a_selector_says_kind_and_code(need: dict[str, Any], selector: str) -> None:
    found = parsed(("/segments/4/needs", [need])).segments[4].needs[0]
    assert found.selector == selector
    assert found.label == selector.partition(":")[2]


def test_a_visit_by_video_needs_no_room_and_no_modality() -> None:
    visit = parsed(
        ("/modality", "none"),
        ("/kind", "integration"),
        ("/segments", [{"name": "talk", "minutes": 55, "needs": [{"role": "therapist", "mode": "exclusive"}]}]),
        ("/observation", GONE),
        ("/requires", GONE),
        ("/instructions", GONE),
    )
    assert visit.modality is None
    assert visit.minutes == 55


ALONE: list[tuple[str, object, str, str]] = [
    ("/code", GONE, "/code", "required"),
    ("/code", "a code", "/code", "not_a_code"),
    ("/code", 7, "/code", "wrong_type"),
    ("/name", "", "/name", "empty"),
    ("/public_name", "x" * 201, "/public_name", "too_long"),
    ("/kind", "surgery", "/kind", "unknown_kind"),
    ("/colour", "red", "/colour", "unknown_field"),
    ("/segments", GONE, "/segments", "required"),
    ("/segments", [], "/segments", "empty"),
    ("/segments", "prep", "/segments", "wrong_type"),
    ("/segments/1", "prep", "/segments/1", "wrong_type"),
    ("/segments/1/minutes", 12, "/segments/1/minutes", "not_on_grid"),
    ("/segments/1/minutes", 0, "/segments/1/minutes", "not_on_grid"),
    ("/segments/1/minutes", -5, "/segments/1/minutes", "not_on_grid"),
    ("/segments/1/minutes", 20.0, "/segments/1/minutes", "wrong_type"),
    ("/segments/1/minutes", True, "/segments/1/minutes", "wrong_type"),
    ("/segments/1/minutes", GONE, "/segments/1/minutes", "required"),
    ("/segments/1/minutes", 1440, "/segments", "too_long"),
    ("/segments/1/patient", "yes", "/segments/1/patient", "wrong_type"),
    ("/segments/4/name", "dose", "/segments/4/name", "duplicate_segment"),
    ("/segments/4/patience", 1, "/segments/4/patience", "unknown_field"),
    ("/segments/2/needs/0/same_as", "monitor", "/segments/2/needs/0/same_as", "unknown_segment"),
    ("/segments/2/needs/0/same_as", "dose", "/segments/2/needs/0/same_as", "unknown_segment"),
    ("/segments/2/needs/0/same_as", "nowhere", "/segments/2/needs/0/same_as", "unknown_segment"),
    ("/segments/2/needs/0/same_as", "setup", "/segments/2/needs/0/same_as", "no_such_need"),
    ("/segments/3/needs/0/mode", "borrowed", "/segments/3/needs/0/mode", "unknown_mode"),
    ("/segments/3/needs/0/mode", GONE, "/segments/3/needs/0/mode", "required"),
    ("/segments/3/needs/0/units", 0, "/segments/3/needs/0/units", "out_of_range"),
    ("/segments/3/needs/0/count", -1, "/segments/3/needs/0/count", "out_of_range"),
    ("/segments/1/needs/0/units", 2, "/segments/1/needs/0/units", "units_not_shared"),
    ("/segments/2/needs/1/units", 1, "/segments/2/needs/1/units", "units_not_shared"),
    ("/segments/1/needs/0/room_type", "infusion", "/segments/1/needs/0", "need_names_one"),
    ("/segments/1/needs/1/room_type", GONE, "/segments/1/needs/1", "need_names_one"),
    ("/segments/1/needs/1", NURSE, "/segments/1/needs/1", "duplicate_need"),
    ("/segments/1/needs/1", WATCH, "/segments/1/needs/1", "duplicate_need"),
    ("/segments/1/needs/0", {**NURSE, "mode": "present"}, "/segments/2/needs/0/same_as", "no_such_need"),
    ("/segments/2/needs/1", {**ON_SITE, "count": 2}, "/segments/2/needs/1/count", "only_present"),
    ("/segments/3/needs/1", {**ON_SITE, "same_as": "dose"}, "/segments/3/needs/1/same_as", "only_present"),
    ("/segments/2/patient", False, "/segments/2/patient", "patient_leaves"),
    ("/observation/segment", "nowhere", "/observation/segment", "unknown_segment"),
    ("/observation/through", "dose", "/observation/through", "wrong_order"),
    ("/observation/segment", "prep", "/observation/segment", "no_dose_before"),
    ("/observation/anchor", "lunch", "/observation/anchor", "unknown_anchor"),
    ("/observation/minutes", 125, "/observation/minutes", "observation_too_long"),
    ("/observation/minutes", GONE, "/observation/minutes", "required"),
    ("/requires/clearances", ["a", "a"], "/requires/clearances/1", "duplicate"),
    ("/requires/site_certifications", [3], "/requires/site_certifications/0", "not_a_code"),
    ("/instructions/solids_minutes", -1, "/instructions/solids_minutes", "out_of_range"),
    ("/instructions/no_driving", "never", "/instructions/no_driving", "unknown_no_driving"),
    ("/instructions/escort", "maybe", "/instructions/escort", "wrong_type"),
]
#: One wrong value here takes away what others refer to.
SPREADING = {"/segments", "/segments/1"}


@pytest.mark.parametrize(("where", "value", "pointer", "code"), ALONE)
def test_each_fault_alone_is_named_where_it_is(where: str, value: object, pointer: str, code: str) -> None:
    found = faults_of(changed((where, value)))
    assert (pointer, code) in [(fault.pointer, fault.code) for fault in found]
    assert len(found) == 1 or where in SPREADING, found
    assert all(fault.detail.endswith((".", "?")) for fault in found)


def test_one_who_is_only_present_may_be_counted_as_one() -> None:
    need = (
        parse_visit_type(changed(("/segments/2/needs/1", {**ON_SITE, "count": 1, "same_as": None})), {})
        .segments[2]
        .needs[1]
    )
    assert (need.mode, need.count, need.same_as) == ("present", 1, None)


def test_a_visit_without_the_patient_is_none() -> None:
    doc = changed(("/segments", [{"name": "cleaning", "minutes": 10, "patient": False}]), ("/observation", GONE))
    assert [(fault.pointer, fault.code) for fault in faults_of(doc)] == [("/segments", "no_patient_segment")]


@pytest.mark.parametrize("document", [None, [], "visit", {1: 2}])
def test_what_is_no_document_is_a_fault_and_no_crash(document: Any) -> None:
    assert ("", "wrong_type") in [(fault.pointer, fault.code) for fault in faults_of(document)]


def test_many_faults_are_all_named_at_once() -> None:
    doc = changed(
        ("/code", GONE),
        ("/kind", "surgery"),
        ("/segments/1/minutes", 7),
        ("/segments/2/needs/0/same_as", "nowhere"),
        ("/segments/3/needs/0/mode", "borrowed"),
        ("/segments/4/name", "dose"),
        ("/instructions/escort", 1),
    )
    assert {(fault.pointer, fault.code) for fault in faults_of(doc)} == {
        ("/code", "required"),
        ("/kind", "unknown_kind"),
        ("/segments/1/minutes", "not_on_grid"),
        ("/segments/2/needs/0/same_as", "unknown_segment"),
        ("/segments/3/needs/0/mode", "unknown_mode"),
        ("/segments/4/name", "duplicate_segment"),
        ("/instructions/escort", "wrong_type"),
    }


BELOW: list[tuple[str, object, str]] = [
    ("/observation/minutes", 115, "/observation/minutes"),
    ("/observation", GONE, "/observation"),
    ("/segments/3/minutes", 115, "/segments/3/minutes"),
    ("/segments/2/needs", [NURSE, CHAIR], "/segments/2/needs"),
    ("/segments/3/needs", [WATCH, CHAIR], "/segments/3/needs"),
    ("/requires/site_certifications", [], "/requires/site_certifications"),
    ("/requires", GONE, "/requires/clearances"),
    ("/instructions/solids_minutes", 115, "/instructions/solids_minutes"),
    ("/instructions/clear_liquids_minutes", GONE, "/instructions/clear_liquids_minutes"),
    ("/instructions/nasal_products_minutes", 59, "/instructions/nasal_products_minutes"),
    ("/instructions/no_driving", "visit_day", "/instructions/no_driving"),
    ("/instructions/no_driving", GONE, "/instructions/no_driving"),
]


@pytest.mark.parametrize(("where", "value", "pointer"), BELOW)
def test_each_broken_floor_is_named_where_it_is(where: str, value: object, pointer: str) -> None:
    found = faults_of(changed((where, value)), FLOORS)
    assert (pointer, "below_floor") in [(fault.pointer, fault.code) for fault in found]


def test_floors_bind_only_what_they_apply_to() -> None:
    assert parsed(("/modality", "iv"), ("/observation", GONE), ("/requires", GONE)).observation is None


def test_without_an_observation_the_presence_is_still_demanded() -> None:
    doc = changed(("/observation", GONE), ("/segments/3/needs", [WATCH, CHAIR]))
    assert {fault.pointer for fault in faults_of(doc, FLOORS)} == {"/observation", "/segments/3/needs"}


def test_the_watch_may_be_split_over_several_segments() -> None:
    halves = [
        {"name": "peak", "minutes": 60, "needs": [WATCH, ON_SITE, CHAIR]},
        {"name": "calm", "minutes": 60, "needs": [WATCH, ON_SITE, CHAIR]},
    ]
    segments = [*NASAL["segments"][:3], *halves, *NASAL["segments"][4:]]
    watch = {"minutes": 120, "segment": "peak", "through": "calm"}
    assert parsed(("/segments", segments), ("/observation", watch)).observed_minutes == 120
    halves[1]["needs"] = [WATCH, CHAIR]
    found = faults_of(changed(("/segments", segments), ("/observation", watch)), FLOORS)
    assert [(fault.pointer, fault.code) for fault in found] == [("/segments/4/needs", "below_floor")]


def test_from_the_first_device_the_dose_counts_toward_the_watch() -> None:
    shorter = ("/segments/3/minutes", 105)
    first = parsed(shorter, ("/observation/anchor", "first_device"))
    assert first.observed_minutes == 120
    codes = [fault.code for fault in faults_of(changed(shorter), FLOORS)]
    assert codes == ["observation_too_long", "below_floor"]
