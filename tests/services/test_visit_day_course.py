"""The visit's day inside a course: pencilled visits, their gates and deadlines, and doses that were not given."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.civil import to_local
from scheduler.core.errors import AlreadyExists, Refused
from scheduler.models import Message, Task
from scheduler.services import (
    booking,
    clinical_holds,
    course_life,
    course_rules,
    courses,
    gates,
    planning,
    plans,
    protocols,
    visit_day,
)
from scheduler.services.appointments import AppointmentView
from scheduler.services.course_wishes import WantedCourse
from scheduler.services.courses import CourseView
from scheduler.services.doctor import examine
from scheduler.services.finding import Wanted
from scheduler.services.outbox import Letter
from tests.clinic import WEEK, Clinic, need, segment, visit_type, week
from tests.postroom import begin, claim, messages, settle
from tests.ward import move, refusal, row

DOSE = visit_type("dose", segment("dose", 60, need("role:nurse"), need("room:bay")), kind="dosing", modality="iv")
PROTOCOL: dict[str, Any] = {
    "code": "trial",
    "name": "Trial",
    "modality": "iv",
    "phases": [
        {
            "key": "all",
            "steps": [
                {
                    "key": "dose",
                    "visit_type": "dose",
                    "count": 4,
                    "dosing": True,
                    "gap": {"unit": "days", "min": 2, "target": 3, "max": 9},
                }
            ],
        }
    ],
    "gates": [{"key": "review", "after": {"step": "dose", "count": 2}, "kind": "hard", "deadline_days": 1}],
}


@dataclass
class Booked:
    """A course of four doses, booked whole: two before the gate, two pencilled behind it."""

    clinic: Clinic
    course: CourseView
    visits: list[AppointmentView]

    def decide(self, outcome: str) -> None:
        key = self.course.id
        self.clinic.do(lambda s, c: gates.decide(s, c, key, "review", outcome=outcome, by="Dr. Lee"))

    def start(self, place: int) -> datetime:
        return self.visits[place].row.starts_at

    def sweep(self, now: datetime) -> tuple[UUID, ...]:
        return self.clinic.do(visit_day.sweep, now=now).released


@pytest.fixture
def booked(engine: Engine) -> Booked:
    clinic = Clinic(engine, hours=week(days=(*WEEK, "sat", "sun")))
    clinic.visit(DOSE)
    clinic.staff("nurse")
    clinic.room("bay")

    def work(session: Session, call: Call) -> tuple[CourseView, list[AppointmentView]]:
        made = protocols.create(session, call, PROTOCOL)
        protocols.publish(session, call, made.id, None, approved_by="Dr. Lee", note="for the test")
        wanted = WantedCourse(patient, "trial", clinic.location_id, date(2030, 3, 4), {})
        course = courses.create(session, call, wanted)
        desk, found = planning.make_plans(session, call, course.id, count=1, through="all")
        (offered,) = plans.keep(session, call, desk, found, 30)
        return course, plans.book(session, call, course.id, offered.token)

    patient = clinic.patient()
    return Booked(clinic, *clinic.do(work))


def test_what_is_pencilled_expires_with_its_gate(booked: Booked) -> None:
    assert [view.row.status for view in booked.visits] == ["booked", "booked", "pending", "pending"]
    second = booked.visits[1].row.local_start[:10]
    last_day = (date.fromisoformat(second) + timedelta(days=2)).isoformat()
    deadline = min(booked.clinic.at(f"{last_day} 00:00"), booked.start(2))
    assert [view.row.pencilled_until for view in booked.visits] == [None, None, deadline, deadline]
    assert booked.sweep(deadline - timedelta(seconds=1)) == ()
    assert set(booked.sweep(deadline)) == {booked.visits[2].id, booked.visits[3].id}
    assert [row(booked.clinic, view.id).status for view in booked.visits] == [
        "booked", "booked", "cancelled", "cancelled",
    ]  # fmt: skip


def test_a_gate_that_was_passed_keeps_what_lies_behind_it(booked: Booked) -> None:
    booked.decide("passed")
    assert booked.sweep(booked.start(2)) == ()
    assert row(booked.clinic, booked.visits[2].id).pencilled_until is None
    view = move(booked.clinic, "confirm", booked.visits[2].id)
    assert view.row.status == "booked"


def test_a_deadline_moves_with_the_session_it_counts_from(booked: Booked) -> None:
    first = row(booked.clinic, booked.visits[2].id).pencilled_until
    assert first is not None
    later = booked.start(1) + timedelta(days=1)
    booked.clinic.do(lambda s, c: booking.reschedule(s, c, booked.visits[1].id, later))
    assert booked.sweep(first) == ()
    assert row(booked.clinic, booked.visits[2].id).pencilled_until == first + timedelta(days=1)
    assert len(booked.sweep(first + timedelta(days=1))) == 2


def test_nothing_is_confirmed_before_its_gate_is_passed(booked: Booked) -> None:
    visit = booked.visits[2].id
    found = refusal(booked.clinic, "confirm", visit)
    assert [(each.code, each.item) for each in found.reasons] == [("gate_not_passed", "review")]
    said = "The gate 'review' after session 2 ('dose') has not been passed: a clinician decides it, with the scope"
    assert found.detail == f"{said} {course_rules.DECIDES}."
    booked.decide("failed")
    assert refusal(booked.clinic, "confirm", visit).code == "gate_not_passed"
    booked.decide("waived")
    assert move(booked.clinic, "confirm", visit).row.status == "booked"


def test_a_gate_that_fails_late_flags_what_was_booked_behind_it_and_no_dose_is_given(booked: Booked) -> None:
    clinic, visit = booked.clinic, booked.visits[2].id
    booked.decide("passed")
    move(clinic, "confirm", visit)
    booked.decide("failed")
    shown = [clinic.do(lambda s, c, key=view.id: visit_day.get(s, c, key)) for view in booked.visits]
    assert [[flag.code for flag in each.flags] for each in shown] == [[], [], ["visit_affected"], ["unconfirmed"]]
    with Session(clinic.engine) as session:
        (owed,) = session.scalars(select(Task).where(Task.kind == "visit_affected"))
    assert owed.course_id == booked.visits[2].row.course_id
    assert refusal(clinic, "check_in", visit, booked.visits[2].row.local_start).code == "gate_not_passed"
    booked.decide("waived")
    assert clinic.do(lambda s, c: visit_day.get(s, c, visit)).flags == ()
    assert move(clinic, "check_in", visit, booked.visits[2].row.local_start).row.status == "checked-in"
    booked.decide("failed")
    assert refusal(clinic, "start", visit, booked.visits[2].row.local_start).code == "gate_not_passed"


def test_nothing_of_a_course_that_was_given_up_comes_back(booked: Booked) -> None:
    clinic, course_id = booked.clinic, booked.course.id
    here = booked.visits[0]
    move(clinic, "arrive", here.id, here.row.local_start)
    clinic.do(lambda s, c: course_life.discontinue(s, c, course_id, reason="moved away"), now=here.row.starts_at)
    assert refusal(clinic, "check_in", here.id, here.row.local_start).code == "on_hold"
    gone = booked.visits[1]
    assert refusal(clinic, "undo", gone.id).code == "on_hold"
    wanted = Wanted(
        gone.row.patient_id, "dose", gone.row.location_id, gone.row.starts_at,
        course_session_id=gone.row.course_session_id,
    )  # fmt: skip
    with pytest.raises(Refused) as caught:
        clinic.do(lambda s, c: booking.book(s, c, wanted))
    assert caught.value.code == "on_hold"


class TestHolds:
    """Of the course and of its patient: what a dose is owed when one of them ends."""

    def stop(self, booked: Booked) -> UUID:
        """Place both; the hold of the patient."""
        clinic, patient = booked.clinic, booked.visits[1].row.patient_id
        deadline = booked.start(0)
        clinic.do(lambda s, c: course_life.hold(s, c, booked.course.id, reason="travels"))
        held = clinic.do(lambda s, c: clinical_holds.place(s, c, patient, reason="illness", deadline=deadline))
        return held.id

    def resume(self, booked: Booked) -> None:
        booked.clinic.do(lambda s, c: course_life.resume(s, c, booked.course.id))

    def release(self, booked: Booked, hold: UUID) -> None:
        patient = booked.visits[1].row.patient_id
        booked.clinic.do(lambda s, c: clinical_holds.release(s, c, patient, hold, by="Dr. Lee", note="Well again."))

    def waiting(self, booked: Booked) -> list[Message]:
        return messages(booked.clinic, Message.appointment_id == booked.visits[1].id, Message.status == "pending")

    def test_the_staff_are_asked_to_tell_the_patient_while_a_course_is_on_hold(self, booked: Booked) -> None:
        """No message goes out about its doses; resumed, the messages go again, and a second hold asks again."""
        clinic, doses = booked.clinic, [booked.start(0), booked.start(1)]  # the others are pencilled, and not known

        def asked() -> list[tuple[str, str]]:
            mine = Task.organization_id == clinic.call.organization_id, Task.kind == "course_hold"
            with Session(clinic.engine) as session:
                found = session.scalars(select(Task).where(*mine).order_by(Task.id)).all()
            assert all(task.next_step_at == min(doses) - timedelta(days=1) for task in found if task.status == "open")
            return [(task.status, task.detail) for task in found]

        for times in (1, 2):
            clinic.do(lambda s, c: course_life.hold(s, c, booked.course.id, reason="travels"))
            status, detail = asked()[-1]
            assert (len(asked()), status) == (times, "open")
            assert detail.endswith(
                f"so tell them: {', '.join(f'{to_local(start, clinic.time_zone):%Y-%m-%d %H:%M}' for start in doses)}."
            )
            self.resume(booked)
            assert {status for status, _ in asked()} == {"dismissed"}
        clinic.do(lambda s, c: course_life.hold(s, c, booked.course.id, reason="travels"))
        clinic.do(lambda s, c: course_life.discontinue(s, c, booked.course.id, reason="moved away"))
        assert {status for status, _ in asked()} == {"dismissed"}, "they get the news of their cancelled visits"

    @pytest.mark.parametrize("course_first", [True, False])
    def test_of_two_that_end_each_leaves_every_reminder_once(self, booked: Booked, *, course_first: bool) -> None:
        owed = [each.rule for each in self.waiting(booked)]
        hold = self.stop(booked)
        assert self.waiting(booked) == []
        if course_first:
            self.resume(booked)
        self.release(booked, hold)
        if not course_first:
            self.resume(booked)
        assert [(each.rule, each.sequence) for each in self.waiting(booked)] == [(rule, 2) for rule in owed]
        with Session(booked.clinic.engine) as session:
            assert [found.key for found in examine(session, booked.clinic.call) if found.count] == []

    @pytest.mark.parametrize("by_course", [True, False])
    def test_a_move_that_nobody_had_told_of_is_told_of_afterwards(self, booked: Booked, *, by_course: bool) -> None:
        was = booked.start(1)
        booked.clinic.do(lambda s, c: booking.reschedule(s, c, booked.visits[1].id, was + timedelta(hours=1)))
        assert "rescheduled" in {each.kind for each in self.waiting(booked)}
        hold = self.stop(booked)
        if by_course:
            self.resume(booked)
        else:
            self.release(booked, hold)
        (news,) = [each for each in self.waiting(booked) if each.kind == "rescheduled"]
        assert (news.context["previous"], news.sequence) == (was.isoformat(), 2)

    @pytest.mark.parametrize("error", ["", "busy"])
    def test_what_is_leaving_as_a_hold_ends_goes_on_and_is_not_taken_back(self, booked: Booked, error: str) -> None:
        later = booked.start(1) + timedelta(hours=1)
        booked.clinic.do(lambda s, c: booking.reschedule(s, c, booked.visits[1].id, later))
        hold = self.stop(booked)
        self.resume(booked)
        news, leaving = self.begun_news(booked)
        self.release(booked, hold)
        settle(booked.clinic, leaving, news.due_at, error)
        told = {each.rule: each for each in self.of_visit(booked) if each.sequence == 3}
        assert (told["rescheduled"].id, told["rescheduled"].status) == (news.id, "pending" if error else "sent")
        assert told["rescheduled+email"].status == "pending", "what goes beside it is not taken away either"
        assert "correction" not in {each.kind for each in self.of_visit(booked)}
        if error:
            assert self.begun_news(booked)[0].id == news.id, "and it is tried again"

    def test_what_has_not_left_as_a_hold_ends_is_judged_anew(self, booked: Booked) -> None:
        later = booked.start(1) + timedelta(hours=1)
        booked.clinic.do(lambda s, c: booking.reschedule(s, c, booked.visits[1].id, later))
        hold = self.stop(booked)
        self.resume(booked)
        news, leaving = self.begun_news(booked)
        self.release(booked, hold)
        assert not begin(booked.clinic, leaving, news.due_at), "it is owed at another sequence by now"
        assert self.begun_news(booked)[0].id == news.id

    def begun_news(self, booked: Booked) -> tuple[Message, Letter]:
        """The move that a worker tells of in this moment."""
        (news,) = [each for each in self.waiting(booked) if each.rule == "rescheduled"]
        (letter,) = [each for each in claim(booked.clinic, news.due_at) if each.id == news.id]
        assert begin(booked.clinic, letter, news.due_at)
        return news, letter

    def of_visit(self, booked: Booked) -> list[Message]:
        return messages(booked.clinic, Message.appointment_id == booked.visits[1].id)


class TestNotDosed:
    def missed(self, booked: Booked) -> UUID:
        visit = booked.visits[0]
        changes = {"now": visit.row.starts_at}
        booked.clinic.do(lambda s, c: visit_day.not_dosed(s, c, visit.id, reason="fever"), **changes)
        return visit.id

    def test_a_session_without_its_dose_is_to_be_done_again(self, booked: Booked) -> None:
        self.missed(booked)
        view = booked.clinic.do(lambda s, c: courses.get(s, c, booked.course.id))
        first = view.sessions[0]
        assert first.id not in view.booked
        standing = booked.clinic.do(lambda s, c: course_rules.standing(s, c, booked.course.id))
        assert list(standing) == [1, 2, 3], "gaps count from doses that are given"
        start = booked.visits[0].row.starts_at + timedelta(hours=1)
        wanted = Wanted(view.row.patient_id, "dose", view.row.location_id, start, course_session_id=first.id)
        again = booked.clinic.do(lambda s, c: booking.book(s, c, wanted), now=start)
        assert again.row.course_session_id == first.id

    def test_and_cannot_be_had_back_once_it_has_been_booked_again(self, booked: Booked) -> None:
        visit = self.missed(booked)
        start = booked.visits[0].row.starts_at + timedelta(hours=1)
        found = booked.visits[0].row
        wanted = Wanted(found.patient_id, "dose", found.location_id, start, course_session_id=found.course_session_id)
        booked.clinic.do(lambda s, c: booking.book(s, c, wanted), now=start)
        with pytest.raises(AlreadyExists):
            booked.clinic.do(lambda s, c: visit_day.undo(s, c, visit), now=start)
        assert row(booked.clinic, visit).outcome == "not_dosed"

    def test_undone_it_counts_again(self, booked: Booked) -> None:
        visit = self.missed(booked)
        booked.clinic.do(lambda s, c: visit_day.undo(s, c, visit), now=booked.start(0))
        standing = booked.clinic.do(lambda s, c: course_rules.standing(s, c, booked.course.id))
        assert list(standing) == [0, 1, 2, 3]
