"""Answers to a checklist: which settle an item, which are not in form, and what a waiver does."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from scheduler.core.errors import Invalid
from scheduler.core.visit import CheckItem
from scheduler.core.visit_day import merged, too_early, unsettled, unwaived, waived

ZONE = ZoneInfo("America/New_York")
DAY = date(2030, 3, 4)
NOW = datetime(2030, 3, 4, 14, tzinfo=UTC)
RIDE = CheckItem("ride", "Ride home named", "blocks", "check_in", "text")
FAST = CheckItem("fast", "Fasting kept", "blocks", "check_in", same_day=True)
PULSE = CheckItem("pulse", "Pulse", "warns", "start", "number", 50, 110, "/min")
ITEMS = (RIDE, FAST, PULSE)


def answered(given: dict[str, Any], kept: dict[str, Any] | None = None, at: datetime = NOW) -> dict[str, Any]:
    return merged(ITEMS, kept or {}, given, at=at, by="desk")


def left(answers: dict[str, Any], point: Any = "check_in") -> list[tuple[str, str]]:
    return [(each.item.key, each.why) for each in unsettled(ITEMS, answers, point, DAY, ZONE)]


def test_what_nobody_answered_is_missing_at_its_own_point() -> None:
    assert left({}) == [("ride", "missing"), ("fast", "missing")]
    assert left({}, "start") == [("pulse", "missing")]
    assert left({}, "discharge") == []


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ({"ok": True, "value": "Ann, her sister"}, None),
        ({"ok": True}, "missing"),
        ({"ok": True, "value": ""}, "missing"),
        ({"ok": False, "value": "a taxi"}, "failed"),
    ],
)
def test_who_names_a_ride_says_whose(answer: dict[str, Any], why: str | None) -> None:
    assert dict(left(answered({"ride": answer}))).get("ride") == why


@pytest.mark.parametrize(
    ("value", "why"), [(50, None), (110, None), (72.5, None), (49, "out_of_range"), (110.1, "out_of_range")]
)
def test_a_number_lies_in_its_range(value: float, why: str | None) -> None:
    found = unsettled(ITEMS, answered({"pulse": {"ok": True, "value": value}}), "start", DAY, ZONE)
    assert [each.why for each in found] == ([why] if why else [])
    if found:
        assert found[0].detail == "Pulse: not at least 50 and at most 110 /min."


def test_todays_question_is_answered_today_by_the_clinics_calendar() -> None:
    yesterday = answered({"fast": {"ok": True}}, at=datetime(2030, 3, 4, 4, 59, tzinfo=UTC))
    assert ("fast", "outdated") in left(yesterday)
    assert ("fast", "outdated") not in left(answered({"fast": {"ok": True}}, at=datetime(2030, 3, 4, 5, tzinfo=UTC)))


def test_a_later_answer_replaces_an_earlier_one_and_leaves_the_others() -> None:
    first = answered({"ride": {"ok": False}, "fast": {"ok": True}})
    second = answered({"ride": {"ok": True, "value": "Ann", "by": "Bob", "note": "calls at one"}}, first)
    assert left(second) == []
    assert second["ride"] == {
        "ok": True, "value": "Ann", "by": "Bob", "note": "calls at one", "at": "2030-03-04T14:00:00+00:00",
    }  # fmt: skip
    assert second["fast"]["by"] == "desk"
    assert first["ride"]["ok"] is False, "nothing is changed in place"


def test_every_answer_out_of_form_is_named() -> None:
    given = {"nobody/asked": {"ok": True}, "pulse": {"ok": True, "value": "72"}, "fast": {"ok": True, "value": "yes"}}
    with pytest.raises(Invalid) as refused:
        answered(given | {"ride": {"ok": True, "value": "x" * 501}})
    assert [(fault.pointer, fault.code) for fault in refused.value.faults] == [
        ("/checklist/nobody~1asked", "unknown_item"),
        ("/checklist/pulse/value", "wrong_type"),
        ("/checklist/fast/value", "wrong_type"),
        ("/checklist/ride/value", "wrong_type"),
    ]
    with pytest.raises(Invalid):
        answered({"pulse": {"ok": True, "value": True}})


def test_a_waiver_settles_what_it_names_and_goes_with_its_move() -> None:
    kept = answered({"ride": {"ok": False, "value": "nobody"}})
    found = waived(kept, ["ride", "fast"], by="Dr. Lee", reason="kept overnight", at=NOW)
    assert left(found) == []
    assert found["ride"]["value"] == "nobody"
    assert found["ride"]["waived"] == {"by": "Dr. Lee", "reason": "kept overnight", "at": NOW.isoformat()}
    assert found["fast"]["ok"] is False
    assert left(unwaived(found, (RIDE,))) == [("ride", "failed")]
    assert left(answered({"ride": {"ok": False}}, found)) == [("ride", "failed")], "a new answer is a new question"


@pytest.mark.parametrize(
    ("at", "minutes", "is_early"),
    [
        ("2030-03-03T23:59-05:00", None, True),
        ("2030-03-04T00:00-05:00", None, False),  # the local day, though it began five hours before in Greenwich
        ("2030-03-05T12:00-05:00", None, False),  # what is written down later is never refused
        ("2030-03-04T08:29-05:00", 30, True),
        ("2030-03-04T08:30-05:00", 30, False),
        ("2030-03-01T09:00-05:00", 3 * 24 * 60, False),
    ],
)
def test_nobody_is_received_before_the_day_or_the_window(at: str, minutes: int | None, *, is_early: bool) -> None:
    start = datetime.fromisoformat("2030-03-04T09:00-05:00")
    said = too_early(start, "America/New_York", datetime.fromisoformat(at), minutes)
    assert (said is not None) is is_early
