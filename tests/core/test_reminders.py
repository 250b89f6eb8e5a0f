"""When messages are due: tables of cases by wall clock, and what holds for every visit."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from scheduler.core.civil import to_instant, to_local
from scheduler.core.reminders import (
    CHANNELS,
    Event,
    Owed,
    Recipient,
    Rule,
    Visit,
    parse_rules,
    plan_messages,
    resting,
)

SHIPPED = Path(__file__).parents[2] / "scheduler" / "data" / "message_rules.yaml"
DOCS: list[dict[str, Any]] = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))["rules"]
RULES = parse_rules(DOCS)
NEW_YORK, LONDON, HONOLULU = "America/New_York", "Europe/London", "Pacific/Honolulu"


def at(local: str, zone: str = NEW_YORK) -> datetime:
    return to_instant(datetime.fromisoformat(local), zone, "compatible")


def visit(start: str, zone: str = NEW_YORK, *, minutes: int = 120, fast: int = 0, **facts: Any) -> Visit:
    starts_at = at(start, zone)
    facts = {"kind": "dosing", "solids_minutes": fast * 60 or None} | facts
    return Visit(starts_at, starts_at + timedelta(minutes=minutes), zone, **facts)


def lives_in(zone: str = NEW_YORK, *channels: str) -> Recipient:
    return Recipient(zone, frozenset(channels or CHANNELS))


def plan(
    a_visit: Visit,
    *,
    booked: str,
    to: Recipient | None = None,
    event: Event = "booked",
    rules: tuple[Rule, ...] = RULES,
) -> dict[str, Owed]:
    owed = plan_messages(rules, a_visit, to or lives_in(a_visit.time_zone), at(booked, a_visit.time_zone), event)
    return {one.rule: one for one in owed}


def clock(owed: Owed, zone: str = NEW_YORK) -> str:
    return to_local(owed.due_at, zone).isoformat(timespec="minutes")


def live(owed: dict[str, Owed]) -> set[str]:
    return {key for key, one in owed.items() if one.suppressed is None}


class TestShippedPlan:
    def test_a_visit_without_a_fast_owes_the_plain_reminders(self) -> None:
        owed = plan(visit("2027-01-14T14:00", kind="integration"), booked="2027-01-04T10:00")
        assert {key: clock(one) for key, one in owed.items()} == {
            "booked": "2027-01-04T10:00",
            "remind_72h": "2027-01-11T14:00",
            "remind_24h": "2027-01-13T14:00",
            "day_of": "2027-01-14T11:00",
            "arrival_no_show": "2027-01-14T14:15",
        }
        assert live(owed) == set(owed)

    def test_a_dosing_visit_is_followed_up(self) -> None:
        owed = plan(visit("2027-01-14T14:00", minutes=130), booked="2027-01-04T10:00")
        assert clock(owed["evening_check"]) == "2027-01-14T18:10", "two hours after the end, not at 18:00"
        assert clock(owed["integration_prompt"]) == "2027-01-15T12:10"

    def test_a_follow_up_in_the_night_waits_for_the_morning(self) -> None:
        owed = plan(visit("2027-01-14T17:00", minutes=130), booked="2027-01-04T10:00")
        assert clock(owed["evening_check"]) == "2027-01-15T09:00"

    @pytest.mark.parametrize(
        ("start", "fast", "key", "due"),
        [
            pytest.param("2027-01-14T09:00", 6, "night_before", "2027-01-13T18:00", id="fast from 03:00"),
            pytest.param("2027-01-14T14:00", 6, "night_before", "2027-01-13T18:00", id="fast from 08:00"),
            pytest.param("2027-01-14T14:59", 6, "night_before", "2027-01-13T18:00", id="fast from 08:59"),
            pytest.param("2027-01-14T15:00", 6, "remind_24h", "2027-01-13T15:00", id="fast from 09:00"),
            pytest.param("2027-01-14T11:30", 2, "remind_24h", "2027-01-13T11:30", id="short fast by day"),
            pytest.param("2027-01-14T09:00", 12, "night_before", "2027-01-13T18:00", id="fast from 21:00"),
            pytest.param("2027-01-14T09:00", 11, "night_before", "2027-01-13T18:00", id="fast from 22:00"),
            pytest.param("2027-01-14T09:00", 13, "remind_24h", "2027-01-13T09:00", id="fast from 20:00"),
            pytest.param("2027-01-14T12:00", 24, "remind_24h", "2027-01-12T18:00", id="not 8 h ahead: evening before"),
            pytest.param("2027-01-14T12:00", 16, "remind_24h", "2027-01-13T12:00", id="exactly 8 h ahead"),
        ],
    )
    def test_the_fast_is_announced_in_time(self, start: str, fast: int, key: str, due: str) -> None:
        owed = plan(visit(start, fast=fast), booked="2027-01-04T10:00")
        other = {"night_before": "remind_24h", "remind_24h": "night_before"}[key]
        assert (clock(owed[key]), owed[key].suppressed) == (due, None)
        assert other not in owed, "one of the two says it"

    def test_an_early_visit_has_no_message_at_dawn(self) -> None:
        owed = plan(visit("2027-01-14T11:30", kind="integration"), booked="2027-01-04T10:00")
        assert owed["day_of"].suppressed == "quiet_hours"

    def test_a_course_is_told_of_at_once_and_again_a_week_before_it_begins(self) -> None:
        first = visit("2027-01-14T09:00", fast=6, first_of_course=True)
        owed = plan(first, booked="2027-01-04T10:00", event="course")
        assert {key: clock(one) for key, one in owed.items()} == {
            "course_booked": "2027-01-04T10:00",
            "series_overview": "2027-01-07T09:00",
        }
        late = plan(first, booked="2027-01-08T10:00", event="course")
        assert late["series_overview"].suppressed, "the same again within three days would be noise"
        assert "series_overview" not in plan(first, booked="2027-01-04T10:00")

    @pytest.mark.parametrize("kind", ["cancelled", "correction"])
    def test_a_change_is_told_at_once_and_alone(self, kind: Event) -> None:
        owed = plan(visit("2027-01-14T09:00", fast=6), booked="2027-01-13T16:00", event=kind)
        assert {key: clock(one) for key, one in owed.items()} == {kind: "2027-01-13T16:03"}, "undone by then, unsaid"

    def test_a_moved_visit_owes_its_reminders_anew_and_the_news(self) -> None:
        owed = plan(visit("2027-01-14T14:00", kind="integration"), booked="2027-01-04T10:00", event="rescheduled")
        assert set(owed) == {"rescheduled", "remind_72h", "remind_24h", "day_of", "arrival_no_show"}


class TestBookedLate:
    def test_a_visit_booked_a_day_ahead_does_not_owe_the_72_hour_reminder(self) -> None:
        owed = plan(visit("2027-01-14T14:00", kind="integration"), booked="2027-01-13T14:00")
        assert owed["remind_72h"].suppressed == "past"
        assert live(owed) == {"booked", "remind_24h", "day_of", "arrival_no_show"}

    def test_what_was_due_before_is_sent_at_once_where_it_is_still_of_use(self) -> None:
        owed = plan(visit("2027-01-14T14:00", fast=4), booked="2027-01-14T09:30")
        assert (clock(owed["remind_24h"]), owed["remind_24h"].suppressed) == ("2027-01-14T09:30", None)
        assert "was due 2027-01-13T19:00" in owed["remind_24h"].note
        assert owed["day_of"].suppressed == "merged"
        assert owed["day_of"].note == "said by remind_24h"

    def test_what_is_of_no_use_any_more_is_not(self) -> None:
        owed = plan(visit("2027-01-14T11:30", kind="integration"), booked="2027-01-14T10:00")
        assert owed["remind_24h"].suppressed == "too_late"
        assert live(owed) == {"booked", "arrival_no_show"}

    @pytest.mark.parametrize(
        ("start", "booked", "facts", "called"),
        [
            ("2027-01-14T14:00", "2027-01-14T12:30", {"fast": 4}, {"remind_24h+call": "2027-01-14T12:30"}),
            ("2027-01-14T11:30", "2027-01-14T10:00", {"fast": 6}, {"night_before+call": "2027-01-14T10:00"}),
            (
                "2027-01-14T14:00",
                "2027-01-14T13:20",
                {"modality": "esketamine"},
                {"eske_nasal+call": "2027-01-14T13:20"},
            ),
            ("2027-01-14T14:00", "2027-01-14T12:30", {"has_forms": True}, {"forms_due+call": "2027-01-14T12:30"}),
            ("2027-01-14T14:00", "2027-01-14T14:05", {"fast": 4, "has_forms": True}, {}),
            ("2027-01-14T14:00", "2027-01-14T12:30", {}, {}),
        ],
    )
    def test_what_must_be_done_before_it_and_is_too_late_for_a_message_is_a_call_at_once(
        self, start: str, booked: str, facts: dict[str, Any], called: dict[str, str]
    ) -> None:
        owed = plan(visit(start, **facts), booked=booked)
        calls = {key: one for key, one in owed.items() if key.endswith("+call") and one.suppressed is None}
        assert {key: clock(one) for key, one in calls.items()} == called
        assert all((one.channel, one.expires_at) == ("task", at(start)) for one in calls.values())

    def test_what_is_to_be_done_in_the_last_hours_is_said_as_long_as_it_is_of_use(self) -> None:
        owed = plan(visit("2027-01-14T14:00", modality="esketamine"), booked="2027-01-14T12:30")
        assert (clock(owed["eske_nasal"]), owed["eske_nasal"].suppressed) == ("2027-01-14T12:30", None)
        assert clock(owed["eske_nasal+call"]) == "2027-01-14T13:30"

    def test_the_word_on_eating_goes_at_night_where_it_would_be_of_no_use_in_the_morning(self) -> None:
        owed = plan(visit("2027-01-14T10:30", fast=6), booked="2027-01-14T07:00")
        assert (clock(owed["night_before"]), owed["night_before"].suppressed) == ("2027-01-14T07:00", None)

    def test_a_reminder_is_not_sent_on_the_heels_of_the_confirmation(self) -> None:
        owed = plan(visit("2027-01-14T14:00", kind="integration"), booked="2027-01-11T09:00")
        assert owed["remind_72h"].suppressed == "merged"

    def test_a_reminder_that_quiet_hours_would_move_into_the_past_goes_in_the_morning(self) -> None:
        # Three days before is 08:00; the evening before that has passed, the reminder itself has not.
        alone = tuple(rule for rule in RULES if rule.key == "remind_72h")
        owed = plan(visit("2027-01-14T08:00", kind="integration"), booked="2027-01-10T21:30", rules=alone)
        assert (clock(owed["remind_72h"]), owed["remind_72h"].suppressed) == ("2027-01-11T09:00", None)

    def test_a_visit_entered_afterwards_owes_nothing_before_it(self) -> None:
        owed = plan(visit("2027-01-14T09:00", fast=6), booked="2027-01-14T12:00")
        assert live(owed) == {"evening_check", "next_day_scale", "integration_prompt"}

    def test_a_confirmation_at_night_waits_for_the_morning(self) -> None:
        owed = plan(visit("2027-01-14T14:00", kind="integration"), booked="2027-01-10T22:30")
        assert clock(owed["booked"]) == "2027-01-11T09:00"

    def test_unless_the_morning_is_too_late_to_fast(self) -> None:
        owed = plan(visit("2027-01-14T09:00", fast=6), booked="2027-01-13T22:30")
        assert clock(owed["booked"]) == "2027-01-13T22:30"
        assert clock(owed["night_before"]) == "2027-01-13T22:30", "who must not eat from three is told before"

    def test_or_falls_on_the_visit_itself(self) -> None:
        owed = plan(visit("2027-01-14T09:00", kind="integration"), booked="2027-01-13T22:30")
        assert clock(owed["booked"]) == "2027-01-13T22:30"

    def test_news_of_a_move_counts_from_the_time_the_patient_would_have_come(self) -> None:
        moved = visit("2027-01-20T09:00", kind="integration", previous_starts_at=at("2027-01-14T08:30"))
        owed = plan(moved, booked="2027-01-13T22:30", event="rescheduled")
        assert clock(owed["rescheduled"]) == "2027-01-13T22:33"


class TestDaylightSaving:
    @pytest.mark.parametrize(
        ("zone", "start", "three_days", "one_day"),
        [
            (NEW_YORK, "2027-03-14T12:00", "2027-03-11T12:00", "2027-03-13T12:00"),  # clocks go forward in between
            (NEW_YORK, "2027-11-07T12:00", "2027-11-04T12:00", "2027-11-06T12:00"),  # and back
            (LONDON, "2027-03-28T12:00", "2027-03-25T12:00", "2027-03-27T12:00"),
            (LONDON, "2027-10-31T12:00", "2027-10-28T12:00", "2027-10-30T12:00"),
        ],
    )
    def test_days_keep_the_wall_time(self, zone: str, start: str, three_days: str, one_day: str) -> None:
        owed = plan(visit(start, zone, kind="integration"), booked="2027-02-01T10:00")
        assert (clock(owed["remind_72h"], zone), clock(owed["remind_24h"], zone)) == (three_days, one_day)

    @pytest.mark.parametrize(
        ("zone", "start", "expected"),
        [
            (NEW_YORK, "2027-03-14T14:00", "2027-03-14T11:00"),
            (NEW_YORK, "2027-03-14T04:00", "2027-03-14T00:00"),  # three real hours over the missing one
            (NEW_YORK, "2027-11-07T03:00", "2027-11-07T01:00"),  # and over the repeated one (the first 01:00)
            (LONDON, "2027-03-28T03:00", "2027-03-27T23:00"),
            (LONDON, "2027-10-31T03:00", "2027-10-31T01:00"),
        ],
    )
    def test_hours_are_elapsed(self, zone: str, start: str, expected: str) -> None:
        awake = replace(lives_in(zone), quiet_from=time(), quiet_to=time())
        owed = plan(visit(start, zone, kind="integration"), booked="2027-02-01T10:00", to=awake)
        assert owed["day_of"].due_at == at(start, zone) - timedelta(hours=3)
        assert clock(owed["day_of"], zone) == expected

    def test_a_fast_is_elapsed_and_its_announcement_by_the_wall(self) -> None:
        owed = plan(visit("2027-03-14T09:00", fast=8), booked="2027-02-01T10:00")  # from 00:00 EST, not 01:00
        assert clock(owed["night_before"]) == "2027-03-13T18:00"


class TestChanges:
    @pytest.mark.parametrize("event", ["rescheduled", "course_changed"])
    @pytest.mark.parametrize("booked", ["2027-01-13T19:00", "2027-01-13T17:59"])
    def test_nothing_of_the_new_time_leaves_before_its_news_may(self, booked: str, event: Event) -> None:
        owed = plan(visit("2027-01-14T09:00", fast=6), booked=booked, event=event)
        assert owed["night_before"].due_at == max(owed[event].due_at, at("2027-01-13T18:00"))
        assert owed[event].due_at == at(booked) + timedelta(minutes=3)

    def test_a_reminder_that_says_the_same_as_the_news_yields_unless_it_wants_an_answer(self) -> None:
        near = {"booked": "2027-01-13T10:00", "event": "rescheduled"}
        assert plan(visit("2027-01-14T09:30", kind="integration"), **near)["remind_24h"].suppressed == "merged"
        assert plan(visit("2027-01-14T09:30", fast=6), **near)["night_before"].suppressed is None
        by_day = plan(visit("2027-01-14T16:00", fast=3), booked="2027-01-13T17:00", event="rescheduled")
        assert by_day["remind_24h"].suppressed is None


class TestQuietHours:
    def test_are_the_recipients_own(self) -> None:
        far = plan(visit("2027-01-14T09:00", fast=6), booked="2027-01-04T14:00", to=lives_in(HONOLULU))
        assert clock(far["night_before"]) == "2027-01-13T18:00", "13:00 in Honolulu"
        over = plan(visit("2027-01-14T09:00", fast=6), booked="2027-01-04T10:00", to=lives_in(LONDON))
        assert clock(over["night_before"], LONDON) == "2027-01-13T19:55", "18:00 in New York is 23:00 in London"
        assert "2027-01-13T23:00" in over["night_before"].note
        early = plan(visit("2027-01-14T09:00", kind="integration"), booked="2027-01-04T14:00", to=lives_in(HONOLULU))
        assert clock(early["remind_24h"], HONOLULU) == "2027-01-12T19:55", "earlier, not later"


class TestWhoIsNotTold:
    def test_nobody_is_reached_without_a_channel_and_it_shows(self) -> None:
        nobody = Recipient(NEW_YORK, frozenset())
        owed = plan(visit("2027-01-14T14:00"), booked="2027-01-04T10:00", to=nobody)
        assert {one.suppressed for one in owed.values() if one.channel != "task"} == {"no_channel"}

    def test_the_first_channel_that_is_open_is_taken(self) -> None:
        owed = plan(visit("2027-01-14T14:00"), booked="2027-01-04T10:00", to=lives_in(NEW_YORK, "email"))
        assert {one.channel for one in owed.values()} == {"email", "task"}
        both = plan(visit("2027-01-14T14:00"), booked="2027-01-04T10:00")
        assert (both["booked"].channel, both["remind_24h"].channel) == ("email", "sms")

    def test_a_visit_on_hold_sends_no_instructions_but_its_cancellation(self) -> None:
        held = visit("2027-01-14T09:00", fast=6, held=True)
        owed = plan(held, booked="2027-01-04T10:00")
        assert {owed[key].suppressed for key in ("remind_72h", "night_before")} == {"on_hold"}
        assert live(plan(held, booked="2027-01-04T10:00", event="cancelled")) == {"cancelled"}

    def test_who_has_an_integration_visit_is_not_asked_to_book_one(self) -> None:
        owed = plan(visit("2027-01-14T14:00", passed=frozenset({"integration_booked"})), booked="2027-01-04T10:00")
        assert owed["integration_prompt"].suppressed == "integration_booked"


ZONES = st.sampled_from([NEW_YORK, LONDON, HONOLULU, "Asia/Kolkata", "Pacific/Auckland", "Australia/Lord_Howe"])
INSTANTS = st.integers(0, 3 * 366 * 24 * 12).map(
    lambda steps: datetime(2026, 6, 1, tzinfo=UTC) + timedelta(minutes=5 * steps)
)
VISITS = st.builds(
    lambda starts_at, minutes, zone, kind, solids: Visit(
        starts_at, starts_at + timedelta(minutes=minutes), zone, kind=kind, solids_minutes=solids
    ),
    INSTANTS,
    st.integers(1, 60).map(lambda steps: steps * 5),
    ZONES,
    st.sampled_from(["dosing", "integration"]),
    st.none() | st.integers(0, 24 * 60),
)
RECIPIENTS = st.builds(
    Recipient, ZONES, st.just(frozenset(CHANNELS)), st.integers(18, 23).map(time), st.integers(5, 11).map(time)
)


class TestAlways:
    @given(VISITS, RECIPIENTS, st.integers(0, 40 * 24 * 60))
    def test_what_is_sent_before_a_visit_is_sent_before_it_and_never_at_rest(
        self, a_visit: Visit, to: Recipient, lead: int
    ) -> None:
        now = a_visit.starts_at - timedelta(minutes=lead)
        sides = {rule.key: rule for rule in RULES}
        owed = plan_messages(RULES, a_visit, to, now)
        said = {one.rule for one in owed if one.suppressed is None}
        for one in owed:
            rule = sides[one.of or one.rule]
            if one.channel == "task":
                continue
            if one.suppressed == "too_late" and rule.cls == "instruction" and rule.side == "before" and not one.of:
                assert now >= a_visit.starts_at or f"{rule.key}+call" in said, "nobody would hear of it"
            assert one.due_at >= now or one.suppressed
            assert one.due_at < one.expires_at or one.suppressed
            if one.suppressed is None and rule.side != "after":
                assert one.due_at < a_visit.starts_at
            if one.suppressed is None and rule.quiet != "urgent":
                assert not resting(to, one.due_at)
            if one.suppressed is None and rule.side == "after":
                assert one.due_at >= a_visit.ends_at

    @given(VISITS, RECIPIENTS)
    def test_booked_well_ahead_the_fast_is_announced_before_it_begins(self, a_visit: Visit, to: Recipient) -> None:
        owed = {one.rule: one for one in plan_messages(RULES, a_visit, to, a_visit.starts_at - timedelta(days=30))}
        said = owed.get("night_before") or owed["remind_24h"]
        assert said.suppressed is None
        if a_visit.fast_start is not None:
            assert said.due_at < a_visit.fast_start

    @given(VISITS, RECIPIENTS)
    def test_booked_well_ahead_nothing_comes_after_it_must_have_arrived(self, a_visit: Visit, to: Recipient) -> None:
        a_visit = replace(a_visit, kind="dosing", modality="esketamine", has_forms=True)
        owed = plan_messages(RULES, a_visit, to, a_visit.starts_at - timedelta(days=30))
        assert {one.rule for one in owed} >= {"eske_nasal", "forms_due"}
        for one in owed:
            known = {None, "quiet_hours", "merged", "past", *(["too_late"] if one.of else [])}
            assert one.suppressed in known, "what asks again may have no time left to"
            assert one.suppressed or one.arrive_by is None or one.due_at <= one.arrive_by

    @given(VISITS, RECIPIENTS)
    def test_reminders_come_in_their_order(self, a_visit: Visit, to: Recipient) -> None:
        owed = {one.rule: one for one in plan_messages(RULES, a_visit, to, a_visit.starts_at - timedelta(days=30))}
        order = [owed[key].due_at for key in ("booked", "remind_72h", "night_before", "remind_24h") if key in owed]
        assert order == sorted(order)

    @given(VISITS, RECIPIENTS, st.integers(0, 40 * 24 * 60))
    def test_the_same_question_has_the_same_answer(self, a_visit: Visit, to: Recipient, lead: int) -> None:
        now = a_visit.starts_at - timedelta(minutes=lead)
        assert plan_messages(RULES, a_visit, to, now) == plan_messages(RULES, a_visit, to, now)
