"""Questions after several visits of a patient: where one would be asked twice in the same words, it is asked once."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import Engine

from scheduler.models import Message
from scheduler.services import message_preview
from tests.clinic import Clinic
from tests.desk import book
from tests.postroom import begin, claim, messages, open_postroom, send_all, set_state, settle

EVENING, NEXT_DAY = "2030-03-11 18:00", "2030-03-12 11:00"


@pytest.fixture
def clinic(engine: Engine) -> Clinic:
    return open_postroom(engine)


@pytest.fixture
def visits(clinic: Clinic) -> list[UUID]:
    """Two of one patient on one day, of which all that comes before has been sent."""
    patient = clinic.patient()
    made = [book(clinic, patient, "fasted", f"2030-03-11 {clock}").id for clock in ("09:00", "13:00")]
    for when in ("2030-03-01 10:00", "2030-03-10 19:00", "2030-03-11 08:00"):
        send_all(clinic, clinic.at(when))
    return made


def is_over(clinic: Clinic, visit: UUID, clock: str) -> None:
    set_state(clinic, visit, status="fulfilled", fulfilled_at=clinic.at(f"2030-03-11 {clock}"))


def questions(clinic: Clinic, when: str | datetime) -> list[tuple[str, UUID | None]]:
    """What is asked at that moment, and after which visit; it leaves."""
    now = clinic.at(when) if isinstance(when, str) else when
    rows = {row.id: row for row in messages(clinic)}
    found = []
    for letter in claim(clinic, now):
        assert begin(clinic, letter, now)
        assert settle(clinic, letter, now)
        if rows[letter.id].context["class"] == "check_in":
            found.append((letter.kind, rows[letter.id].appointment_id))
    return found


def test_of_two_visits_of_a_day_one_question_is_asked(clinic: Clinic, visits: list[UUID]) -> None:
    first, second = visits
    is_over(clinic, first, "11:00")
    is_over(clinic, second, "15:00")
    ((kind, about),) = questions(clinic, EVENING)
    assert kind == "evening_check"
    (other,) = messages(clinic, Message.kind == kind, Message.status == "suppressed")
    (asked,) = messages(clinic, Message.kind == kind, Message.status == "sent")
    assert {about, other.appointment_id} == set(visits)
    assert (other.reason, other.merged_into) == ("merged", asked.id)
    assert questions(clinic, "2030-03-12 09:00") == [("integration_prompt", first)]
    assert questions(clinic, NEXT_DAY) == [("next_day_scale", first)]
    assert questions(clinic, "2030-03-12 15:00") == [], "nor four hours later"


def test_after_a_visit_that_nobody_has_recorded_it_waits_by_itself(clinic: Clinic, visits: list[UUID]) -> None:
    first, second = visits
    is_over(clinic, first, "11:00")
    assert questions(clinic, EVENING) == [("evening_check", first)]
    is_over(clinic, second, "15:00")
    assert questions(clinic, "2030-03-11 18:30") == [("evening_check", second)]


def test_of_two_days_each_is_asked_after_its_own(clinic: Clinic) -> None:
    patient = clinic.patient()
    made = [book(clinic, patient, "fasted", f"2030-03-{day} 09:00").id for day in (11, 12)]
    rules = {"next_day_scale"}
    for visit, day in zip(made, (11, 12), strict=True):
        set_state(clinic, visit, status="fulfilled", fulfilled_at=clinic.at(f"2030-03-{day} 11:00"))
    at = clinic.at("2030-03-13 11:00")
    assert [kind for kind, _ in questions(clinic, at) if kind in rules] == ["next_day_scale"] * 2, "both are due"


def test_what_does_not_leave_lets_the_other_ask(clinic: Clinic, visits: list[UUID]) -> None:
    first, second = visits
    is_over(clinic, first, "11:00")
    is_over(clinic, second, "15:00")
    now = clinic.at(EVENING)
    for _ in range(2):  # over each of two channels
        letter = next(each for each in claim(clinic, now) if each.kind == "evening_check")
        assert begin(clinic, letter, now)
        settle(clinic, letter, now, "no such address", permanent=True)
    assert messages(clinic, Message.kind == "evening_check", Message.reason == "merged") == []
    assert [kind for kind, _ in questions(clinic, now + timedelta(minutes=1))] == ["evening_check"]


def test_the_preview_of_one_visit_takes_nothing_of_another(clinic: Clinic, visits: list[UUID]) -> None:
    shown = clinic.do(lambda s, c: message_preview.preview(s, c, appointment_id=visits[0]))
    asked = [each for each in shown if each.cls == "check_in" and each.body]
    assert {each.rule for each in asked} >= {"evening_check", "next_day_scale", "integration_prompt"}
