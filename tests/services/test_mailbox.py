"""Whose calendar holds a visit, by an e-mail, is told of its change by e-mail too, whatever way tells of it."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from scheduler.models import Message, Task
from scheduler.services import message_rules, outbox, patients, series
from scheduler.services.outbox import Letter
from tests.clinic import Clinic
from tests.desk import book, wanted
from tests.postroom import begin, cancel, claim, messages, move, only, open_postroom, settle

UNDO = timedelta(minutes=3)
TEXTS = {"channel": "sms"}
one_database = pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)


@pytest.fixture
def clinic(engine: Engine) -> Clinic:
    return open_postroom(engine)


def booked(clinic: Clinic) -> UUID:
    visit = book(clinic, clinic.patient(), "fasted", "2030-03-11 09:00").id
    (letter,) = leave(clinic)
    assert (letter.channel, letter.method) == ("email", "REQUEST")
    return visit


def leave(clinic: Clinic, after: timedelta = timedelta(), **errors: str) -> list[Letter]:
    """Everything that leaves by then, in the order in which it does; `errors` are final, by channel."""
    now, left = clinic.call.now + after, list[Letter]()
    while letters := claim(clinic, now):
        for letter in letters:
            assert begin(clinic, letter, now)
            settle(clinic, letter, now, errors.get(letter.channel, ""), permanent=letter.channel in errors)
        left += letters
    return left


def told(letters: list[Letter]) -> list[tuple[str, str]]:
    return [(letter.kind, letter.channel) for letter in letters]


def untold(clinic: Clinic) -> int:
    with Session(clinic.engine) as session:
        mine = Task.organization_id == clinic.call.organization_id, Task.kind == "patient_untold"
        return len(session.scalars(select(Task).where(*mine)).all())


def test_a_text_that_tells_of_a_change_takes_the_calendars_update_with_it(clinic: Clinic) -> None:
    visit = booked(clinic)
    move(clinic, visit, "2030-03-12 10:00")
    text, mail = leave(clinic, UNDO)
    assert told([text, mail]) == [("rescheduled", "sms"), ("rescheduled", "email")]
    (entry,) = mail.calendar
    assert (mail.method, entry.visit_id, entry.sequence) == ("REQUEST", str(visit), 1)
    assert text.calendar == ()
    cancel(clinic, visit, now=clinic.later(minutes=10))
    text, mail = leave(clinic, timedelta(minutes=20))
    assert told([text, mail]) == [("cancelled", "sms"), ("cancelled", "email")]
    assert (mail.method, mail.calendar[0].sequence, mail.calendar[0].status) == ("CANCEL", 2, "CANCELLED")
    assert len({mail.id, text.id}) == 2
    assert leave(clinic, timedelta(minutes=30)) == [], "one change is told once over each channel"


@one_database
def test_whose_mailbox_has_no_calendar_entry_gets_a_text_alone(clinic: Clinic) -> None:
    visit = book(clinic, clinic.patient(preferences=TEXTS), "fasted", "2030-03-11 09:00").id
    assert told(leave(clinic)) == [("booked", "sms")]
    move(clinic, visit, "2030-03-12 10:00")
    assert told(leave(clinic, UNDO)) == [("rescheduled", "sms")]


@one_database
def test_a_clinic_that_tells_of_changes_by_text_alone_is_obeyed(clinic: Clinic) -> None:
    rules = clinic.do(message_rules.current).items
    only_text = [{**rule, "channels": ["sms"]} if rule["key"] == "rescheduled" else rule for rule in rules]
    clinic.do(lambda s, c: message_rules.change(s, c, only_text))
    move(clinic, booked(clinic), "2030-03-12 10:00")
    assert told(leave(clinic, UNDO)) == [("rescheduled", "sms")]


@one_database
def test_what_is_undone_before_the_copy_left_is_not_told_by_it(clinic: Clinic) -> None:
    visit = booked(clinic)
    move(clinic, visit, "2030-03-12 10:00")
    now = clinic.call.now + UNDO
    (text,) = claim(clinic, now)
    begin(clinic, text, now)
    settle(clinic, text, now)
    clinic.do(outbox.review, now=now)
    assert only(clinic, "rescheduled+email", sequence=1).status == "pending", "the review lets news be"
    move(clinic, visit, "2030-03-13 10:00", now=now)
    assert told(leave(clinic, 3 * UNDO)) == [("rescheduled", "sms"), ("rescheduled", "email")]
    assert [(row.sequence, row.status) for row in messages(clinic, Message.rule == "rescheduled+email")] == [
        (1, "suppressed"),
        (2, "sent"),
    ]


@pytest.mark.parametrize(("errors", "tasks"), [({"sms": "no such number"}, 0), ({"email": "no such box"}, 0),
                                               ({"sms": "gone", "email": "gone"}, 1)])  # fmt: skip
@one_database
def test_what_is_refused_over_one_channel_is_not_said_twice_over_the_other(
    clinic: Clinic, errors: dict[str, str], tasks: int
) -> None:
    move(clinic, booked(clinic), "2030-03-12 10:00")
    channels = [letter.channel for letter in leave(clinic, UNDO, **errors)]
    assert channels.count("sms") == 1
    assert channels.count("email") == 1 or len(errors) == 2
    assert untold(clinic) == tasks


@one_database
def test_many_changes_told_by_one_text_are_in_one_letter_too(clinic: Clinic) -> None:
    patient = clinic.patient()
    asked = wanted(clinic, patient, "session", "2030-03-11 09:00")
    made, _ = clinic.do(lambda s, c: series.create(s, c, asked, "FREQ=WEEKLY;COUNT=3"))
    assert told(leave(clinic)) == [("series_overview", "email")]
    clinic.do(lambda s, c: patients.change(s, c, patient, 1, {"preferences": TEXTS}))
    first = made.appointments[0].id
    clinic.do(lambda s, c: series.reschedule(s, c, first, "following", clinic.at("2030-03-12 10:00")))
    text, mail = leave(clinic, UNDO)
    assert told([text, mail]) == [("course_changed", "sms"), ("course_changed", "email")]
    assert [entry.sequence for entry in mail.calendar] == [1, 1, 1]
