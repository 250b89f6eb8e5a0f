"""Patients text back: a stop ends what is on its way, a yes confirms one visit, and the rest is read by a person."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from scheduler.models import Appointment, InboundText, OptOut, Patient, Task
from scheduler.services import two_way, visit_day
from scheduler.services.two_way import Incoming
from tests.clinic import Clinic
from tests.desk import book as book_for
from tests.postroom import begin, claim, messages, only, open_postroom, settle
from tests.race.peaceful import watching

NUMBER = "+12025550123"


def text(clinic: Clinic, said: str, *, sms_id: str = "", number: str = NUMBER, **changes: Any) -> str:
    incoming = Incoming("http", sms_id or uuid4().hex, number, said)
    return clinic.do(lambda s, c: two_way.receive(s, c, incoming), **changes)


def book(clinic: Clinic, code: str, start: str, *, patient_id: UUID | None = None) -> UUID:
    return book_for(clinic, patient_id or clinic.patient(), code, start).id


def rows(clinic: Clinic, table: Any, *conditions: Any) -> list[Any]:
    with Session(clinic.engine, expire_on_commit=False) as session:
        mine = table.organization_id == clinic.call.organization_id
        return list(session.scalars(select(table).where(mine, *conditions).order_by(table.id)))


def confirmed(clinic: Clinic, appointment_id: UUID) -> bool:
    return rows(clinic, Appointment, Appointment.id == appointment_id)[0].confirmed_at is not None


def remind(clinic: Clinic, rule: str = "remind_24h", *, begun: bool = True) -> Any:
    """Let the reminder leave, as a worker does."""
    due = only(clinic, rule).due_at
    letters = claim(clinic, due)
    for letter in letters:
        if begun and begin(clinic, letter, due):
            settle(clinic, letter, due)
    return letters, due


def test_a_stop_in_the_middle_turns_what_is_pending_to_mail(engine: Engine) -> None:
    clinic = open_postroom(engine)
    book(clinic, "session", "2030-03-06 09:00")
    remind(clinic, "remind_72h")
    due = only(clinic, "remind_24h").due_at
    (letter,) = claim(clinic, due)
    assert letter.channel == "sms"
    said = text(clinic, "Stop.", now=due)
    assert "no more texts" in said
    assert not begin(clinic, letter, due)  # it was claimed, and had not begun
    (again,) = claim(clinic, due)
    assert (again.id, again.channel) == (letter.id, "email")
    assert begin(clinic, again, due)
    settle(clinic, again, due)
    assert {m.channel for m in messages(clinic) if m.sent_at and m.sent_at >= due} == {"email"}
    (consent,) = rows(clinic, Patient)[0].consents
    assert consent["revoked_at"] == due.isoformat()
    assert "text" in consent["source"]
    assert text(clinic, "STOP", now=due) == ""  # one confirmation is all


def test_a_stop_closes_the_number_for_all_who_share_it_and_a_start_opens_it(engine: Engine) -> None:
    clinic = open_postroom(engine)
    first, second = clinic.patient(), clinic.patient(name="Ana Example")
    text(clinic, "PARAR")
    late = clinic.patient(name="Leo Example")  # registered afterwards
    for day, patient in enumerate((first, second, late), 6):
        book(clinic, "session", f"2030-03-0{day} 09:00", patient_id=patient)
    due = max(m.due_at for m in messages(clinic) if m.rule == "remind_24h")
    assert {letter.channel for letter in claim(clinic, due)} == {"email"}
    text(clinic, "START")
    third = clinic.patient(name="Mia Example")
    book(clinic, "session", "2030-03-20 09:00", patient_id=third)
    due = max(m.due_at for m in messages(clinic) if m.rule == "remind_24h")
    assert "sms" in {letter.channel for letter in claim(clinic, due)}
    assert rows(clinic, Patient, Patient.id == first)[0].consents[-1]["given_at"]


def test_a_stop_of_one_class_leaves_the_others_and_a_second_ends_all(engine: Engine) -> None:
    clinic = open_postroom(engine, opt_out="class")
    book(clinic, "session", "2030-03-06 09:00")
    _, due = remind(clinic, "remind_72h")
    assert "of that kind" in text(clinic, "stop", now=due)
    assert [row.message_class for row in rows(clinic, OptOut)] == ["reminder"]
    assert "no more texts" in text(clinic, "stop", now=due)
    assert {row.message_class for row in rows(clinic, OptOut)} == {"reminder", "*"}


def test_cancel_is_an_opt_out_and_a_task_and_the_visit_stands(engine: Engine) -> None:
    clinic = open_postroom(engine)
    visit = book(clinic, "session", "2030-03-06 09:00")
    remind(clinic, "remind_72h")
    assert "This cancels no visit: please call us for that." in text(clinic, "CANCEL")
    assert rows(clinic, Appointment)[0].status == "booked"
    (task,) = rows(clinic, Task, Task.kind == "text_reply")
    assert task.title == "A patient stopped the texts, and may mean a visit: it still stands"
    assert [row.message_class for row in rows(clinic, OptOut)] == ["*"]
    assert visit


def test_a_yes_confirms_the_visit_that_was_asked_about_once(engine: Engine) -> None:
    clinic = open_postroom(engine)
    visit = book(clinic, "session", "2030-03-06 09:00")
    assert "somebody will read" in text(clinic, "yes", now=clinic.call.now)  # nothing was asked by text yet
    _, due = remind(clinic, "remind_72h")
    with watching() as moved:
        said = text(clinic, "SÍ", sms_id="SM1", now=due)
    assert moved == [], "whoever confirms takes nobody's time"
    assert said == "Harbor: gracias, su cita queda confirmada."
    assert confirmed(clinic, visit)
    revision = rows(clinic, Appointment)[0].revision
    assert text(clinic, "SÍ", sms_id="SM1", now=due + timedelta(hours=1)) == said
    assert text(clinic, "c", now=due + timedelta(hours=1)).startswith("Harbor: thank you")
    assert rows(clinic, Appointment)[0].revision == revision
    assert len(rows(clinic, InboundText, InboundText.provider_id == "SM1")) == 1


def test_a_yes_to_nothing_after_a_stop_is_a_start_and_one_to_a_visit_is_none(engine: Engine) -> None:
    clinic = open_postroom(engine)
    visit = book(clinic, "session", "2030-03-06 09:00")
    _, due = remind(clinic, "remind_72h")
    text(clinic, "STOP", now=due)
    assert text(clinic, "yes", now=due) == "", "the visit is confirmed, and the number gets no texts"
    assert confirmed(clinic, visit)
    assert rows(clinic, OptOut, OptOut.ended_at.is_not(None)) == []
    assert "texts" in text(clinic, "yes", now=due + timedelta(hours=1))
    assert rows(clinic, OptOut, OptOut.ended_at.is_(None)) == []
    assert rows(clinic, Task, Task.kind == "text_reply") == []


def test_a_yes_that_may_mean_two_visits_is_a_task_that_says_why(engine: Engine) -> None:
    clinic = open_postroom(engine)
    people = [clinic.patient(name=name) for name in ("Ana Example", "Leo Example")]
    visits = [book(clinic, "session", "2030-03-06 09:00", patient_id=people[0])]
    visits.append(book(clinic, "fasted", "2030-03-06 10:00", patient_id=people[1]))
    due = max(m.due_at for m in messages(clinic) if m.rule == "remind_72h")
    for letter in claim(clinic, due):
        begin(clinic, letter, due)
        settle(clinic, letter, due)
    text(clinic, "Yes", now=due)
    assert not any(confirmed(clinic, visit) for visit in visits)
    (task,) = rows(clinic, Task, Task.kind == "text_reply")
    assert "several patients share" in task.title
    assert "Ana Example, Leo Example" in task.detail
    assert task.patient_id is None


@pytest.mark.parametrize("shared", [True, False])
def test_a_yes_days_after_the_text_of_another_who_shares_the_number_confirms_nobody(
    engine: Engine,
    shared: bool,  # noqa: FBT001
) -> None:
    """No text says whose visit it is: the yes to the last one may be for the one before, which nobody has answered."""
    clinic = open_postroom(engine)
    names = ("Ana Example", "Leo Example")
    people = [clinic.patient(name=name, **({} if shared or name[0] == "A" else {"contacts": []})) for name in names]
    first = book(clinic, "session", "2030-03-07 09:00", patient_id=people[0])
    remind(clinic, "remind_72h")
    due = clinic.at("2030-03-05 09:00")
    second = book(clinic, "session", "2030-03-08 09:00", patient_id=people[1])
    for letter in claim(clinic, due):
        assert begin(clinic, letter, due)
        settle(clinic, letter, due)
    said = text(clinic, "yes", now=due)
    assert [confirmed(clinic, visit) for visit in (first, second)] == [not shared, False]
    assert ("can't tell which appointment" in said) is shared
    if shared:
        (task,) = rows(clinic, Task, Task.kind == "text_reply")
        assert "several patients share" in task.title
        clinic.do(lambda s, c: visit_day.confirm(s, c, first), now=due)  # by its link, which is its own
        assert "is confirmed" in text(clinic, "yes", now=due)
        assert confirmed(clinic, second), "nobody else's waits"


def test_anything_else_is_read_by_a_person_and_answered_once_a_day(engine: Engine) -> None:
    clinic = open_postroom(engine)
    patient = clinic.patient()
    assert "somebody will read" in text(clinic, "Can I come\x00 at ten?", sms_id="a")
    assert text(clinic, "Out of office", sms_id="b", now=clinic.later(hours=1)) == ""
    assert "somebody will read" in text(clinic, "hello?", sms_id="c", now=clinic.later(days=2))
    tasks = rows(clinic, Task, Task.kind == "text_reply")
    assert [task.patient_id for task in tasks] == [patient] * 3
    assert "Can I come at ten?" in tasks[0].detail
    assert text(clinic, "HELP") == "Harbor: texts about your appointments. STOP to opt out. Call +12125550142."


def test_a_patient_of_another_clinic_is_not_touched(engine: Engine) -> None:
    clinic, other = open_postroom(engine), open_postroom(engine)
    other.patient()
    text(clinic, "STOP")
    with Session(engine) as session:
        assert session.scalar(select(func.count()).select_from(OptOut)) == 1
        assert two_way.who_knows(session, NUMBER) == [other.call.organization_id]
    assert rows(other, Patient)[0].consents == []
