"""What changes after a claim and before the delivery: a letter written for what is no more does not begin."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import Engine

from scheduler.models import Message
from scheduler.services import patients, series
from scheduler.services.outbox import Letter
from scheduler.services.outbox.delivering import JUDGED_FOR
from tests.clinic import Clinic
from tests.desk import book, wanted
from tests.postroom import begin, cancel, claim, messages, open_postroom, settle

#: The statement is each database's own, so one test runs on both; the rest does not depend on it.
one_database = pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)


@pytest.fixture
def clinic(engine: Engine) -> Clinic:
    return open_postroom(engine)


def only_letter(clinic: Clinic, kind: str) -> Letter:
    (found,) = [letter for letter in claim(clinic, clinic.call.now) if letter.kind == kind]
    return found


def test_a_patients_new_number_is_the_one_that_is_used(clinic: Clinic) -> None:
    patient = clinic.patient()
    book(clinic, patient, "session", "2030-03-11 09:00")
    letter = only_letter(clinic, "booked")
    phone = {"channel": "sms", "value": "+12025550177", "purpose": "any"}
    clinic.do(lambda s, c: patients.change(s, c, patient, 1, {"contacts": [phone]}))
    assert not begin(clinic, letter, clinic.call.now), "the old address may be somebody else's"
    again = only_letter(clinic, "booked")
    assert (letter.to, again.to, again.attempts) == ("pat@example.org", "+12025550177", 0)
    assert begin(clinic, again, clinic.call.now)


@one_database
def test_what_was_claimed_long_ago_is_judged_anew(clinic: Clinic) -> None:
    book(clinic, clinic.patient(), "session", "2030-03-11 09:00")
    letter, late = only_letter(clinic, "booked"), clinic.call.now + JUDGED_FOR
    assert not begin(clinic, letter, late)
    assert [row.status for row in messages(clinic, Message.id == letter.id)] == ["pending"], "it waits for no lease"
    (again,) = claim(clinic, late)
    assert begin(clinic, again, late)


@pytest.fixture
def told(clinic: Clinic) -> list[UUID]:
    """Three weekly visits of which the patient has been told."""
    asked = wanted(clinic, clinic.patient(), "session", "2030-03-11 09:00")
    made, _ = clinic.do(lambda s, c: series.create(s, c, asked, "FREQ=WEEKLY;COUNT=3"))
    return [each.id for each in made.appointments]


@one_database
def test_an_overview_names_no_visit_that_was_cancelled_meanwhile(clinic: Clinic, told: list[UUID]) -> None:
    letter = only_letter(clinic, "series_overview")
    cancel(clinic, told[1])
    assert not begin(clinic, letter, clinic.call.now)
    again = only_letter(clinic, "series_overview")
    assert [len(each.stops) for each in (letter, again)] == [3, 2]
    assert begin(clinic, again, clinic.call.now)


@one_database
def test_a_digest_tells_of_no_time_that_was_changed_meanwhile(clinic: Clinic, told: list[UUID]) -> None:
    overview = only_letter(clinic, "series_overview")
    assert begin(clinic, overview, clinic.call.now)
    settle(clinic, overview, clinic.call.now)
    clinic.do(lambda s, c: series.reschedule(s, c, told[0], "following", clinic.at("2030-03-12 10:00")))
    soon = clinic.call.now + timedelta(minutes=3)
    (letter,) = claim(clinic, soon)
    cancel(clinic, told[1], now=soon)
    assert not begin(clinic, letter, soon)
    (again,) = [each for each in claim(clinic, soon) if each.id == letter.id]
    assert [sum(turn.now is None for turn in each.turns) for each in (letter, again)] == [0, 1]
    assert begin(clinic, again, soon)


@one_database
def test_a_reminder_takes_no_visit_along_that_was_cancelled_meanwhile(clinic: Clinic) -> None:
    patient = clinic.patient()
    visits = [book(clinic, patient, "session", start).id for start in ("2030-03-11 14:00", "2030-03-13 16:00")]
    for letter in claim(clinic, clinic.call.now):
        assert begin(clinic, letter, clinic.call.now)
        settle(clinic, letter, clinic.call.now)
    due = clinic.at("2030-03-10 14:00")
    (letter,) = [each for each in claim(clinic, due) if each.kind == "remind_24h"]
    cancel(clinic, visits[1], now=due)
    assert not begin(clinic, letter, due)
    (again,) = [each for each in claim(clinic, due) if each.kind == "remind_24h"]
    assert [len(each.also) for each in (letter, again)] == [1, 0]
    assert begin(clinic, again, due)
