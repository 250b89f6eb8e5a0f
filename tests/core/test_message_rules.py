"""Message rules as documents: what a clinic may write, every fault in what it may not, and what conditions choose."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from scheduler.core.errors import Invalid
from scheduler.core.reminders import CHANNELS, Recipient, Visit, parse_rules, plan_messages

SHIPPED = Path(__file__).parents[2] / "scheduler" / "data" / "message_rules.yaml"
START = datetime(2027, 1, 14, 19, tzinfo=UTC)
NOW = START - timedelta(days=10)
VISIT = Visit(
    START,
    START + timedelta(hours=2),
    "America/New_York",
    kind="dosing",
    modality="iv",
    visit_type="infusion",
    step="infusion",
    first_of_course=True,
    first_dose=True,
    gap_days=14,
)
PATIENT = Recipient("America/New_York", frozenset(CHANNELS))


def rule_doc(**changes: Any) -> dict[str, Any]:
    doc: dict[str, Any] = {
        "key": "a", "kind": "remind_24h", "class": "reminder", "channels": ["sms"], "side": "before",
        "at": {"anchor": "start", "minutes": -60}, "expires": {"anchor": "start"},
    }  # fmt: skip
    return {key: value for key, value in (doc | changes).items() if value is not ...}


@pytest.mark.parametrize(
    ("only", "matches"),
    [
        ({"kinds": ["evaluation"]}, False),
        ({"kinds": ["evaluation", "dosing"]}, True),
        ({"modalities": ["esketamine"]}, False),
        ({"modalities": ["iv"]}, True),
        ({"first_of_course": True}, True),
        ({"first_of_course": False}, False),
        ({"fast_starts_in_night": True}, False),
        ({"first_dose": True}, True),
        ({"steps": ["infusion"]}, True),
        ({"steps": ["talk"]}, False),
        ({"visit_types": ["other"]}, False),
        ({"least_gap_days": 14}, True),
        ({"least_gap_days": 15}, False),
        ({"forms_missing": True}, False),  # nothing is asked of the patient
        ({"unconfirmed": True, "no_integration_booked": True, "no_dose_booked": True}, True),
        ({}, True),
    ],
)
def test_conditions_choose_the_visits(only: dict[str, Any], matches: bool) -> None:  # noqa: FBT001
    rules = parse_rules([rule_doc(only=only)])
    assert bool(plan_messages(rules, VISIT, PATIENT, NOW)) is matches


def test_two_rules_that_yield_to_each_other_do_not_both_fall_silent() -> None:
    rules = parse_rules(
        [rule_doc(yields={"to": ["b"], "minutes": 60}), rule_doc(key="b", yields={"to": ["a"], "minutes": 60})]
    )
    assert [one.suppressed for one in plan_messages(rules, VISIT, PATIENT, NOW)].count(None) == 1


FAULTY = [
    ({"key": ...}, "/0/key", "required"),
    ({"key": "no good"}, "/0/key", "not_a_code"),
    ({"kind": "horoscope"}, "/0/kind", "unknown_kind"),
    ({"class": "errand"}, "/0/class", "unknown_class"),
    ({"class": "staff_task"}, "/0/kind", "unknown_kind"),
    ({"class": "staff_task", "kind": "arrival_no_show"}, "/0/channels", "task_without_channel"),
    ({"class": "change"}, "/0/class", "class_and_event"),
    ({"event": "booked"}, "/0/class", "class_and_event"),
    ({"class": "instruction", "yields": {"to": ["a"], "minutes": 5}}, "/0/yields", "instruction_kept"),
    ({"class": "instruction", "merges": True}, "/0/merges", "instruction_kept"),
    ({"must_arrive_by": {"anchor": "noon"}}, "/0/must_arrive_by/anchor", "unknown_anchor"),
    ({"only": {"least_gap_days": -1}}, "/0/only/least_gap_days", "out_of_range"),
    ({"only": {"first_dose": "yes"}}, "/0/only/first_dose", "wrong_type"),
    ({"exempt": 1}, "/0/exempt", "wrong_type"),
    ({"enabled": "no"}, "/0/enabled", "wrong_type"),
    ({"event": "birthday"}, "/0/event", "unknown_event"),
    ({"channels": ["pigeon"]}, "/0/channels/0", "unknown_channel"),
    ({"channels": []}, "/0/channels", "empty"),
    ({"kind": "forms_due", "channels": ["sms", "voice"]}, "/0/channels", "not_spoken"),
    ({"side": "beside"}, "/0/side", "unknown_side"),
    ({"at": ...}, "/0/at", "required"),
    ({"at": {"anchor": "moon"}}, "/0/at/anchor", "unknown_anchor"),
    ({"at": {"anchor": "start", "minutes": -5.5}}, "/0/at/minutes", "wrong_type"),
    ({"at": {"anchor": "start", "minutes": -5, "days": -1}}, "/0/at", "two_moments"),
    ({"at": {"anchor": "start", "minutes": 5}}, "/0/at", "wrong_side"),
    ({"at": {"anchor": "start", "days": -1, "from": "20:00", "to": "18:00"}}, "/0/at/to", "wrong_order"),
    ({"at": {"anchor": "start", "days": -1, "from": "18:00"}}, "/0/at/to", "required"),
    ({"at": {"anchor": "start", "days": -1, "from": "6pm", "to": "20:00"}}, "/0/at/from", "not_a_time"),
    ({"at": {"anchor": "start", "days": -1, "from": "18:00:00", "to": "20:00"}}, "/0/at/from", "not_a_time"),
    ({"at": {"anchor": "start", "minutes": -5, "gap_minutes": 5}}, "/0/at/gap_minutes", "gap_without_window"),
    ({"side": "after", "at": {"anchor": "end", "from": "18:00", "to": "20:00"}}, "/0/at/days", "required"),
    ({"side": "after", "at": {"anchor": "end", "minutes": -5}}, "/0/at", "wrong_side"),
    ({"side": "now"}, "/0/at", "side_and_anchor"),
    ({"at": {"anchor": "booked"}}, "/0/at", "side_and_anchor"),
    ({"expires": ...}, "/0/expires", "required"),
    ({"expires": {"anchor": "start", "days": 1}}, "/0/expires/days", "unknown_field"),
    ({"quiet": "loud"}, "/0/quiet", "unknown_quiet"),
    ({"catch_up": "yes"}, "/0/catch_up", "wrong_type"),
    ({"ahead_of_fast": {"from": "18:00", "to": "20:00"}}, "/0/ahead_of_fast/minutes", "required"),
    ({"only": {"weather": ["sunny"]}}, "/0/only/weather", "unknown_field"),
    ({"yields": {"to": ["b"], "minutes": 60}}, "/0/yields/to", "unknown_rule"),
    ({"sound": "bell"}, "/0/sound", "unknown_field"),
]


class TestReading:
    @pytest.mark.parametrize(("changes", "pointer", "code"), FAULTY)
    def test_names_the_fault(self, changes: dict[str, Any], pointer: str, code: str) -> None:
        with pytest.raises(Invalid, match="fault") as caught:
            parse_rules([rule_doc(**changes)])
        assert (pointer, code) in {(fault.pointer, fault.code) for fault in caught.value.faults}

    def test_names_every_fault_of_every_rule(self) -> None:
        with pytest.raises(Invalid, match="fault") as caught:
            parse_rules([rule_doc(kind="x", side="y"), "not a rule", rule_doc(), rule_doc()])
        found = {(fault.pointer, fault.code) for fault in caught.value.faults}
        assert found >= {
            ("/0/kind", "unknown_kind"), ("/0/side", "unknown_side"), ("/1", "wrong_type"), ("/3/key", "duplicate_key"),
        }  # fmt: skip

    def test_the_shipped_rules_are_a_draft_with_grades(self) -> None:
        whole = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))
        assert (whole["_meta"]["status"], whole["_meta"]["approved_by"]) == ("draft", None)
        assert all(doc["grade"] in {"L", "P", "C", "K", "N"} for doc in whole["rules"])
        assert all("source" in doc for doc in whole["rules"] if doc["grade"] in {"L", "P", "C"})

    def test_shipped_news_of_a_change_leaves_three_minutes_to_undo_it(self) -> None:
        rules = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))["rules"]
        waits = {rule["event"]: rule["at"].get("minutes", 0) for rule in rules if rule["class"] == "change"}
        assert {event for event, minutes in waits.items() if minutes != 3} == {"booked", "course"}
