"""Reminders of a visit that has moved: none before the news of it, and none that would only repeat that."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import Engine

from tests.clinic import Clinic
from tests.desk import book
from tests.postroom import by_rule, claim, move, open_postroom, send_all

pytestmark = pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
MONDAY = "2030-03-04 10:00"


@pytest.fixture
def clinic(engine: Engine) -> Clinic:
    return open_postroom(engine)


def test_moved_to_tomorrow_one_text_tells_of_it_and_an_undo_none(clinic: Clinic) -> None:
    visit, now = book(clinic, clinic.patient(), "session", "2030-03-11 09:00").id, clinic.at(MONDAY)
    send_all(clinic, clinic.call.now)
    move(clinic, visit, "2030-03-05 09:00", now=now)
    owed = by_rule(clinic, sequence=1)
    assert (owed["remind_24h"].status, owed["remind_24h"].reason) == ("suppressed", "merged")
    assert claim(clinic, now + timedelta(minutes=2)) == (), "it may still be undone"
    move(clinic, visit, "2030-03-11 09:00", now=now + timedelta(minutes=2))
    assert claim(clinic, now + timedelta(minutes=10)) == ()
    assert by_rule(clinic, sequence=2)["remind_24h"].status == "pending"


def test_moved_by_days_the_news_stands_for_the_reminder_of_half_a_day_later(clinic: Clinic) -> None:
    visit = book(clinic, clinic.patient(), "session", "2030-03-11 09:00").id
    send_all(clinic, clinic.call.now)
    move(clinic, visit, "2030-03-07 14:00", now=clinic.at(MONDAY))
    owed = by_rule(clinic, sequence=1)
    assert (owed["remind_72h"].status, owed["remind_72h"].reason) == ("suppressed", "merged")
    assert owed["rescheduled"].status == owed["remind_24h"].status == "pending"


def test_when_to_fast_is_asked_to_be_confirmed_all_the_same(clinic: Clinic) -> None:
    visit, evening = book(clinic, clinic.patient(), "fasted", "2030-03-11 09:00").id, clinic.at("2030-03-04 18:30")
    send_all(clinic, clinic.call.now)
    move(clinic, visit, "2030-03-05 09:00", now=evening)
    assert claim(clinic, evening + timedelta(minutes=2)) == ()
    told = claim(clinic, evening + timedelta(minutes=3))
    assert {letter.kind for letter in told} == {"rescheduled", "night_before"}


def test_where_one_text_is_left_it_tells_of_the_move(engine: Engine) -> None:
    clinic = open_postroom(engine, caps={"per_day": 1})
    visit, evening = book(clinic, clinic.patient(), "fasted", "2030-03-11 09:00").id, clinic.at("2030-03-04 18:30")
    send_all(clinic, clinic.call.now)
    move(clinic, visit, "2030-03-05 09:00", now=evening)
    told = {letter.kind: letter.channel for letter in claim(clinic, evening + timedelta(minutes=3))}
    assert told == {"rescheduled": "sms", "night_before": "email"}
