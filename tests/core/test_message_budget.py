"""How many texts a patient gets: a table of cases, and what holds for any course of them."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.core.policies import EXEMPTION, Caps
from scheduler.core.reminders.budget import Sendable, below, route

MONDAY = date(2027, 1, 11)
BOTH, TEXT = frozenset({"sms", "email"}), frozenset({"sms"})
REMINDER = Sendable(("sms", "email"), "reminder", urgent=False, exempt=False)
LAST_WORD = Sendable(("sms", "email"), "reminder", urgent=False, exempt=True)
INSTRUCTION = Sendable(("sms", "email"), "instruction", urgent=True, exempt=True)
CALLED = Sendable(("voice", "email"), "reminder", urgent=False, exempt=True)
NEWS = Sendable(("sms", "email"), "change", urgent=True, exempt=False)


@pytest.mark.parametrize(
    ("one", "reach", "basis", "sent_today", "channel"),
    [
        (REMINDER, BOTH, "consent", 0, "sms"),
        (REMINDER, BOTH, "consent", 1, "email"),
        (REMINDER, TEXT, "consent", 1, "sms"),
        (INSTRUCTION, BOTH, "consent", 1, "sms"),
        (LAST_WORD, BOTH, "exemption", 0, "email"),
        (LAST_WORD, TEXT, "exemption", 0, None),
        (INSTRUCTION, BOTH, "exemption", 0, "sms"),
    ],
)
def test_a_text_is_kept_for_the_instruction_of_the_day(
    one: Sendable, reach: frozenset[str], basis: Literal["consent", "exemption"], sent_today: int, channel: str | None
) -> None:
    caps = EXEMPTION if basis == "exemption" else Caps()
    assert route(one, reach, basis, caps, [MONDAY] * sent_today, MONDAY, [MONDAY]).channel == channel


@pytest.mark.parametrize(
    ("one", "reach", "basis", "sent_today", "channel", "reason"),
    [
        (REMINDER, BOTH, "consent", 0, "sms", None),
        (REMINDER, BOTH, "consent", 2, "email", None),
        (REMINDER, TEXT, "consent", 2, None, "over_cap"),
        (INSTRUCTION, TEXT, "consent", 2, "sms", None),
        (INSTRUCTION, BOTH, "consent", 2, "email", None),
        (REMINDER, BOTH, "exemption", 0, "email", None),
        (REMINDER, TEXT, "exemption", 0, None, "exemption"),
        (LAST_WORD, BOTH, "exemption", 0, "sms", None),
        (LAST_WORD, BOTH, "exemption", 1, "email", None),
        (INSTRUCTION, TEXT, "exemption", 1, None, "over_cap"),
        (NEWS, BOTH, "exemption", 0, "email", None),
        (NEWS, TEXT, "exemption", 0, "sms", None),
        (NEWS, TEXT, "exemption", 1, None, "over_cap"),
        (CALLED, frozenset({"voice", "email"}), "exemption", 0, "voice", None),
        (CALLED, frozenset({"voice", "email"}), "exemption", 1, "email", None),
        (NEWS, frozenset(), "consent", 0, None, "no_channel"),
        (Sendable(("email",), "instruction", urgent=False, exempt=False), TEXT, "consent", 0, None, "no_channel"),
    ],
)
def test_by_which_channel(
    one: Sendable, reach: frozenset[str], basis: str, sent_today: int, channel: str | None, reason: str | None
) -> None:
    caps = EXEMPTION if basis == "exemption" else Caps()
    found = route(one, reach, basis, caps, [MONDAY] * sent_today, MONDAY)  # type: ignore[arg-type]
    assert (found.channel, found.reason) == (channel, reason)


@pytest.mark.parametrize(
    ("sent", "kept", "fits"),
    [
        ([], [1, 3, 5], False),
        ([], [3, 5], True),
        ([-1], [3, 5], False),
        ([-1], [5, 6], True),  # the text of yesterday is of no week with the last one
        ([-2, -4], [3], True),
        ([-2, -3], [3], False),
        ([], [7, 8, 9], True),
    ],
)
def test_a_text_is_left_for_each_instruction_of_the_coming_week(
    sent: list[int], kept: list[int], *, fits: bool
) -> None:
    days = [MONDAY + timedelta(days=offset) for offset in (*sent, *kept)]
    assert below(Caps(None, 3), days, MONDAY) is fits
    found = route(LAST_WORD, BOTH, "exemption", EXEMPTION, days[: len(sent)], MONDAY, days[len(sent) :])
    assert found.channel == ("sms" if fits else "email")


SENDABLES = st.sampled_from([REMINDER, LAST_WORD, INSTRUCTION, NEWS])


def test_without_a_cap_nobody_looks_through_what_was_sent() -> None:
    days = iter([MONDAY] * 20)
    assert route(REMINDER, BOTH, "consent", Caps(None, None), days, MONDAY, days).channel == "sms"
    assert len(list(days)) == 20


COURSES = st.lists(st.tuples(st.integers(0, 30), SENDABLES, st.sampled_from([BOTH, TEXT])), max_size=60)


@given(COURSES)
def test_the_law_is_never_overdrawn(course: list[tuple[int, Sendable, frozenset[str]]]) -> None:
    sent: list[date] = []
    for offset, one, reach in sorted(course, key=lambda each: each[0]):
        today = MONDAY + timedelta(days=offset)
        found = route(one, reach, "exemption", EXEMPTION, sent, today)
        assert (found.channel is None) is (found.reason is not None), "sent, or a reason"
        if found.channel == "sms":
            assert one.exempt or reach == TEXT
            sent.append(today)
    for day in sent:
        assert sent.count(day) <= 1
        assert sum(day <= other < day + timedelta(days=7) for other in sent) <= 3


@given(COURSES, st.builds(Caps, st.integers(1, 3), st.none() | st.integers(1, 6)))
def test_the_clinics_own_cap_gives_way_to_what_must_be_known_and_to_nothing_else(
    course: list[tuple[int, Sendable, frozenset[str]]], caps: Caps
) -> None:
    sent: list[date] = []
    for offset, one, reach in sorted(course, key=lambda each: each[0]):
        today = MONDAY + timedelta(days=offset)
        found = route(one, reach, "consent", caps, sent, today)
        assert (found.channel is None) is (found.reason is not None)
        if found.channel == "sms":
            must = one.urgent or one.cls == "instruction"
            assert below(caps, sent, today) or (must and reach == TEXT)
            sent.append(today)
