"""The drafts that we ship: each is sound, each number says where it comes from, and the figures are the clinic's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from itertools import accumulate
from typing import Any

import pytest

from scheduler.core.course import expand, through_gate, windows
from scheduler.core.protocol import Protocol, parse_protocol
from scheduler.core.visit import VisitType, parse_visit_type
from scheduler.services import shipped

ROLES = {"nurse", "prescriber", "therapist", "guide"}
GRADES = {"L", "P", "C", "K", "N"}
NEED_SOURCES = {"L", "P", "C"}
MODALITIES = {"iv", "im", "esketamine", "oral"}
#: No drug, route, dose, diagnosis or specialty may be in what a patient's telephone shows.
TELLING = (
    "ketamine",
    "infusion",
    "spray",
    "nasal",
    "dose",
    "dosing",
    "therap",
    "psych",
    "depress",
    "medical",
    "inject",
)

DOCUMENTS: dict[str, dict[str, Any]] = {
    **{f"visit_types/{doc['code']}": doc for doc in shipped.visit_types()},
    **{f"protocols/{doc['code']}": doc for doc in shipped.protocols()},
    "floors": shipped.floors(),
}
VISITS: dict[str, VisitType] = {doc["code"]: parse_visit_type(doc, shipped.floors()) for doc in shipped.visit_types()}
PROTOCOLS: dict[str, Protocol] = {doc["code"]: parse_protocol(doc, VISITS, ROLES) for doc in shipped.protocols()}


def is_number(value: object) -> bool:
    """A number, or a list of them. True and false are none."""
    if isinstance(value, list):
        return bool(value) and all(is_number(item) for item in value)
    return isinstance(value, int | float) and not isinstance(value, bool)


def numbers(value: object, path: str = "") -> Iterator[tuple[str, Mapping[str, Any], str]]:
    """Every number of a document: where it stands, the object that it stands in, and its key there."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if is_number(item):
                yield f"{path}/{key}", value, key
            elif key not in {"grade", "source", "sources"}:
                yield from numbers(item, f"{path}/{key}")
    elif isinstance(value, list):
        for place, item in enumerate(value):
            assert not is_number(item), f"{path}/{place}: a number in a list of other things can carry no grade"
            yield from numbers(item, f"{path}/{place}")


def said(holder: Mapping[str, Any], what: str, key: str) -> Any:
    """The grade or the source of one key: its own, or that of the whole object."""
    found = holder.get(what)
    return found.get(key) if isinstance(found, Mapping) else found


def unfounded(doc: Mapping[str, Any]) -> list[str]:
    """What is wrong with the provenance of a document's numbers."""
    sources = doc.get("sources", {})
    wrong = []
    for path, holder, key in numbers(doc):
        grade, source = said(holder, "grade", key), said(holder, "source", key)
        if grade not in GRADES:
            wrong.append(f"{path} has no grade")
        elif grade in NEED_SOURCES and not source:
            wrong.append(f"{path} is graded {grade} without a source")
        wrong += [f"{path} names {name}, which is not in sources" for name in source or () if name not in sources]
    return wrong


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_number_says_its_grade_and_its_source(name: str) -> None:
    assert unfounded(DOCUMENTS[name]) == []


def test_the_walk_over_numbers_sees_what_is_missing() -> None:
    doc = {
        "sources": {"S1": "a book"},
        "bare": {"minutes": 5},
        "unsourced": {"minutes": 5, "grade": {"minutes": "L"}},
        "unlisted": {"days": [1, 2], "grade": "P", "source": ["S2"]},
        "sound": [{"min": 1, "max": 2, "grade": {"min": "N", "max": "C"}, "source": {"max": ["S1"]}}],
    }
    assert unfounded(doc) == [
        "/bare/minutes has no grade",
        "/unsourced/minutes is graded L without a source",
        "/unlisted/days names S2, which is not in sources",
    ]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_source_that_is_listed_is_used(name: str) -> None:
    doc = DOCUMENTS[name]
    text = repr({key: value for key, value in doc.items() if key != "sources"})
    assert [key for key in doc.get("sources", {}) if f"'{key}'" not in text and key not in text] == []


def test_every_floor_is_law_or_label() -> None:
    demands = [(name, demand) for floor in shipped.floors()["floors"] for name, demand in floor["demands"].items()]
    assert len(demands) == 8
    assert [name for name, demand in demands if demand["grade"] != "L" or not demand["source"]] == []


@pytest.mark.parametrize("name", [name for name in DOCUMENTS if name != "floors"])
def test_everything_is_a_draft_that_nobody_has_approved(name: str) -> None:
    assert DOCUMENTS[name]["status"] == "draft"
    assert DOCUMENTS[name]["approved_by"] is None


def test_a_reader_cannot_change_what_is_shipped() -> None:
    shipped.floors()["floors"].clear()
    shipped.protocols()[0]["phases"].clear()
    assert shipped.floors()["floors"]
    assert shipped.protocols()[0]["phases"]


def test_every_modality_has_its_visit_and_its_protocol() -> None:
    assert {visit.modality for visit in VISITS.values() if visit.kind == "dosing"} == MODALITIES
    assert {protocol.modality for protocol in PROTOCOLS.values()} == {*MODALITIES, None}
    assert set(PROTOCOLS) == {
        "iv_ketamine",
        "iv_ketamine_induction",
        "im_ketamine",
        "esketamine_trd",
        "esketamine_mddsi",
        "oral_sl_clinic",
        "oral_sl_home",
        "integration_only",
        "evaluation_and_preparation",
    }


def test_before_each_dose_in_the_clinic_ride_consent_and_fasting_are_asked_for() -> None:
    doses = {code: visit for code, visit in VISITS.items() if visit.kind == "dosing" and visit.enabled}
    assert len(doses) == 5
    for code, visit in doses.items():
        found = {gate.key: (gate.effect, gate.due_hours) for gate in visit.gates if gate.item is not None}
        assert found == {"ride": ("blocks_checkin", 24), "consent": ("blocks_checkin", 48), "fasting": ("warns", 24)}, (
            code
        )


def test_only_what_is_taken_at_home_is_off() -> None:
    assert [code for code, visit in VISITS.items() if not visit.enabled] == ["oral_home"]
    assert [code for code, protocol in PROTOCOLS.items() if not protocol.enabled] == ["oral_sl_home"]


@pytest.mark.parametrize("visit", VISITS.values(), ids=list(VISITS))
def test_the_name_for_patients_tells_nothing(visit: VisitType) -> None:
    assert [word for word in TELLING if word in visit.public_name.lower()] == []


@pytest.mark.parametrize(
    ("code", "patient", "with_room"),
    [
        ("iv_infusion", 115, 130),
        ("esketamine_56mg", 170, 185),
        ("esketamine_84mg", 175, 190),
        ("im_dosing", 130, 145),
        ("oral_clinic", 150, 160),
        ("evaluation", 30, 30),
        ("integration", 55, 55),
        ("integration_group", 90, 90),
    ],
)
def test_the_lengths_are_those_of_the_clinical_page(code: str, patient: int, with_room: int) -> None:
    visit = VISITS[code]
    assert visit.minutes == patient
    assert visit.lead_minutes + visit.minutes + visit.trail_minutes == with_room


@pytest.mark.parametrize("code", ["esketamine_56mg", "esketamine_84mg"])
def test_no_minute_of_esketamine_without_a_prescriber_on_site(code: str) -> None:
    visit = VISITS[code]
    dose, watch = visit.watched()
    assert dose is not None
    assert sum(segment.minutes for segment in watch) >= 120
    for segment in (dose, *watch):
        assert ("prescriber", "present") in {(need.code, need.mode) for need in segment.needs}
    assert "esketamine_rems" in visit.site_certifications
    assert "esketamine_rems_enrollment" in visit.clearances


def offsets(code: str, cadence: str | None, steps: set[str]) -> list[int]:
    """Target days of the sessions of some steps, from the first of them."""
    gaps = [spec.gap for spec in expand(PROTOCOLS[code], cadence) if spec.step in steps]
    return list(accumulate([0, *(gap[1] for gap in gaps[1:] if gap)]))


@pytest.mark.parametrize(
    ("code", "cadence", "steps", "days"),
    [
        ("iv_ketamine", "thrice_weekly", {"dose"}, [0, 2, 4, 7, 9, 11]),
        ("iv_ketamine", "twice_weekly", {"dose"}, [0, 3, 7, 10, 14, 17]),
        ("iv_ketamine_induction", None, {"dose"}, [0, 2, 4, 7, 9, 11]),
        ("iv_ketamine_induction", "twice_weekly", {"dose"}, [0, 3, 7, 10, 14, 17]),
        ("esketamine_mddsi", None, {"dose"}, [0, 3, 7, 10, 14, 17, 21, 24]),
        (
            "esketamine_trd",
            "weekly",
            {"first_dose", "dose", "weekly_dose", "maintenance_dose"},
            [0, 3, 7, 10, 14, 17, 21, 24, 28, 35, 42, 49, 56, 63, 70, 77],
        ),
        ("esketamine_trd", "every_two_weeks", {"maintenance_dose"}, [0, 14, 28, 42]),
    ],
)
def test_the_days_are_those_of_the_clinical_page(
    code: str, cadence: str | None, steps: set[str], days: list[int]
) -> None:
    assert offsets(code, cadence, steps) == days


def test_an_induction_of_six_has_an_integration_after_each() -> None:
    specs = expand(PROTOCOLS["iv_ketamine_induction"])
    assert [spec.step for spec in specs] == ["evaluation", *["dose", "integration"] * 6]
    assert through_gate(specs, {"clearance"}) == specs
    assert {spec.gap[2] for spec in specs if spec.step == "dose" and spec.ordinal > 1 and spec.gap} == {5}
    slower = expand(PROTOCOLS["iv_ketamine_induction"], "twice_weekly")
    assert {spec.gap[2] for spec in slower if spec.step == "dose" and spec.ordinal > 1 and spec.gap} == {7}


def test_nothing_beyond_an_evaluation_is_booked_before_clearance() -> None:
    dosing = [code for code, protocol in PROTOCOLS.items() if any(step.dosing for _, step in protocol.steps())]
    assert len(dosing) == 7
    for code in dosing:
        specs = expand(PROTOCOLS[code])
        assert [spec.step for spec in through_gate(specs)] == ["evaluation"], code
        cleared = through_gate(specs, {"clearance"})
        assert len(cleared) < len(specs) or code in {"esketamine_mddsi", "iv_ketamine_induction"}
        assert any(spec.dosing for spec in cleared)


def test_labs_are_back_before_the_first_dose_of_a_series() -> None:
    asked = {
        code: [
            (spec.sequence, gate.effect, gate.due_hours)
            for spec in expand(protocol)
            for gate in spec.own_gates
            if gate.key == "labs"
        ]
        for code, protocol in PROTOCOLS.items()
    }
    first = [(2, "blocks_checkin", 72)]
    assert {code: gates for code, gates in asked.items() if gates} == {
        "iv_ketamine": first,
        "iv_ketamine_induction": first,
        "im_ketamine": first,
        "oral_sl_clinic": [(3, "blocks_checkin", 72)],
    }


def test_at_home_a_chaperone_and_the_medication_are_there_before_each_dose() -> None:
    doses = [spec for spec in expand(PROTOCOLS["oral_sl_home"]) if spec.dosing]
    assert {tuple(gate.key for gate in spec.own_gates) for spec in doses} == {("consent", "chaperone", "medication")}


def test_reviews_are_soft_after_the_third_dose_and_hard_after_the_sixth() -> None:
    for code in ("iv_ketamine", "iv_ketamine_induction"):
        reviews = {(gate.step, gate.count): gate.kind for gate in PROTOCOLS[code].gates if gate.step == "dose"}
        assert reviews == {("dose", 3): "soft", ("dose", 6): "hard"}


@pytest.mark.parametrize("code", PROTOCOLS)
def test_every_session_has_dates(code: str) -> None:
    protocol = PROTOCOLS[code]
    for cadence in [None, *(named.key for named in protocol.cadences)]:
        specs = expand(protocol, cadence)
        for dates in windows(specs, date(2026, 3, 2)):
            assert dates.latest is not None
            assert dates.earliest <= dates.target <= dates.latest


def test_doses_of_several_steps_are_called_by_their_phases() -> None:
    """A first dose, a dose 1 and a weekly dose 1 would be three visits of one patient."""
    names = {code: [each.name for each in expand(each) if each.kind == "main"] for code, each in PROTOCOLS.items()}
    esketamine = names["esketamine_trd"]
    assert esketamine[:4] == ["evaluation", "induction dose 1", "induction dose 2", "induction dose 3"]
    assert [esketamine[place] for place in (8, 9, 13)] == [
        "induction dose 8", "optimization dose 1", "maintenance dose 1"]  # fmt: skip
    assert names["im_ketamine"][1:3] == ["dose 1", "dose 2"], "there the others are boosters"
    assert "booster 1" in names["im_ketamine"]
    assert all(len(set(each)) == len(each) for each in names.values())


@pytest.mark.parametrize("code", ["esketamine_56mg", "esketamine_84mg"])
def test_the_label_is_on_the_checklist_and_among_the_tasks(code: str) -> None:
    visit = VISITS[code]
    asked = {item.key: (item.effect, item.at, item.most) for item in visit.checklist}
    assert asked["ride"] == ("blocks", "check_in", None)
    assert {"food", "liquids", "nasal", "consent", "questionnaire"} <= asked.keys()
    assert (asked["systolic"], asked["diastolic"]) == (("warns", "start", 140), ("warns", "start", 90))
    due = {task.key: (task.anchor, task.offset_minutes, task.offset_days) for task in visit.tasks}
    assert due == {
        "pressure_40": ("last_device", 40, None),
        "readiness": ("last_device", 120, None),
        "monitoring_form": ("discharge", None, 7),
    }


def test_whoever_needs_a_ride_is_asked_for_it() -> None:
    asked = {code for code, visit in VISITS.items() if any(item.key == "ride" for item in visit.checklist)}
    assert asked == {code for code, visit in VISITS.items() if visit.instructions.escort}


def test_what_patients_are_told_is_what_the_clinical_page_says() -> None:
    """Solids, clear liquids, nasal products, alcohol: minutes before; minutes to come early; who drives, and when."""
    told = {code: VISITS[code].instructions for code in ("iv_infusion", "esketamine_56mg", "im_dosing", "oral_clinic")}
    assert {
        code: (
            each.solids_minutes, each.clear_liquids_minutes, each.nasal_products_minutes, each.alcohol_minutes,
            each.arrive_early_minutes, each.escort, each.no_driving,
        )
        for code, each in told.items()
    } == {
        "iv_infusion": (360, 120, None, 1440, 15, True, "24_hours"),
        "esketamine_56mg": (120, 30, 60, None, 15, True, "until_next_day"),
        "im_dosing": (360, 120, None, 1440, 15, True, "until_next_day"),
        "oral_clinic": (360, 120, None, 1440, 10, True, "visit_day"),
    }  # fmt: skip


def test_the_messages_are_those_of_the_clinical_page() -> None:
    """Each with its moment, from the visit's start or end: days as calendar days, minutes as they pass."""
    plan = {rule["key"]: rule["at"] for rule in shipped.message_rules()}
    assert plan == {
        "booked": {"anchor": "booked"},
        "course_booked": {"anchor": "booked"},
        "series_overview": {"anchor": "start", "days": -7},
        "forms_due": {"anchor": "start", "days": -4},
        "remind_72h": {"anchor": "start", "days": -3},
        "remind_24h": {"anchor": "start", "days": -1},
        "night_before": {"anchor": "fast_start", "from": "18:00", "to": "20:00"},
        "day_of": {"anchor": "start", "minutes": -180},
        "eske_nasal": {"anchor": "start", "minutes": -120},
        "arrival_no_show": {"anchor": "start", "minutes": 15},
        "d_instructions": {"anchor": "end", "minutes": 0},
        "evening_check": {"anchor": "end", "days": 0, "from": "18:00", "to": "20:00", "gap_minutes": 120},
        "next_day_scale": {"anchor": "end", "minutes": 1440},
        "integration_prompt": {"anchor": "end", "minutes": 1200},
        "gap_nudge": {"anchor": "next_dose", "days": -5},
    } | {
        key: {"anchor": "booked", "minutes": 3} for key in ("rescheduled", "cancelled", "course_changed", "correction")
    }
