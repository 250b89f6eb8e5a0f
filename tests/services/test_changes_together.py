"""Single changes of one patient's visits within minutes: one message that tells of all. On both databases."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, update
from sqlalchemy.orm import Session

from scheduler.messaging.gsm7 import LIMIT, septets
from scheduler.models import Message
from scheduler.services import message_rules, outbox, series, shipped
from scheduler.services.outbox import Letter
from tests.clinic import Clinic
from tests.desk import book, wanted
from tests.postroom import begin, cancel, claim, messages, move, open_postroom, send_all, settle

MINUTE = timedelta(minutes=1)
FIRST, SECOND = "2030-03-11 09:00", "2030-03-18 09:00"


@pytest.fixture
def clinic(engine: Engine) -> Clinic:
    return open_postroom(engine)


@pytest.fixture
def patient(clinic: Clinic) -> UUID:
    return clinic.patient()


@pytest.fixture
def visits(clinic: Clinic, patient: UUID) -> list[UUID]:
    """Two visits of no course, of each of which the patient has been told."""
    made = [book(clinic, patient, "session", start).id for start in (FIRST, SECOND)]
    send_all(clinic, clinic.call.now)
    return made


def news(clinic: Clinic, now: datetime) -> list[Letter]:
    kinds = {"booked", "rescheduled", "cancelled", "course_changed", "correction"}
    return [letter for letter in claim(clinic, now) if letter.kind in kinds and "copies" not in letter.context]


def turns(letter: Letter) -> list[tuple[datetime | None, datetime | None]]:
    return [(turn.was, turn.now) for turn in letter.turns]


def test_two_moves_within_minutes_are_one_message(clinic: Clinic, visits: list[UUID]) -> None:
    """By the channel that each would have gone by, three minutes after the last, with the old times and the new."""
    now = clinic.call.now
    move(clinic, visits[0], "2030-03-12 10:00")
    move(clinic, visits[1], "2030-03-19 11:00", now=now + 2 * MINUTE)
    assert news(clinic, now + 4 * MINUTE) == []
    (letter,) = news(clinic, now + 5 * MINUTE)
    assert (letter.kind, letter.channel) == ("course_changed", "sms")
    assert turns(letter) == [
        (clinic.at(FIRST), clinic.at("2030-03-12 10:00")),
        (clinic.at(SECOND), clinic.at("2030-03-19 11:00")),
    ]
    text = outbox.in_words(letter, now).body
    assert septets(text) <= LIMIT
    for said in ("Mar 11 09:00", "Mar 12 10:00", "Mar 18 09:00", "Mar 19 11:00"):
        assert said in text
    assert {row.reason for row in messages(clinic, Message.kind == "rescheduled")} == {"merged"}


def test_a_move_and_a_cancellation_are_one_message(clinic: Clinic, visits: list[UUID]) -> None:
    move(clinic, visits[0], "2030-03-12 10:00")
    cancel(clinic, visits[1])
    (letter,) = news(clinic, clinic.call.now + 3 * MINUTE)
    assert turns(letter) == [(clinic.at(FIRST), clinic.at("2030-03-12 10:00")), (clinic.at(SECOND), None)]


def test_a_third_change_and_a_change_of_one_of_them_join(clinic: Clinic, patient: UUID, visits: list[UUID]) -> None:
    now, third = clinic.call.now, "2030-03-04 09:00"
    visits.append(book(clinic, patient, "session", third).id)
    send_all(clinic, now)
    move(clinic, visits[0], "2030-03-12 10:00")
    cancel(clinic, visits[1])
    cancel(clinic, visits[2], now=now + MINUTE)
    move(clinic, visits[0], "2030-03-13 10:00", now=now + MINUTE)
    (letter,) = news(clinic, now + 4 * MINUTE)
    assert set(turns(letter)) == {
        (clinic.at(third), None),
        (clinic.at(FIRST), clinic.at("2030-03-13 10:00")),
        (clinic.at(SECOND), None),
    }


def test_what_is_as_it_was_again_is_not_told(clinic: Clinic, visits: list[UUID]) -> None:
    """Nor later given for a time that the patient knew."""
    now = clinic.call.now
    move(clinic, visits[0], "2030-03-12 10:00")
    cancel(clinic, visits[1])
    move(clinic, visits[0], FIRST)
    (letter,) = news(clinic, now + 3 * MINUTE)
    assert turns(letter) == [(clinic.at(SECOND), None)]
    assert begin(clinic, letter, now + 3 * MINUTE)
    settle(clinic, letter, now + 3 * MINUTE)
    move(clinic, visits[0], "2030-03-13 10:00", now=now + 4 * MINUTE)
    (letter,) = news(clinic, now + 7 * MINUTE)
    assert (letter.kind, letter.previous) == ("rescheduled", clinic.at(FIRST))


def test_what_has_left_is_not_told_again(clinic: Clinic, visits: list[UUID]) -> None:
    now = clinic.call.now
    move(clinic, visits[0], "2030-03-12 10:00")
    send_all(clinic, now + 3 * MINUTE)
    move(clinic, visits[1], "2030-03-19 11:00", now=now + 4 * MINUTE)
    (letter,) = news(clinic, now + 7 * MINUTE)
    assert (letter.kind, letter.about) == ("rescheduled", clinic.at("2030-03-19 11:00"))


def test_another_patients_news_is_their_own(clinic: Clinic, visits: list[UUID]) -> None:
    other = book(clinic, clinic.patient(), "session", "2030-03-11 14:00").id
    send_all(clinic, clinic.call.now)
    move(clinic, visits[0], "2030-03-12 10:00")
    move(clinic, other, "2030-03-12 14:00")
    assert [letter.kind for letter in news(clinic, clinic.call.now + 3 * MINUTE)] == ["rescheduled"] * 2


def test_a_late_cancellation_does_not_take_the_news_of_another_along(clinic: Clinic, visits: list[UUID]) -> None:
    """Of a visit that has begun nobody is told; the move beside it is told all the same."""
    late = clinic.at(FIRST) + 5 * MINUTE
    move(clinic, visits[1], "2030-03-19 11:00", now=late)
    cancel(clinic, visits[0], now=late)
    (letter,) = news(clinic, late + 3 * MINUTE)
    assert (clinic.at(SECOND), clinic.at("2030-03-19 11:00")) in turns(letter)


def test_moved_and_then_cancelled_speaks_of_the_time_that_was_told(clinic: Clinic, visits: list[UUID]) -> None:
    move(clinic, visits[0], "2030-03-12 10:00")
    cancel(clinic, visits[0])
    (letter,) = news(clinic, clinic.call.now + 3 * MINUTE)
    assert (letter.kind, letter.about) == ("cancelled", clinic.at(FIRST))


def test_what_was_to_be_a_part_of_the_news_speaks_for_itself(clinic: Clinic, patient: UUID) -> None:
    """A reminder that the news of a move would have said, which is shorter when it tells of several."""
    made = [book(clinic, patient, "session", start).id for start in (FIRST, SECOND)]
    send_all(clinic, clinic.call.now)
    now = clinic.at("2030-03-08 15:30")
    claim(clinic, now)
    for visit, start in zip(made, ("2030-03-11 16:00", "2030-03-11 10:00"), strict=True):
        move(clinic, visit, start, now=now)
    said = [row for row in messages(clinic, Message.sequence == 1) if row.rule == "remind_72h"]
    assert [row.status for row in said if row.appointment_id == made[0]] == ["pending"]


def test_of_an_earlier_time_nothing_speaks_again(clinic: Clinic, patient: UUID) -> None:
    """What the news of a first move would have said was said of that time, which a second move has ended."""
    made = [book(clinic, patient, "session", start).id for start in (FIRST, SECOND)]
    send_all(clinic, clinic.call.now)
    now = clinic.at("2030-03-08 15:30")
    claim(clinic, now)
    starts = ("2030-03-11 16:00", "2030-03-11 16:10", "2030-03-11 10:00")
    for visit, start in zip((made[0], *made), starts, strict=True):
        move(clinic, visit, start, now=now)
    waiting = messages(clinic, Message.appointment_id == made[0], Message.status == "pending")
    assert {row.sequence for row in waiting} == {2}
    assert "remind_72h" in {row.rule for row in waiting}


def test_corrections_go_with_it(clinic: Clinic, visits: list[UUID]) -> None:
    """What was on its way as the visit moved is taken back by the one message."""
    due = clinic.at("2030-03-08 09:00")
    leaving = [letter for letter in claim(clinic, due) if letter.kind == "remind_72h"]
    assert all(begin(clinic, letter, due) for letter in leaving)
    assert leaving
    move(clinic, visits[0], "2030-03-12 10:00", now=due)
    move(clinic, visits[1], "2030-03-19 11:00", now=due)
    (letter,) = news(clinic, due + 3 * MINUTE)
    assert {row.merged_into for row in messages(clinic, Message.kind == "correction")} == {letter.id}


def test_the_budget_counts_one(engine: Engine) -> None:
    """Under the exemption, for whoever has no address for mail and may not be texted twice a day."""
    clinic = open_postroom(engine, basis="exemption", caps={"per_day": 1})
    rules = [rule | ({"exempt": True} if rule["kind"] in CHANGES else {}) for rule in shipped.message_rules()]
    clinic.do(lambda s, c: message_rules.change(s, c, rules))
    patient = clinic.patient(contacts=[{"channel": "sms", "value": "+12025550123"}])
    made = [book(clinic, patient, "session", start).id for start in (FIRST, SECOND)]
    with Session(clinic.engine) as session, session.begin():
        session.execute(update(Message).where(Message.rule == "booked").values(status="sent", sent_at=clinic.call.now))
    now = clinic.call.now + timedelta(days=1)
    move(clinic, made[0], "2030-03-12 10:00", now=now)
    cancel(clinic, made[1], now=now)
    (letter,) = news(clinic, now + 3 * MINUTE)
    assert (letter.channel, len(letter.turns)) == ("sms", 2)


CHANGES = {"rescheduled", "cancelled", "course_changed"}


def test_where_no_rule_tells_of_several_each_is_told(clinic: Clinic, visits: list[UUID]) -> None:
    rules: list[Any] = [rule | {"enabled": rule["key"] != "course_changed"} for rule in shipped.message_rules()]
    clinic.do(lambda s, c: message_rules.change(s, c, rules))
    move(clinic, visits[0], "2030-03-12 10:00")
    cancel(clinic, visits[1])
    assert {letter.kind for letter in news(clinic, clinic.call.now + 3 * MINUTE)} == {"rescheduled", "cancelled"}


def test_a_change_of_several_takes_along_what_waits_of_one(clinic: Clinic, patient: UUID, visits: list[UUID]) -> None:
    """From where the patient believes each to be: also a visit that moved alone before it moved with the others."""
    asked = wanted(clinic, patient, "session", "2030-03-13 09:00")
    made, _ = clinic.do(lambda s, c: series.create(s, c, asked, "FREQ=WEEKLY;COUNT=2"))
    weekly = [each.id for each in made.appointments]
    send_all(clinic, clinic.call.now)
    move(clinic, visits[0], "2030-03-12 10:00")
    move(clinic, weekly[1], "2030-03-21 11:00")
    clinic.do(lambda s, c: series.reschedule(s, c, weekly[0], "all", clinic.at("2030-03-14 10:00")))
    (letter,) = news(clinic, clinic.call.now + 3 * MINUTE)
    assert turns(letter) == [
        (clinic.at(FIRST), clinic.at("2030-03-12 10:00")),
        (clinic.at("2030-03-13 09:00"), clinic.at("2030-03-14 10:00")),
        (clinic.at("2030-03-20 09:00"), clinic.at("2030-03-22 10:00")),
    ]
