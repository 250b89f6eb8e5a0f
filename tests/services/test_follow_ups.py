"""What is said after a visit: to who has been there, and by a person where no message may. On both databases."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from scheduler.models import Task
from scheduler.services import visit_day
from tests.clinic import Clinic
from tests.desk import book
from tests.postroom import claim, only, open_postroom, set_state


@pytest.fixture
def clinic(engine: Engine) -> Clinic:
    return open_postroom(engine)


def booked(clinic: Clinic, **patient: Any) -> UUID:
    return book(clinic, clinic.patient(**patient), "fasted", "2030-03-11 09:00").id


def tasks_of(clinic: Clinic, kind: str) -> list[Task]:
    with Session(clinic.engine) as session:
        mine = Task.organization_id == clinic.call.organization_id, Task.kind == kind
        return list(session.scalars(select(Task).where(*mine).order_by(Task.id)))


def test_what_nobody_has_recorded_is_one_task_and_its_follow_up_waits_for_that(clinic: Clinic) -> None:
    """Who did not come, and was not said to, got "after your visit"."""
    visit, end = booked(clinic), clinic.at("2030-03-11 11:00")
    assert [each.kind for each in claim(clinic, end) if each.context.get("side") == "after"] == []
    (asked,) = tasks_of(clinic, "visit_unrecorded")
    assert (asked.status, asked.appointment_id) == ("open", visit)
    assert claim(clinic, clinic.at("2030-03-11 18:00")) == ()
    assert len(tasks_of(clinic, "visit_unrecorded")) == 1, "once for all of them"
    set_state(clinic, visit, status="fulfilled", fulfilled_at=end)
    kinds = {letter.kind for letter in claim(clinic, clinic.at("2030-03-11 18:20"))}
    assert "d_instructions" in kinds


def test_what_nobody_ever_records_ends_and_asks_once(clinic: Clinic) -> None:
    visit = booked(clinic)
    for when in ("2030-03-11 11:00", "2030-03-12 12:00", "2030-03-13 12:00", "2030-03-14 12:00"):
        assert [each.kind for each in claim(clinic, clinic.at(when)) if each.context.get("side") == "after"] == []
    assert (only(clinic, "d_instructions").status, only(clinic, "d_instructions").reason) == (
        "expired_unsent", "unrecorded",
    )  # fmt: skip
    assert len(tasks_of(clinic, "visit_unrecorded")) == 1
    clinic.do(lambda s, c: visit_day.no_show(s, c, visit), now=clinic.at("2030-03-14 12:05"))
    assert [task.status for task in tasks_of(clinic, "visit_unrecorded")] == ["dismissed"]


def test_who_no_message_asks_how_they_are_is_asked_by_a_person_once_a_day(clinic: Clinic) -> None:
    visit = booked(clinic, contacts=[])
    set_state(clinic, visit, status="fulfilled", fulfilled_at=clinic.at("2030-03-11 11:00"))
    for when in ("2030-03-11 18:00", "2030-03-12 11:00"):
        claim(clinic, clinic.at(when))
    asked = [task.detail.partition(" To the patient: Hello")[0] for task in tasks_of(clinic, "follow_up_by_call")]
    assert asked == ["Message 'evening_check'.", "Message 'integration_prompt'."], "with words for it"
