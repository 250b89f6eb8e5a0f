"""What lies behind a gate: pencilled with the rest, moved by itself, confirmed by a plan once the gate is passed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.errors import Invalid, PlanStale
from scheduler.models import Message
from scheduler.services import (
    absences,
    availability,
    booking,
    course_life,
    courses,
    gates,
    lookahead,
    planning,
    rebooking,
    replanning,
    visit_day,
)
from scheduler.services.availability import Question
from scheduler.services.course_changes import Change
from tests.clinic import Clinic
from tests.coursework import accept, approve, course, offer, open_course_clinic, protocol


@pytest.fixture
def clinic(engine: Engine) -> Clinic:
    made = open_course_clinic(engine)
    approve(made, protocol(gate=2))
    return made


def passed(clinic: Clinic, course_id: object) -> None:
    clinic.do(lambda s, c: gates.decide(s, c, course_id, "review", outcome="passed", by="A Clinician"))  # type: ignore[arg-type]


def test_passing_the_gate_and_booking_confirms_what_is_pencilled(clinic: Clinic) -> None:
    made = course(clinic)
    [whole] = offer(clinic, made.id, through="all")
    pencilled = [view for view in accept(clinic, made.id, whole.token) if view.row.status == "pending"]
    with pytest.raises(Invalid):
        offer(clinic, made.id, through="all")
    passed(clinic, made.id)
    [rest] = offer(clinic, made.id)
    assert [each.start for each in rest.plan.sessions] == [view.row.starts_at for view in pencilled]
    with Session(clinic.engine) as session:
        before = set(session.scalars(select(Message.id)))
    confirmed = accept(clinic, made.id, rest.token)
    assert [view.id for view in confirmed] == [view.id for view in pencilled]
    assert {(view.row.status, view.row.pencilled_until) for view in confirmed} == {("booked", None)}
    with Session(clinic.engine) as session:
        new = [row for row in session.scalars(select(Message)) if row.id not in before]
    assert len({row.id for row in new if row.course_id is not None and row.channel == "email"}) == 1
    assert {row.appointment_id for row in new if row.kind == "remind_24h"} == {view.id for view in confirmed}


def test_what_expired_meanwhile_is_planned_anew_beside_what_is_confirmed(clinic: Clinic) -> None:
    made = course(clinic)
    [whole] = offer(clinic, made.id, through="all")
    dose, talk = [view for view in accept(clinic, made.id, whole.token) if view.row.status == "pending"]
    clinic.do(lambda s, c: booking.cancel(s, c, talk.id, reason="x", by="staff"))
    passed(clinic, made.id)
    [rest] = offer(clinic, made.id)
    confirmed = accept(clinic, made.id, rest.token)
    assert [view.row.visit_type for view in confirmed] == ["dose", "talk"]
    assert (confirmed[0].id, confirmed[0].row.status) == (dose.id, "booked")
    assert confirmed[1].id != talk.id


def test_what_was_pencilled_is_not_confirmed_once_its_time_has_passed(clinic: Clinic) -> None:
    """A plan confirmed it weeks later, where no worker had let it go."""
    made = course(clinic)
    [whole] = offer(clinic, made.id, through="all")
    first, second = [view.row for view in accept(clinic, made.id, whole.token) if view.row.status == "pending"]
    passed(clinic, made.id)
    clinic.call = replace(clinic.call, now=first.starts_at - timedelta(minutes=5))
    [rest] = offer(clinic, made.id)
    assert [each.pencilled for each in rest.plan.sessions] == [first.id, second.id]
    clinic.call = replace(clinic.call, now=first.starts_at)
    with pytest.raises(PlanStale, match="has passed"):
        accept(clinic, made.id, rest.token)
    [rest] = offer(clinic, made.id)
    assert [each.pencilled for each in rest.plan.sessions] == [second.id]


def test_a_pencilled_visit_moves_by_itself_and_stays_pencilled(clinic: Clinic) -> None:
    made = course(clinic)
    [whole] = offer(clinic, made.id, through="all")
    dose, _ = [view for view in accept(clinic, made.id, whole.token) if view.row.status == "pending"]
    later = dose.row.starts_at + timedelta(minutes=15)
    moved = clinic.do(lambda s, c: booking.reschedule(s, c, dose.id, later))
    assert (moved.row.status, moved.row.starts_at) == ("pending", later)
    assert moved.row.pencilled_until is not None
    passed(clinic, made.id)
    [rest] = offer(clinic, made.id)
    clinic.do(lambda s, c: booking.reschedule(s, c, dose.id, later + timedelta(minutes=15)))
    with pytest.raises(PlanStale):
        accept(clinic, made.id, rest.token)
    assert clinic.do(lambda s, c: courses.get(s, c, made.id)).booked[dose.row.course_session_id].status == "pending"  # type: ignore[index]


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_a_pencilled_visit_is_offered_other_times_and_goes_back(clinic: Clinic) -> None:
    made = course(clinic)
    booked = accept(clinic, made.id, offer(clinic, made.id, through="all")[0].token)
    dose = next(view.row for view in booked if view.row.status == "pending")
    asked = Question(
        "dose",
        clinic.location_id,
        dose.starts_at,
        dose.starts_at + timedelta(days=1),
        patient_id=dose.patient_id,
        exclude_appointment=dose.id,
        course_session_id=dose.course_session_id,
    )
    offers, _ = clinic.do(lambda s, c: availability.search(s, c, asked, limit=2))
    first, later = [each.start for each in offers]
    assert first == dose.starts_at
    assert clinic.do(lambda s, c: availability.explain(s, c, replace(asked, since=later))).bookable
    until = dose.pencilled_until

    def goes_back() -> bool:
        row = clinic.do(lambda s, c: visit_day.undo(s, c, dose.id)).row
        return (row.status, row.pencilled_until, row.starts_at) == ("pending", until, first)

    clinic.do(lambda s, c: booking.reschedule(s, c, dose.id, later))
    assert goes_back()
    clinic.do(lambda s, c: booking.cancel(s, c, dose.id, reason="x", by="staff"))
    assert goes_back()


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_the_patient_is_told_nothing_of_what_was_only_pencilled(clinic: Clinic) -> None:
    made = course(clinic)
    booked = accept(clinic, made.id, offer(clinic, made.id, through="all")[0].token)
    known = {str(view.id) for view in booked if view.row.status == "booked"}
    dose = next(view for view in booked if view.row.visit_type == "dose")
    changes = [Change(dose.id, "cancel")]
    found = clinic.do(lambda s, c: replanning.propose(s, c, made.id, changes, minutes=30))
    again = {str(view.id): view.row for view in clinic.do(lambda s, c: rebooking.accept(s, c, made.id, found.token))}
    assert {row.status for row in again.values()} == {"booked", "pending"}
    new = {key for key, row in again.items() if row.status == "booked"}
    assert told_of(clinic) <= known | new
    clinic.do(lambda s, c: course_life.discontinue(s, c, made.id, reason="moved away"))
    assert told_of(clinic) <= known | new


def told_of(clinic: Clinic) -> set[str]:
    """The visits of which the message about all changes tells."""
    with Session(clinic.engine) as session:
        waiting = Message.kind == "course_changed", Message.status == "pending"
        [message] = session.scalars(select(Message).where(*waiting, Message.channel == "email"))
    return {entry["id"] for entry in message.context["visits"]}


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_a_plan_to_the_gate_says_whether_the_rest_could_follow(clinic: Clinic) -> None:
    made = course(clinic)

    def ahead(through: str = "next_gate") -> list[bool | None]:
        def work(session: Session, call: Call) -> list[bool | None]:
            desk, found = planning.make_plans(session, call, made.id, through=through)
            return lookahead.continues(session, call, desk, found)

        return clinic.do(work)

    assert (ahead(), ahead("all")) == ([True], [None])
    sessions = offer(clinic, made.id)[0].plan.sessions
    takings = [taking for each in sessions for taking in each.takings]
    prescriber = next(each.resource_id for each in takings if each.selector == "role:prescriber")
    last = sessions[-1].end
    away = {"resource_id": prescriber, "start": last, "end": last + timedelta(days=90), "reason": "leave"}
    clinic.do(lambda s, c: absences.create(s, c, **away))
    assert ahead() == [False], "there is nobody for the third dose"
