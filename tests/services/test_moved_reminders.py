"""Reminders of a visit that has moved: none before the news of it, and none that would only repeat that."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import Engine, update
from sqlalchemy.orm import Session

from scheduler.models import Message
from scheduler.services import outbox, visit_day
from tests.clinic import Clinic
from tests.desk import book
from tests.postroom import begin, by_rule, claim, move, open_postroom, send_all, settle

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


def test_when_to_fast_is_said_by_the_news_and_asked_to_be_confirmed_all_the_same(clinic: Clinic) -> None:
    """Two texts that said nearly the same came at one moment."""
    visit, evening = book(clinic, clinic.patient(), "fasted", "2030-03-11 09:00").id, clinic.at("2030-03-04 18:30")
    send_all(clinic, clinic.call.now)
    move(clinic, visit, "2030-03-05 09:00", now=evening)
    assert claim(clinic, evening + timedelta(minutes=2)) == ()
    now = evening + timedelta(minutes=3)
    (news,) = claim(clinic, now)
    assert (news.kind, news.channel) == ("rescheduled", "sms")
    assert "From 03:00 clear liquids only, from 07:00 nothing." in outbox.in_words(news, evening).body
    night = by_rule(clinic, sequence=1)["night_before"]
    assert (night.reason, night.merged_into) == ("merged", news.id)
    assert begin(clinic, news, now)
    assert settle(clinic, news, now)
    send_all(clinic, now)  # its copy, for the calendar
    owed = by_rule(clinic, sequence=1)
    assert owed["night_before+email"].merged_into == owed["rescheduled+email"].id, "and once over this channel too"
    assert owed["night_before+call"].status == "pending", "nobody has said yet that they read it"
    clinic.do(lambda s, c: visit_day.confirm(s, c, visit), now=evening + timedelta(minutes=40))
    assert by_rule(clinic, sequence=1)["night_before+call"].reason == "confirmed"


def test_when_to_fast_goes_its_own_way_where_the_news_does_not(clinic: Clinic) -> None:
    visit, evening = book(clinic, clinic.patient(), "fasted", "2030-03-11 09:00").id, clinic.at("2030-03-04 18:30")
    send_all(clinic, clinic.call.now)
    move(clinic, visit, "2030-03-05 09:00", now=evening)
    (news,) = [each for each in claim(clinic, evening + timedelta(minutes=3)) if each.kind == "rescheduled"]
    late = evening + timedelta(minutes=4)
    with Session(clinic.engine) as session, session.begin():  # the worker is dead by then, and its message too old
        session.execute(update(Message).where(Message.id == news.id).values(expires_at=late))
    claim(clinic, late)
    assert [each.kind for each in claim(clinic, late)] == ["night_before"]


def test_moved_at_noon_the_evening_before_is_told_in_the_evening(clinic: Clinic) -> None:
    visit, noon = book(clinic, clinic.patient(), "fasted", "2030-03-11 09:00").id, clinic.at("2030-03-04 12:00")
    send_all(clinic, clinic.call.now)
    move(clinic, visit, "2030-03-05 09:00", now=noon)
    send_all(clinic, noon + timedelta(minutes=3))
    assert "night_before" in {letter.kind for letter in claim(clinic, clinic.at("2030-03-04 18:00"))}


def test_where_one_text_is_left_it_tells_of_the_move(engine: Engine) -> None:
    clinic = open_postroom(engine, caps={"per_day": 1})
    visit, evening = book(clinic, clinic.patient(), "fasted", "2030-03-11 09:00").id, clinic.at("2030-03-04 18:30")
    send_all(clinic, clinic.call.now)
    move(clinic, visit, "2030-03-05 09:00", now=evening)
    told = {letter.kind: letter.channel for letter in claim(clinic, evening + timedelta(minutes=3))}
    assert told == {"rescheduled": "sms"}, "with the word on eating"
    assert by_rule(clinic, sequence=1)["night_before"].reason == "merged"
