"""From claimed to delivered: leases, retries, ends, and a cancellation at the worst moment. On both databases."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, update
from sqlalchemy.orm import Session

from scheduler.models import Message
from scheduler.services import message_acts, opt_outs, outbox, visit_day
from tests.clinic import Clinic
from tests.desk import book
from tests.postroom import (
    LEASE,
    begin,
    by_rule,
    cancel,
    claim,
    messages,
    move,
    only,
    open_postroom,
    set_state,
    settle,
)

MONDAY = "2030-03-11 09:00"
MINUTE = timedelta(minutes=1)
UNDO = 3 * MINUTE


@pytest.fixture
def clinic(engine: Engine) -> Clinic:
    return open_postroom(engine)


def booked(clinic: Clinic, code: str = "fasted", start: str = MONDAY, **patient: Any) -> UUID:
    return book(clinic, clinic.patient(**patient), code, start).id


class TestDelivering:
    @pytest.fixture
    def letter(self, clinic: Clinic) -> Any:
        booked(clinic)
        (letter,) = claim(clinic, clinic.call.now)
        return letter

    def test_sent_is_the_end_of_it(self, clinic: Clinic, letter: Any) -> None:
        now = clinic.call.now
        assert begin(clinic, letter, now)
        assert settle(clinic, letter, now + MINUTE)
        row = only(clinic, "booked")
        assert (row.status, row.sent_at, row.provider_id) == ("sent", now + MINUTE, "p-1")
        assert (row.sent_to, row.attempts, row.token) == ("pat@example.org", 1, None)
        assert row.body == {"subject": "s", "body": "b", "locale": "en"}
        assert claim(clinic, now + timedelta(days=1)) == ()

    def test_beginning_renews_the_lease(self, clinic: Clinic, letter: Any) -> None:
        later = clinic.call.now + LEASE - timedelta(seconds=1)
        assert begin(clinic, letter, later)
        assert claim(clinic, later + LEASE - timedelta(seconds=1)) == ()

    def test_only_the_holder_may_say_how_it_went(self, clinic: Clinic, letter: Any) -> None:
        now = clinic.call.now
        assert begin(clinic, letter, now)
        (heir,) = claim(clinic, now + LEASE)
        assert not settle(clinic, letter, now + LEASE)
        assert only(clinic, "booked").status == "sending"
        assert begin(clinic, heir, now + LEASE)
        assert settle(clinic, heir, now + LEASE)

    def test_whoever_lost_the_lease_begins_gives_back_and_fails_nothing(self, clinic: Clinic, letter: Any) -> None:
        later = clinic.call.now + LEASE
        (heir,) = claim(clinic, later)
        assert not begin(clinic, letter, later)
        assert not settle(clinic, letter, later, "busy")
        clinic.do(lambda s, c: outbox.turn(s, c, (), [letter], (), LEASE))
        row = only(clinic, "booked")
        assert (row.status, row.token, row.attempts) == ("sending", heir.token, 0)
        assert begin(clinic, heir, later)

    def test_whose_address_wants_none_of_its_class_since_is_reached_another_way(
        self, clinic: Clinic, letter: Any
    ) -> None:
        """Nothing else of the patient has changed: only that address was closed, as a link in a letter does."""
        now, mine = clinic.call.now, letter.context["class"]
        clinic.do(lambda s, c: opt_outs.close(s, c, letter.to, "check_in" if mine != "check_in" else "change", "page"))
        clinic.do(lambda s, c: opt_outs.close(s, c, "somebody@example.org", mine, "page"))
        assert begin(clinic, letter, now), "of another class, or another's address"
        settle(clinic, letter, now, "busy")
        (letter,) = claim(clinic, now + MINUTE)
        clinic.do(lambda s, c: opt_outs.close(s, c, letter.to, mine, "page"))
        assert not begin(clinic, letter, now + MINUTE)
        assert [each.channel for each in claim(clinic, now + MINUTE)] == ["sms"]

    def test_what_failed_for_now_is_tried_again_later_and_later(self, clinic: Clinic, letter: Any) -> None:
        now, pauses = clinic.call.now, []
        while True:
            assert begin(clinic, letter, now)
            settle(clinic, letter, now, "busy")
            row = only(clinic, "booked")
            pauses.append(row.due_at - now)
            assert (row.status, row.reason, row.token) == ("pending", "busy", None)
            now = row.due_at
            if len(pauses) > 11:
                break
            (letter,) = [each for each in claim(clinic, now) if each.kind == "booked"] or [None]
            if letter is None:  # it fell into the night, and waits for the morning
                now = only(clinic, "booked").due_at
                (letter,) = [each for each in claim(clinic, now) if each.kind == "booked"]
        assert pauses[:5] == [MINUTE, 2 * MINUTE, 4 * MINUTE, 8 * MINUTE, 16 * MINUTE]
        assert max(pauses) == 6 * 60 * MINUTE

    def test_until_it_is_of_no_use(self, clinic: Clinic) -> None:
        booked(clinic, "session", MONDAY)
        late = clinic.at("2030-03-09 19:30")  # remind_72h is of no use from 20:00 on
        with Session(clinic.engine) as session, session.begin():
            session.execute(update(Message).where(Message.rule == "remind_72h").values(due_at=late, attempts=6))
        (letter,) = [each for each in claim(clinic, late) if each.kind == "remind_72h"]
        assert begin(clinic, letter, late)
        settle(clinic, letter, late, "busy")
        row = only(clinic, "remind_72h")
        assert (row.status, row.due_at) == ("pending", row.expires_at), "the end is said as soon as it is known"
        claim(clinic, row.expires_at)
        row = only(clinic, "remind_72h")
        assert (row.status, row.reason) == ("expired_unsent", "busy")

    def test_what_failed_for_good_goes_the_next_way_and_is_not_tried_again(self, clinic: Clinic, letter: Any) -> None:
        now = clinic.call.now
        assert begin(clinic, letter, now)
        settle(clinic, letter, now, "no such address", permanent=True)
        row = only(clinic, "booked")
        assert (row.status, row.channel, row.reason) == ("pending", "sms", "no such address")
        (other,) = claim(clinic, now)
        assert (other.id, other.to) == (letter.id, "+12025550123")
        assert begin(clinic, other, now)
        assert not settle(clinic, letter, now, "late", permanent=True), "whose lease is over has no say"
        settle(clinic, other, now, "no such number", permanent=True)
        row = only(clinic, "booked")
        assert (row.status, row.reason) == ("failed", "no such number")
        assert claim(clinic, now + timedelta(days=1)) == ()

    def test_what_was_not_begun_can_be_given_back(self, clinic: Clinic, letter: Any) -> None:
        clinic.do(lambda s, c: outbox.turn(s, c, (), [letter], (), LEASE))
        (again,) = claim(clinic, clinic.call.now)
        assert again.id == letter.id
        assert again.attempts == 0


class TestCancelAgainstDelivery:
    @pytest.fixture
    def visit(self, clinic: Clinic) -> UUID:
        return booked(clinic)

    def test_a_cancellation_before_the_start_of_delivery_prevents_it(self, clinic: Clinic, visit: UUID) -> None:
        now = clinic.call.now
        (letter,) = claim(clinic, now)
        cancel(clinic, visit, now=now)
        assert not begin(clinic, letter, now)
        assert (only(clinic, "booked").status, only(clinic, "booked").reason) == ("suppressed", "cancelled")
        assert {row.rule for row in messages(clinic, Message.sequence == 1)} == {"cancelled"}, "nothing to correct"

    def test_also_one_of_a_second_try(self, clinic: Clinic, visit: UUID) -> None:
        now = clinic.call.now
        (letter,) = claim(clinic, now)
        assert begin(clinic, letter, now)
        settle(clinic, letter, now, "the answer never came")
        (letter,) = claim(clinic, now + MINUTE)
        cancel(clinic, visit, now=now + MINUTE)
        assert not begin(clinic, letter, now + MINUTE)
        assert (only(clinic, "booked").status, only(clinic, "booked").reason) == ("suppressed", "cancelled")
        owed = {row.rule for row in messages(clinic, Message.sequence == 1)}
        assert owed == {"cancelled", "correction"}, "the first try may have arrived"

    @pytest.mark.parametrize("unsure", [True, False])
    @pytest.mark.parametrize("how", ["cancelled", "moved", "entered in error"])
    def test_a_first_try_that_nobody_answered_is_corrected_between_two(
        self, clinic: Clinic, visit: UUID, how: str, *, unsure: bool
    ) -> None:
        """It waits for its second try, and may have arrived by the first."""
        now = clinic.call.now
        (letter,) = claim(clinic, now)
        assert begin(clinic, letter, now)
        settle(clinic, letter, now, "no answer", unsure=unsure)
        if how == "cancelled":
            cancel(clinic, visit, now=now)
        elif how == "moved":
            move(clinic, visit, "2030-03-12 11:00")
        else:
            clinic.do(lambda s, c: visit_day.enter_in_error(s, c, visit, reason="the wrong patient"), now=now)
        assert only(clinic, "booked").status == "suppressed"
        owed = {row.rule for row in messages(clinic, Message.sequence == 1)}
        assert ("correction" in owed) is unsure
        told = {each.kind for each in claim(clinic, now + UNDO)} & {"cancelled", "rescheduled", "correction"}
        news = {"cancelled": {"cancelled"}, "moved": {"rescheduled"}}.get(how, {"correction"} if unsure else set())
        assert told == news, "which says it where there is news"

    def test_one_after_it_owes_a_correction(self, clinic: Clinic, visit: UUID) -> None:
        now = clinic.call.now
        (letter,) = claim(clinic, now)
        assert begin(clinic, letter, now)
        cancel(clinic, visit, now=now)
        assert only(clinic, "booked").status == "sending"
        settle(clinic, letter, now)
        assert only(clinic, "booked").status == "sent", "the truth is that it left"
        owed = by_rule(clinic, sequence=1)
        assert set(owed) == {"cancelled", "correction"}
        (told,) = claim(clinic, now + UNDO)
        assert (told.kind, told.also) == ("cancelled", ()), "the patient hears once that it does not take place"
        assert owed["correction"].merged_into == told.id
        assert begin(clinic, told, now + UNDO)
        settle(clinic, told, now + UNDO)
        assert {each.kind for each in claim(clinic, now + 2 * UNDO)} == {"cancelled"}, "the calendar is told by mail"

    def test_a_correction_goes_its_own_way_where_the_news_does_not(self, clinic: Clinic, visit: UUID) -> None:
        now = clinic.call.now
        (letter,) = claim(clinic, now)
        assert begin(clinic, letter, now)
        cancel(clinic, visit, now=now)
        settle(clinic, letter, now)
        news = only(clinic, "cancelled", sequence=1)
        clinic.do(lambda s, c: message_acts.cancel(s, c, news.id, reason="said by telephone"))
        (correction,) = claim(clinic, now + UNDO)
        assert (correction.kind, correction.about) == ("correction", clinic.at(MONDAY))

    def test_a_delivery_that_failed_after_it_is_not_repeated(self, clinic: Clinic, visit: UUID) -> None:
        now = clinic.call.now
        (letter,) = claim(clinic, now)
        assert begin(clinic, letter, now)
        cancel(clinic, visit, now=now)
        settle(clinic, letter, now, "busy")
        assert (only(clinic, "booked").status, only(clinic, "booked").reason) == ("suppressed", "cancelled")

    def test_nor_is_one_whose_worker_died(self, clinic: Clinic, visit: UUID) -> None:
        now = clinic.call.now
        (letter,) = claim(clinic, now)
        assert begin(clinic, letter, now)
        cancel(clinic, visit, now=now)
        (told,) = claim(clinic, now + UNDO)
        assert told.kind == "cancelled"
        assert only(clinic, "correction", sequence=1).merged_into == told.id
        assert only(clinic, "booked").status == "suppressed"

    def test_a_move_corrects_the_old_time_and_tells_the_new(self, clinic: Clinic, visit: UUID) -> None:
        now = clinic.call.now
        (letter,) = claim(clinic, now)
        assert begin(clinic, letter, now)
        move(clinic, visit, "2030-03-12 11:00")
        (told,) = [each for each in claim(clinic, now + UNDO) if each.kind in {"correction", "rescheduled"}]
        assert (told.kind, told.previous) == ("rescheduled", clinic.at(MONDAY)), "which takes back the old time as well"
        assert told.about == clinic.at("2030-03-12 11:00")
        assert only(clinic, "correction", sequence=1).merged_into == told.id

    def test_one_that_never_began_again_is_told_when_the_visit_comes_back(self, clinic: Clinic, visit: UUID) -> None:
        """In hand and called off, it may have left or not: whoever has not surely been told is told."""
        now = clinic.call.now
        (letter,) = claim(clinic, now)
        assert begin(clinic, letter, now)
        settle(clinic, letter, now, "the answer never came")
        (letter,) = claim(clinic, now + MINUTE)
        cancel(clinic, visit, now=now + MINUTE)
        clinic.do(lambda s, c: visit_day.undo(s, c, visit), now=now + MINUTE)
        assert not begin(clinic, letter, now + MINUTE)
        assert only(clinic, "booked", sequence=0).status == "suppressed"
        assert {each.kind for each in claim(clinic, now + UNDO)} == {"booked"}

    @pytest.mark.parametrize("moment", ["before", "after"])
    def test_one_that_has_surely_left_is_not_told_again(self, clinic: Clinic, visit: UUID, moment: str) -> None:
        now = clinic.call.now
        (letter,) = claim(clinic, now)
        assert begin(clinic, letter, now)
        if moment == "before":
            settle(clinic, letter, now)
        cancel(clinic, visit, now=now)
        if moment == "after":
            settle(clinic, letter, now)
        clinic.do(lambda s, c: visit_day.undo(s, c, visit), now=now)
        assert not claim(clinic, now + 2 * UNDO)

    def test_a_correction_does_not_outlive_what_it_was_to_correct(self, clinic: Clinic, visit: UUID) -> None:
        now = clinic.call.now
        (letter,) = claim(clinic, now)
        assert begin(clinic, letter, now)
        cancel(clinic, visit, now=now)
        clinic.do(lambda s, c: visit_day.undo(s, c, visit), now=now)
        assert {row.status for row in messages(clinic, Message.sequence == 1)} == {"suppressed"}

    def test_the_visit_is_looked_at_once_more_even_where_nothing_was_called_off(
        self, clinic: Clinic, visit: UUID
    ) -> None:
        (letter,) = claim(clinic, clinic.call.now)
        set_state(clinic, visit, status="noshow")
        assert not begin(clinic, letter, clinic.call.now)
        assert (only(clinic, "booked").status, only(clinic, "booked").reason) == ("suppressed", "noshow")

    def test_a_delivery_does_not_begin_when_it_is_of_no_use_any_more(self, clinic: Clinic, visit: UUID) -> None:
        over = only(clinic, "booked").expires_at
        (letter,) = [each for each in claim(clinic, over - LEASE / 2) if each.kind == "booked"]
        assert not begin(clinic, letter, over)
        assert only(clinic, "booked").status == "expired_unsent"
        assert visit
