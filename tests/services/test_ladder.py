"""A reminder that nobody answers climbs from channel to channel, and to a person; what is refused does so at once."""

from __future__ import annotations

import re
from itertools import product
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from scheduler.models import Message, Task
from scheduler.services import (
    booking,
    clinical_holds,
    message_acts,
    message_rules,
    opt_outs,
    organizations,
    outbox,
    patients,
    shipped,
    visit_day,
)
from tests.clinic import Clinic
from tests.desk import book, wanted
from tests.postroom import begin, by_rule, claim, messages, only, open_postroom, set_state, settle

one_database = pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
MONDAY = "2030-03-11 14:00"


@pytest.fixture
def clinic(engine: Engine) -> Clinic:
    made = open_postroom(engine)
    rules = [rule for rule in shipped.message_rules() if rule["key"] == "remind_72h"]
    asking = {name: value for name, value in rules[0].items() if name != "yields"}
    asking |= {"escalate": {"minutes": 180}, "expires": {"anchor": "start"}}
    made.do(lambda s, c: message_rules.change(s, c, [asking]))
    return made


def booked(clinic: Clinic, **patient: Any) -> UUID:
    return book(clinic, clinic.patient(**patient), "session", MONDAY).id


def send(clinic: Clinic, when: str, error: str = "") -> list[tuple[str, str]]:
    """Let what is due by then leave; what left, over which channel."""
    now, left = clinic.at(when), []
    for letter in claim(clinic, now):
        assert begin(clinic, letter, now)
        settle(clinic, letter, now, error, permanent=bool(error))
        left.append((letter.kind, letter.channel))
    return left


def open_tasks(clinic: Clinic) -> list[str]:
    with Session(clinic.engine) as session:
        mine = Task.organization_id == clinic.call.organization_id, Task.status == "open"
        return list(session.scalars(select(Task.kind).where(*mine).order_by(Task.kind)))


def test_nobody_answers(clinic: Clinic) -> None:
    visit = booked(clinic)
    assert send(clinic, "2030-03-08 14:00") == [("remind_72h", "sms")]
    clinic.do(outbox.review, now=clinic.at("2030-03-08 15:00"))
    assert send(clinic, "2030-03-08 16:59") == []
    assert send(clinic, "2030-03-08 17:00") == [("remind_72h", "email")]
    assert send(clinic, "2030-03-08 20:00") == []
    assert open_tasks(clinic) == ["confirm_by_call"]
    clinic.do(lambda s, c: visit_day.confirm(s, c, visit), now=clinic.at("2030-03-08 20:05"))
    assert open_tasks(clinic) == [], "who has called has it confirmed"


@one_database
def test_whoever_calls_has_the_words_for_it_in_the_patients_language(clinic: Clinic) -> None:
    booked(clinic, locale="es")
    for when in ("2030-03-08 14:00", "2030-03-08 17:00", "2030-03-08 20:00"):
        send(clinic, when)
    with Session(clinic.engine) as session:
        (detail,) = session.scalars(select(Task.detail).where(Task.kind == "confirm_by_call"))
    assert "Hola, le llamamos de Harbor por su cita: lunes, 11 de marzo de 2030, 14:00" in detail
    machine = detail.partition("a machine: ")[2]
    assert machine == "Le llamamos de Harbor. Por favor, llámenos al +1 212-555-0142. Gracias."


@one_database
def test_somebody_answers(clinic: Clinic) -> None:
    visit = booked(clinic)
    send(clinic, "2030-03-08 14:00")
    clinic.do(lambda s, c: visit_day.confirm(s, c, visit), now=clinic.at("2030-03-08 14:05"))
    assert send(clinic, "2030-03-09 14:00") == []
    ended = {row.rule: row.reason for row in messages(clinic, Message.status == "suppressed")}
    assert ended == {"remind_72h+email": "confirmed", "remind_72h+call": "confirmed"}


def test_what_is_refused_for_good_climbs_at_once_and_is_not_said_twice(clinic: Clinic) -> None:
    booked(clinic)
    assert send(clinic, "2030-03-08 14:00", "no such number") == [("remind_72h", "sms")]
    assert only(clinic, "remind_72h+email").reason == "merged"
    assert send(clinic, "2030-03-08 14:00") == [("remind_72h", "email")]
    assert send(clinic, "2030-03-08 17:00") == []
    assert open_tasks(clinic) == []
    assert send(clinic, "2030-03-08 20:00") == []
    assert open_tasks(clinic) == ["confirm_by_call"]


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("why", ["no consent", "preference"])
def test_what_goes_another_way_is_not_said_twice_by_that(clinic: Clinic, why: str, late: bool) -> None:  # noqa: FBT001
    """Half an hour later the same letter would come again, though it is on the ladder as the next way."""
    visit = booked(clinic)
    if why == "no consent":
        clinic.do(lambda s, c: organizations.change(s, c, 2, {"messaging": {"basis": "exemption"}}))
    else:
        patient_id = messages(clinic, Message.appointment_id == visit)[0].patient_id
        clinic.do(lambda s, c: patients.change(s, c, patient_id, 1, {"preferences": {"channel": "email"}}))
    first = "2030-03-08 17:30" if late else "2030-03-08 14:00"
    assert send(clinic, first) == [("remind_72h", "email")]
    assert only(clinic, "remind_72h+email").reason == "merged"
    assert send(clinic, "2030-03-08 17:30") == []
    send(clinic, "2030-03-08 20:00")
    assert open_tasks(clinic) == ["confirm_by_call"]


def test_nobody_is_called_about_a_visit_that_a_hold_has_stopped(clinic: Clinic) -> None:
    """The words for the call say when to stop eating; after the hold it is asked again."""
    rules = [rule for rule in shipped.message_rules() if rule["key"] == "night_before"]
    clinic.do(lambda s, c: message_rules.change(s, c, rules))
    patient = clinic.patient()
    book(clinic, patient, "fasted", "2030-03-11 09:00")
    for when in ("2030-03-10 18:00", "2030-03-10 18:30", "2030-03-10 19:00"):
        send(clinic, when)
    assert open_tasks(clinic) == ["confirm_by_call"]
    deadline, now = clinic.at("2030-03-20 12:00"), clinic.at("2030-03-10 19:05")
    held = clinic.do(lambda s, c: clinical_holds.place(s, c, patient, reason="illness", deadline=deadline), now=now)
    assert open_tasks(clinic) == ["clinical_hold"]
    now = clinic.at("2030-03-10 19:10")
    clinic.do(lambda s, c: clinical_holds.release(s, c, patient, held.id, by="Dr. Lee", note="Well."), now=now)
    for when in ("2030-03-10 19:10", "2030-03-10 19:40", "2030-03-10 20:10"):
        send(clinic, when)
    assert open_tasks(clinic) == ["confirm_by_call"]


def test_who_is_booked_so_late_that_no_word_on_eating_can_go_is_called_at_once(engine: Engine) -> None:
    """It ended as suppressed, and was nobody's to say."""
    clinic, now = open_postroom(engine), "2030-03-11 12:30"
    asked = wanted(clinic, clinic.patient(), "fasted", MONDAY)
    visit = clinic.do(lambda s, c: booking.book(s, c, asked), now=clinic.at(now)).id
    assert send(clinic, now) == [("booked", "email")]
    assert (only(clinic, "night_before").status, only(clinic, "night_before").reason) == ("suppressed", "too_late")
    assert open_tasks(clinic) == ["confirm_by_call"]
    with Session(clinic.engine) as session:
        words = session.scalars(select(Task.detail)).one()
    assert "eat nothing from now on. If you have eaten, or drunk anything but clear liquids, after 08:00" in words
    clinic.do(outbox.review, now=clinic.at("2030-03-11 12:45"))
    assert send(clinic, "2030-03-11 12:45") == []
    clinic.do(lambda s, c: visit_day.confirm(s, c, visit), now=clinic.at("2030-03-11 12:50"))
    assert open_tasks(clinic) == []


@pytest.mark.parametrize(("now", "due"), [("13:30", "13:30"), ("12:30", "13:00")])
def test_who_is_to_be_called_before_a_visit_is_called_before_it_begins(engine: Engine, now: str, due: str) -> None:
    """It was due an hour later, whenever the visit was."""
    clinic = open_postroom(engine)
    asked = wanted(clinic, clinic.patient(), "fasted", MONDAY)
    clinic.do(lambda s, c: booking.book(s, c, asked), now=clinic.at(f"2030-03-11 {now}"))
    send(clinic, f"2030-03-11 {now}")
    with Session(clinic.engine) as session:
        assert session.scalars(select(Task.due_at)).one() == clinic.at(f"2030-03-11 {due}")


@one_database
def test_who_was_told_in_time_is_not_called_for_the_review_of_the_day(clinic: Clinic) -> None:
    """By then a message would be too late, but it went when it was not."""
    rules = [dict(rule) for rule in shipped.message_rules() if rule["key"] in {"night_before", "forms_due"}]
    for rule in rules:
        rule.pop("escalate", None)
    clinic.do(lambda s, c: message_rules.change(s, c, rules))
    book(clinic, clinic.patient(), "fasted", MONDAY)
    assert send(clinic, "2030-03-10 18:00") == [("night_before", "sms")]
    clinic.do(outbox.review, now=clinic.at("2030-03-11 12:30"))
    assert send(clinic, "2030-03-11 12:30") == []
    assert open_tasks(clinic) == []


@one_database
def test_when_every_way_is_shut_a_person_is_asked_and_may_have_it_tried_again(clinic: Clinic) -> None:
    booked(clinic, contacts=[{"channel": "sms", "value": "+12025550123"}])
    send(clinic, "2030-03-08 14:00", "no such number")
    row = only(clinic, "remind_72h")
    assert (row.status, row.reason) == ("failed", "no such number")
    assert open_tasks(clinic) == ["patient_untold"]
    assert "To the patient: Hello, this is Harbor, about your appointment on Monday, March 11" in detail_of(clinic)
    clinic.do(lambda s, c: message_acts.retry(s, c, row.id), now=clinic.at("2030-03-08 14:30"))
    assert send(clinic, "2030-03-08 14:30") == [("remind_72h", "sms")]
    assert open_tasks(clinic) == []


def detail_of(clinic: Clinic, kind: str = "patient_untold") -> str:
    with Session(clinic.engine) as session:
        return session.scalars(select(Task.detail).where(Task.kind == kind)).one()


@one_database
def test_whoever_reaches_nobody_by_any_rung_asks_a_person_once(clinic: Clinic) -> None:
    rules = [rule for rule in shipped.message_rules() if rule["key"] == "night_before"]
    clinic.do(lambda s, c: message_rules.change(s, c, rules))
    book(clinic, clinic.patient(), "fasted", "2030-03-11 09:00")
    for address in ("pat@example.org", "+12025550123"):
        clinic.do(lambda s, c, address=address: opt_outs.close(s, c, address, opt_outs.ALL, "a text"))
    for when in ("2030-03-10 18:00", "2030-03-10 18:30"):
        assert send(clinic, when) == []
    assert open_tasks(clinic) == ["patient_untold"]


@one_database
def test_what_is_said_in_place_of_a_message_after_the_visit_is_about_afterwards(clinic: Clinic) -> None:
    """Nobody is asked whether they have eaten, or whether they will come, once they have been there."""
    rules = [rule for rule in shipped.message_rules() if rule["key"] == "d_instructions"]
    clinic.do(lambda s, c: message_rules.change(s, c, rules))
    visit = book(clinic, clinic.patient(), "fasted", "2030-03-11 09:00")
    for address in ("pat@example.org", "+12025550123"):
        clinic.do(lambda s, c, address=address: opt_outs.close(s, c, address, opt_outs.ALL, "a text"))
    set_state(clinic, visit.id, status="fulfilled", fulfilled_at=visit.row.ends_at)
    assert send(clinic, "2030-03-11 12:00") == []
    said = detail_of(clinic)
    assert (
        "about your visit on Monday, March 11, 2030. Please follow the sheet that we gave you for afterwards." in said
    )
    assert re.search("eaten|Will you come", said) is None


@one_database
def test_what_the_patient_prefers_decides_from_then_on(clinic: Clinic) -> None:
    visit = booked(clinic, preferences={"channel": "email"})
    assert {rule: row.channel for rule, row in by_rule(clinic).items()} == {
        "remind_72h": "email", "remind_72h+sms": "sms", "remind_72h+call": "task",
    }  # fmt: skip
    patient_id = messages(clinic, Message.appointment_id == visit)[0].patient_id
    clinic.do(lambda s, c: patients.change(s, c, patient_id, 1, {"preferences": {"channel": "sms"}}))
    assert send(clinic, "2030-03-08 14:00") == [("remind_72h", "sms")]


@pytest.mark.parametrize("first", ["2030-03-10 18:00", "2030-03-10 17:00"])
def test_whatever_a_patient_wishes_meanwhile_they_are_told_or_a_person_is_asked(clinic: Clinic, first: str) -> None:
    """Before the first step of the ladder or after it: other wishes, other addresses, none."""
    rules = [rule for rule in shipped.message_rules() if rule["key"] == "night_before"]
    clinic.do(lambda s, c: message_rules.change(s, c, rules))
    sms, mail = {"channel": "sms", "value": "+12025550123"}, {"channel": "email", "value": "pat@example.org"}
    wishes: list[dict[str, str]] = [{}, {"channel": "email"}, {"channel": "sms"}]
    cases = list(product(wishes, wishes, [[sms, mail], [sms], [mail], []]))
    people = [clinic.patient(preferences=before) for before, _, _ in cases]
    visits = [book(clinic, patient, "fasted", "2030-03-11 09:00").id for patient in people]
    send(clinic, first)
    for patient, (_, after, contacts) in zip(people, cases, strict=True):
        values = {"preferences": after, "contacts": contacts}
        clinic.do(lambda s, c, key=patient, new=values: patients.change(s, c, key, 1, new), now=clinic.at(first))
    for when in ("2030-03-10 18:00", "2030-03-10 18:30", "2030-03-10 19:00"):
        send(clinic, when)
    with Session(clinic.engine) as session:
        asked = {
            (task.appointment_id, task.kind) for task in session.scalars(select(Task).where(Task.status == "open"))
        }
    told = {row.appointment_id for row in messages(clinic, Message.status == "sent", Message.channel != "task")}
    assert [case for visit, case in zip(visits, cases, strict=True) if (visit, "confirm_by_call") not in asked] == []
    untold = [visit for visit in visits if visit not in told]
    assert [visit for visit in untold if (visit, "patient_untold") not in asked] == []
    assert len(untold) == (9 if first.endswith("17:00") else 0), "whom nothing reaches any more"


def test_who_said_yes_before_the_instruction_is_asked_again(clinic: Clinic) -> None:
    rules = [rule for rule in shipped.message_rules() if rule["key"] in {"remind_72h", "night_before"}]
    asking = [{name: value for name, value in rule.items() if name != "yields"} for rule in rules]
    clinic.do(lambda s, c: message_rules.change(s, c, asking))
    visit = book(clinic, clinic.patient(), "fasted", "2030-03-11 09:00").id

    def yes(when: str) -> None:
        clinic.do(lambda s, c: visit_day.confirm(s, c, visit), now=clinic.at(when))

    assert send(clinic, "2030-03-08 14:00") == [("remind_72h", "sms")]
    yes("2030-03-08 14:05")
    assert send(clinic, "2030-03-10 18:00") == [("night_before", "sms")]
    assert send(clinic, "2030-03-10 18:30") == [("night_before", "email")], "nobody has said that they read it"
    yes("2030-03-10 18:40")
    assert send(clinic, "2030-03-10 19:30") == []
    assert open_tasks(clinic) == []
    assert only(clinic, "night_before+call").reason == "confirmed"
