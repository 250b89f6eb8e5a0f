"""Safety gates of a visit: how their documents are read, and which of them are due and not passed."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from scheduler.core.errors import Invalid
from scheduler.core.site import ClearanceFact
from scheduler.core.visit import VisitType, parse_visit_type
from scheduler.core.visit_day import is_forfeit, unpassed
from tests.clinic import need, segment, visit_type

RIDE = {"key": "ride", "label": "Ride", "effect": "blocks", "at": "check_in", "value": "text"}
MOOD = {"key": "mood", "label": "Mood", "effect": "warns", "at": "check_in"}
FAST = {"key": "fast", "label": "Fasting", "effect": "blocks", "at": "check_in", "same_day": True}
ESCORT: dict[str, Any] = {
    "key": "escort", "label": "Ride named", "effect": "blocks_checkin", "item": "ride", "due_hours": 24,
    "remind_hours": [4], "release_hours": 2,
}  # fmt: skip
LABS: dict[str, Any] = {
    "key": "labs",
    "label": "Labs",
    "effect": "blocks_checkin",
    "clearance": "labs",
    "due_hours": 48,
}
CONSENT: dict[str, Any] = LABS | {"key": "consent", "effect": "blocks_booking", "clearance": "consent"}
#: Half past midnight of 5 March in New York: the day before in UTC's west, the same in its east.
START = datetime(2030, 3, 5, 5, 30, tzinfo=UTC)


def kind(*gates: dict[str, Any]) -> VisitType:
    document = visit_type("dose", segment("dose", 30, need("role:nurse")), modality="im")
    return parse_visit_type(document | {"checklist": [RIDE, MOOD, FAST], "gates": list(gates)}, {})


def test_a_gate_that_blocks_booking_is_a_clearance_that_booking_asks_for_and_check_in_asks_for_more() -> None:
    read = kind(ESCORT, LABS, CONSENT)
    assert read.clearances == ("consent",)
    assert read.received_with == ("consent", "labs")
    assert [gate.remind_hours for gate in read.gates] == [(4,), (), ()]


@pytest.mark.parametrize(
    ("change", "pointer", "code"),
    [
        ({"clearance": "labs"}, "/gates/0", "needs_one_proof"),
        ({"item": None}, "/gates/0", "needs_one_proof"),
        ({"item": "other"}, "/gates/0/item", "unknown_item"),
        ({"item": "fast"}, "/gates/0/item", "same_day_item"),
        ({"item": "mood"}, "/gates/0/item", "does_not_block"),
        ({"effect": "blocks_booking"}, "/gates/0/effect", "asked_after_booking"),
        ({"effect": "forbids"}, "/gates/0/effect", "unknown_effect"),
        ({"remind_hours": [24]}, "/gates/0/remind_hours", "not_after_due"),
        ({"remind_hours": ["4"]}, "/gates/0/remind_hours/0", "out_of_range"),
        ({"release_hours": 25}, "/gates/0/release_hours", "cannot_release"),
        ({"effect": "warns", "item": "mood"}, "/gates/0/release_hours", "cannot_release"),
        ({"due_hours": -1}, "/gates/0/due_hours", "out_of_range"),
    ],
)
def test_every_fault_is_named_where_it_is(change: dict[str, Any], pointer: str, code: str) -> None:
    document = {key: value for key, value in (ESCORT | change).items() if value is not None}
    with pytest.raises(Invalid) as caught:
        kind(document)
    assert (pointer, code) in [(fault.pointer, fault.code) for fault in caught.value.faults]


def test_two_gates_have_two_keys() -> None:
    with pytest.raises(Invalid) as caught:
        kind(ESCORT, ESCORT)
    assert [fault.code for fault in caught.value.faults] == ["duplicate_gate"]


def fact(outcome: str = "approved", first: date = date(2030, 1, 1), last: date | None = None) -> ClearanceFact:
    return ClearanceFact("labs", None, outcome, first, last)


@pytest.mark.parametrize(
    ("facts", "passed"),
    [
        ([], False),
        ([fact()], True),
        ([fact(last=date(2030, 3, 5))], True),
        ([fact(last=date(2030, 3, 4))], False),  # valid by UTC's day, not by the clinic's
        ([fact(), fact("revoked", date(2030, 3, 1))], False),
        ([fact("revoked"), fact()], True),
        ([ClearanceFact("labs", "im", "approved", date(2030, 1, 1), None)], True),
        ([ClearanceFact("labs", "iv", "approved", date(2030, 1, 1), None)], False),
    ],
)
def test_a_clearance_counts_on_the_visits_local_day(facts: list[ClearanceFact], passed: bool) -> None:  # noqa: FBT001
    found = unpassed(kind(LABS), {}, facts, START, "America/New_York", START)
    assert [gate.key for gate in found] == ([] if passed else ["labs"])


@pytest.mark.parametrize(
    ("answer", "passed"),
    [
        (None, False),
        ({"ok": True, "value": "Ann"}, True),
        ({"ok": True, "value": None}, False),
        ({"ok": False, "value": None}, False),
        ({"ok": False, "value": None, "waived": {"by": "Dr. Lee", "reason": "Stays overnight."}}, True),
    ],
)
def test_an_item_counts_as_the_checklist_counts_it(answer: dict[str, Any] | None, passed: bool) -> None:  # noqa: FBT001
    answers = {} if answer is None else {"ride": answer | {"at": START.isoformat()}}
    assert (unpassed(kind(ESCORT), answers, [], START, "America/New_York", START) == ()) is passed


def test_nothing_is_said_before_it_is_due_and_the_time_is_forfeit_later() -> None:
    visit = kind(ESCORT, LABS)

    def at(hours: float) -> tuple[list[str], str | None]:
        now = START - timedelta(hours=hours)
        found = unpassed(visit, {}, [], START, "America/New_York", now)
        gone = is_forfeit(found, START, now)
        return [gate.key for gate in found], gone and gone.key

    assert at(48.1) == ([], None)
    assert at(48) == (["labs"], None)
    assert at(24) == (["escort", "labs"], None)
    assert at(2.1) == (["escort", "labs"], None)
    assert at(2) == (["escort", "labs"], "escort")
