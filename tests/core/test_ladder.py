"""By which channels a patient is told, and what follows a reminder that nobody answers."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest

from scheduler.core.civil import to_local
from scheduler.core.errors import Invalid
from scheduler.core.reminders import CALL, Owed, Recipient, Visit, parse_rules, plan_messages
from scheduler.services import shipped

START = datetime(2027, 1, 14, 19, tzinfo=UTC)
NOW = START - timedelta(days=10)
VISIT = Visit(START, START + timedelta(hours=1), "America/New_York", kind="integration")
HOUR = timedelta(hours=1)
BOTH = frozenset({"sms", "email"})
RULE: dict[str, Any] = {
    "key": "ask", "kind": "remind_72h", "class": "reminder", "channels": ["sms", "email"], "side": "before",
    "at": {"anchor": "start", "minutes": -72 * 60}, "expires": {"anchor": "start"}, "merges": True,
    "escalate": {"minutes": 180},
}  # fmt: skip


def planned(
    recipient: Recipient | None = None, *, now: datetime = NOW, visit: Visit = VISIT, **changes: Any
) -> dict[str, Owed]:
    who = recipient or Recipient("America/New_York", BOTH)
    return {each.rule: each for each in plan_messages(parse_rules([RULE | changes]), visit, who, now)}


def test_unanswered_it_goes_over_the_next_channel_and_then_a_person_calls() -> None:
    found = planned()
    due = START - 72 * HOUR
    assert {rule: (each.channel, each.due_at) for rule, each in found.items()} == {
        "ask": ("sms", due), "ask+email": ("email", due + 3 * HOUR), "ask+call": ("task", due + 6 * HOUR),
    }  # fmt: skip
    assert found["ask"].unless == frozenset()
    assert {found[rule].unless for rule in ("ask+email", "ask+call")} == {frozenset({"confirmed"})}
    assert (found["ask+call"].kind, found["ask+call"].cls) == (CALL, "staff_task")
    assert (found["ask+email"].channels, found["ask"].channels) == (("email",), ("sms", "email"))
    assert (found["ask"].merges, found["ask+email"].merges) == (True, False)


def test_the_patients_own_channel_comes_first() -> None:
    found = planned(Recipient("America/New_York", BOTH, prefers="email"))
    assert {rule: each.channel for rule, each in found.items()} == {
        "ask": "email", "ask+sms": "sms", "ask+call": "task",
    }  # fmt: skip
    only_text = planned(Recipient("America/New_York", frozenset({"sms"}), prefers="email"))
    assert {rule: each.channel for rule, each in only_text.items()} == {"ask": "sms", "ask+call": "task"}
    unknown = planned(Recipient("America/New_York", BOTH, prefers="voice"))
    assert unknown["ask"].channel == "sms"


def test_a_visit_without_a_fast_may_be_left_alone() -> None:
    asks: dict[str, Any] = {"escalate": {"minutes": 60, "fasting": True}}
    assert list(planned(**asks)) == ["ask"]
    fasted = planned(visit=replace(VISIT, solids_minutes=360), **asks)
    assert sorted(fasted) == ["ask", "ask+call", "ask+email"]


def test_the_shipped_rules_climb_for_who_must_fast() -> None:
    """SMS, e-mail, call: the word on eating and drinking is not left at one text."""
    rules, who = parse_rules(shipped.message_rules()), Recipient("America/New_York", BOTH)

    def climbs(modality: str, local: int) -> set[tuple[str, str]]:
        start = datetime(2027, 1, 14, local + 5, tzinfo=UTC)  # EST
        visit = Visit(start, start + 2 * HOUR, "America/New_York", "dosing", modality, 360)
        found = plan_messages(rules, visit, who, NOW)
        return {(each.rule, each.channel) for each in found if "+" in each.rule and each.suppressed is None}

    assert climbs("iv", 15) == {("remind_24h+email", "email"), ("remind_24h+call", "task")}
    assert climbs("iv", 9) == {("night_before+email", "email"), ("night_before+call", "task")}
    assert climbs("esketamine", 15) == {
        *climbs("iv", 15), ("eske_nasal+email", "email"), ("eske_nasal+call", "task"),
    }  # fmt: skip
    talk = plan_messages(rules, VISIT, who, NOW)
    assert [each.rule for each in talk if "+" in each.rule] == []


def test_whom_nothing_reaches_a_person_calls_at_once() -> None:
    found = planned(Recipient("America/New_York", frozenset()))
    assert (found["ask"].suppressed, found["ask+call"].due_at) == ("no_channel", found["ask"].due_at)


def test_it_keeps_quiet_hours_and_ends_where_it_is_of_no_use() -> None:
    sleepy = planned(Recipient("America/New_York", BOTH, time(16), time(9)))
    assert sleepy["ask+email"].due_at == datetime(2027, 1, 12, 14, tzinfo=UTC), "the morning after"
    assert sleepy["ask+call"].due_at == datetime(2027, 1, 12, 17, tzinfo=UTC), "and nobody is rung before that"
    short = planned(expires={"anchor": "start", "minutes": -69 * 60})
    assert {rule: each.suppressed for rule, each in short.items()} == {
        "ask": None, "ask+email": "too_late", "ask+call": "too_late",
    }  # fmt: skip


def test_nobody_is_rung_at_night_unless_the_fast_begins_before_the_morning() -> None:
    """A visit at half past midnight is spoken of the evening before last: the call comes after the e-mail, by day."""
    rules, who = parse_rules(shipped.message_rules()), Recipient("America/New_York", BOTH)

    def climbs(start: datetime) -> list[tuple[str, str]]:
        visit = Visit(start, start + 2 * HOUR, "America/New_York", "dosing", "iv", 360)
        found = plan_messages(rules, visit, who, NOW)
        told = [each for each in found if each.rule.partition("+")[0] in {"remind_24h", "night_before"}]
        return [(each.channel, to_local(each.due_at, "America/New_York").strftime("%a %H:%M")) for each in told]

    assert climbs(datetime(2027, 1, 14, 5, 30, tzinfo=UTC)) == [
        ("sms", "Tue 19:57"), ("email", "Wed 09:00"), ("task", "Wed 10:00"),
    ]  # fmt: skip
    who = replace(who, quiet_from=time(18, 15))
    assert climbs(START - 5 * HOUR) == [("sms", "Wed 18:00"), ("task", "Wed 18:30"), ("email", "Thu 09:00")]


def test_what_was_never_asked_is_not_followed_up() -> None:
    assert {each.suppressed for each in planned(now=START - HOUR).values()} == {"past"}
    assert list(planned(now=START - HOUR)) == ["ask"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"class": "check_in", "side": "after", "at": {"anchor": "end", "minutes": 60}}, "escalate_what"),
        ({"escalate": {"minutes": 60, "fasting": "yes"}}, "wrong_type"),
        ({"escalate": {"minutes": 5}}, "out_of_range"),
        ({"escalate": {"hours": 5}}, "unknown_field"),
        ({"key": "x" * 51}, "too_long"),
    ],
)
def test_what_a_rule_may_not_ask(changes: dict[str, Any], code: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse_rules([RULE | changes])
    assert code in {fault.code for fault in caught.value.faults}
