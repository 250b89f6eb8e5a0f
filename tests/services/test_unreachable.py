"""A patient whom no message reaches: a person is asked, once for each visit, until some channel is open."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from scheduler.models import Message, Task
from scheduler.services import outbox, patients, series, two_way
from scheduler.services.two_way import Incoming
from tests.clinic import Clinic
from tests.desk import book, wanted
from tests.postroom import cancel, claim, messages, move, open_postroom

MAIL = {"channel": "email", "value": "pat@example.org"}
TEXT = {"channel": "sms", "value": "+12025550123"}
DAY = timedelta(days=1)
one_database = pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)


@pytest.fixture
def clinic(engine: Engine) -> Clinic:
    return open_postroom(engine)


def booked(clinic: Clinic, **patient: Any) -> tuple[UUID, UUID]:
    patient_id = clinic.patient(**patient)
    return book(clinic, patient_id, "fasted", "2030-03-11 09:00").id, patient_id


def calls(clinic: Clinic, status: str = "open") -> list[UUID | None]:
    """The visits of whose patients somebody is to call, as the tasks say."""
    mine = Task.organization_id == clinic.call.organization_id, Task.kind == "patient_unreachable"
    with Session(clinic.engine) as session:
        return list(session.scalars(select(Task.appointment_id).where(*mine, Task.status == status)))


def test_one_task_for_each_visit_until_a_channel_appears(clinic: Clinic) -> None:
    visit, patient = booked(clinic, contacts=[])
    assert claim(clinic, clinic.call.now) == ()
    assert calls(clinic) == [visit], "one for the visit, not one for each message"
    assert claim(clinic, clinic.call.now + 9 * DAY) == ()
    assert calls(clinic) == [visit]
    clinic.do(lambda s, c: patients.change(s, c, patient, 1, {"contacts": [MAIL]}))
    assert (calls(clinic), calls(clinic, "dismissed")) == ([], [visit])
    (news,) = claim(clinic, clinic.call.now)
    assert (news.kind, news.channel, news.to) == ("booked", "email", "pat@example.org"), "late, and still of use"
    clinic.do(outbox.review)
    waiting = {row.kind for row in messages(clinic, Message.status == "pending", Message.channel != "task")}
    assert waiting >= {"remind_72h", "night_before", "d_instructions"}


@one_database
def test_a_visit_that_moves_asks_again_and_one_that_is_off_no_more(clinic: Clinic) -> None:
    visit, _ = booked(clinic, contacts=[])
    claim(clinic, clinic.call.now)
    move(clinic, visit, "2030-03-12 09:00")
    assert calls(clinic) == []
    claim(clinic, clinic.call.now + 8 * DAY)
    assert calls(clinic) == [visit]
    cancel(clinic, visit, now=clinic.call.now + 8 * DAY)
    assert calls(clinic) == []


@one_database
def test_a_channel_that_appears_before_anybody_was_asked_is_enough(clinic: Clinic) -> None:
    _, patient = booked(clinic, contacts=[])
    clinic.do(lambda s, c: patients.change(s, c, patient, 1, {"contacts": [TEXT]}))
    claim(clinic, clinic.call.now)
    assert calls(clinic) == []


@one_database
def test_a_series_that_nobody_hears_of_is_one_task_and_each_visit_one_in_its_time(clinic: Clinic) -> None:
    asked = wanted(clinic, clinic.patient(contacts=[]), "session", "2030-03-11 09:00")
    made, _ = clinic.do(lambda s, c: series.create(s, c, asked, "FREQ=WEEKLY;COUNT=2"))
    claim(clinic, clinic.call.now)
    assert calls(clinic) == [None]
    claim(clinic, clinic.at("2030-03-09 12:00"))
    assert set(calls(clinic)) == {None, made.appointments[0].id}


@one_database
def test_who_wants_no_more_texts_and_has_nothing_else_is_called_until_they_start_again(clinic: Clinic) -> None:
    visit, _ = booked(clinic, contacts=[TEXT])

    def texts(word: str) -> None:
        clinic.do(lambda s, c: two_way.receive(s, c, Incoming("http", word, TEXT["value"], word)))

    texts("STOP")
    claim(clinic, clinic.at("2030-03-08 12:00"))
    assert calls(clinic) == [visit]
    texts("START")
    assert calls(clinic) == []
