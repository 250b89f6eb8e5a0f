"""A visit of a course is lost while later ones stand: a task that names the course, until it is whole again."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from scheduler.models import Appointment, Task
from scheduler.services import booking, course_life, courses, lost_sessions, rebooking, replanning, tasks, visit_day
from tests.clinic import Clinic
from tests.coursework import accept, approve, course, offer, open_course_clinic, protocol
from tests.services.test_statements import listening

#: Losses, then their courses with sessions, gates, visits, protocol, and visit types twice; tasks that go, and known.
MOST = 12
#: Where the database does not matter.
ON_ONE = pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)


@pytest.fixture
def clinic(engine: Engine) -> Clinic:
    made = open_course_clinic(engine)
    approve(made, protocol(2))
    return made


def booked(clinic: Clinic) -> tuple[UUID, dict[int, Appointment]]:
    """A course without a gate, and its visits by position: evaluation, dose, talk, dose, talk."""
    made = course(clinic)
    accept(clinic, made.id, offer(clinic, made.id)[0].token)
    view = clinic.do(lambda s, c: courses.get(s, c, made.id))
    return made.id, {each.position: view.booked[each.id] for each in view.sessions}


def cancelled(clinic: Clinic, visit: Appointment) -> None:
    clinic.do(lambda s, c: booking.cancel(s, c, visit.id, reason="x", by="patient"))


def owed(clinic: Clinic, **changes: Any) -> list[tuple[str, str]]:
    """What is said first, and the status, of each such task once the chore was done twice."""
    for _ in range(2):
        clinic.do(lost_sessions.chase, **changes)
    with Session(clinic.engine) as session:
        rows = session.scalars(select(Task).where(Task.kind == lost_sessions.KIND).order_by(Task.id)).all()
    return [(row.detail.partition(" has ")[0], row.status) for row in rows]


def test_an_evaluation_that_the_patient_cancels_is_a_task_that_names_the_course(clinic: Clinic) -> None:
    course_id, visits = booked(clinic)
    assert owed(clinic) == []
    cancelled(clinic, visits[0])
    assert owed(clinic) == [("Evaluation", "open")]
    with Session(clinic.engine) as session:
        [task] = session.scalars(select(Task).where(Task.kind == lost_sessions.KIND))
    assert (task.course_id, task.title) == (course_id, "Plan anew: Trial")
    assert task.due_at == visits[1].starts_at, "before the next visit of the course"
    clinic.do(lambda s, c: visit_day.undo(s, c, visits[0].id))
    assert owed(clinic) == [("Evaluation", "dismissed")]


@ON_ONE
def test_a_course_that_is_planned_anew_is_whole_and_another_loss_is_another_task(clinic: Clinic) -> None:
    course_id, visits = booked(clinic)
    cancelled(clinic, visits[1])
    assert owed(clinic) == [("Dose 1", "open")]
    plan = clinic.do(lambda s, c: replanning.propose(s, c, course_id, [], minutes=30))
    clinic.do(lambda s, c: rebooking.accept(s, c, course_id, plan.token))
    assert owed(clinic) == [("Dose 1", "dismissed")]
    again = clinic.do(lambda s, c: courses.get(s, c, course_id))
    cancelled(clinic, again.booked[again.sessions[3].id])
    assert owed(clinic) == [("Dose 1", "dismissed"), ("Dose 2", "open")]


@ON_ONE
def test_what_somebody_has_seen_to_does_not_come_back(clinic: Clinic) -> None:
    _, visits = booked(clinic)
    cancelled(clinic, visits[0])
    assert owed(clinic) == [("Evaluation", "open")]
    with Session(clinic.engine) as session:
        task_id = session.scalars(select(Task.id).where(Task.kind == lost_sessions.KIND)).one()
    clinic.do(lambda s, c: tasks.answer(s, c, task_id, "done"))
    assert owed(clinic) == [("Evaluation", "done")]


@ON_ONE
def test_a_last_visit_a_missed_one_and_a_course_that_has_ended(clinic: Clinic) -> None:
    course_id, visits = booked(clinic)
    cancelled(clinic, visits[4])
    assert owed(clinic) == [], "nothing stands behind the last one"
    missed = visits[1]
    clinic.do(lambda s, c: visit_day.no_show(s, c, missed.id), now=missed.starts_at)
    assert owed(clinic, now=missed.starts_at) == [("Dose 1", "open")]
    assert owed(clinic, now=visits[3].ends_at) == [("Dose 1", "dismissed")], "nothing lies ahead any more"
    assert owed(clinic, now=missed.starts_at) == [("Dose 1", "open")]
    clinic.do(lambda s, c: course_life.discontinue(s, c, course_id, reason="moved away"), now=missed.starts_at)
    assert owed(clinic, now=missed.starts_at) == [("Dose 1", "dismissed")]


def test_a_talk_that_nobody_can_have_any_more_asks_nobody_and_a_later_loss_does(clinic: Clinic) -> None:
    """The next dose was given without it: no plan could put it before that dose."""
    _, visits = booked(clinic)
    cancelled(clinic, visits[2])
    assert owed(clinic) == [("Talk 1", "open")]
    with Session(clinic.engine) as session:
        [task] = session.scalars(select(Task).where(Task.kind == lost_sessions.KIND))
        assert task.appointment_id == visits[3].id, "who receives the patient next sees it"
    dose = visits[3]
    clinic.do(lambda s, c: visit_day.check_in(s, c, dose.id), now=dose.starts_at)
    assert owed(clinic, now=dose.starts_at) == [("Talk 1", "dismissed")]
    with Session(clinic.engine) as session:
        [task] = session.scalars(select(Task).where(Task.kind == lost_sessions.KIND))
        assert task.note == "It can have no visit any more: the course has gone on without it."
    clinic.do(lambda s, c: visit_day.undo(s, c, dose.id), now=dose.starts_at)
    assert owed(clinic, now=visits[2].starts_at) == [("Talk 1", "open")]


@ON_ONE
def test_an_earlier_loss_ends_no_task_about_a_later_one(clinic: Clinic) -> None:
    _, visits = booked(clinic)
    cancelled(clinic, visits[3])
    cancelled(clinic, visits[1])
    assert owed(clinic) == [("Dose 1", "open")], "one at a time"
    clinic.do(lambda s, c: visit_day.undo(s, c, visits[1].id))
    assert owed(clinic) == [("Dose 1", "dismissed"), ("Dose 2", "open")]
    cancelled(clinic, visits[1])
    assert [status for _, status in owed(clinic)] == ["open", "open"]


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
def test_who_is_at_the_course_is_waited_for(clinic: Clinic) -> None:
    _, visits = booked(clinic)
    cancelled(clinic, visits[0])
    with Session(clinic.engine) as acting, Session(clinic.engine) as chasing:
        visit_day.undo(acting, clinic.call, visits[0].id)
        chasing.execute(text("SET LOCAL lock_timeout = '100ms'"))
        with pytest.raises(OperationalError, match="lock timeout"):
            lost_sessions.chase(chasing, clinic.call)
        acting.commit()
    assert owed(clinic) == []


def test_a_look_for_losses_asks_as_often_however_many_courses_run_and_have_lost_one(clinic: Clinic) -> None:
    first: list[list[str]] = []
    again: list[int] = []
    for more in (1, 2):
        for _ in range(more):
            cancelled(clinic, booked(clinic)[1][1])
        with listening(clinic.engine) as asked:
            clinic.do(lost_sessions.chase)
        first.append([statement for statement, _ in asked.statements if not statement.startswith("INSERT")])
        with listening(clinic.engine) as asked:
            clinic.do(lost_sessions.chase)
        again.append(len(asked.statements))
    assert owed(clinic) == [("Dose 1", "open")] * 3
    assert len(first[0]) == len(first[1]), "only what is written of each loss is written for each"
    assert again[0] == again[1] <= MOST
