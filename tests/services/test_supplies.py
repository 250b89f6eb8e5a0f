"""A supply for one patient alone has a clock: planned, booked and moved within it, and shown where it is not kept."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine

from scheduler.core.errors import Invalid, NoFeasiblePlan, Refused
from scheduler.services import booking, courses, replanning, supplies
from scheduler.services.course_wishes import WantedCourse
from scheduler.services.courses import CourseView
from scheduler.services.finding import Wanted
from tests.clinic import Clinic
from tests.coursework import accept, approve, course, offer, open_course_clinic, protocol


@pytest.fixture
def clinic(engine: Engine) -> Clinic:
    made = open_course_clinic(engine)
    document = protocol(2, gap=(2, 4, 9))
    dose = document["phases"][1]["steps"][0]
    dose["supply"] = {"mode": "patient_specific", "use_within_days": 10}
    dose["sessions"] = {"min": 1, "max": 4}
    document["phases"][1]["steps"].insert(
        0,
        {
            "key": "extra",
            "visit_type": "evaluation",
            "optional": True,
            "entry": {"anchor": "evaluation", "min": 1, "target": 1, "max": 9},
        },
    )
    dose["entry"]["anchor"] = "evaluation"
    approve(made, document)
    return made


def receive(clinic: Clinic, made: CourseView, received_on: date | None, *places: int, **more: Any) -> CourseView:
    keys = [made.sessions[place].id for place in places]
    return clinic.do(lambda s, c: supplies.receive(s, c, made.id, session_ids=keys, received_on=received_on, **more))


def day_of(clinic: Clinic, course_id: UUID, place: int) -> date:
    view = clinic.do(lambda s, c: courses.get(s, c, course_id))
    return date.fromisoformat(view.booked[view.sessions[place].id].local_start[:10])


FIRST, SECOND = 1, 3


def test_a_plan_keeps_the_clock_where_its_wishes_lead_past_it(clinic: Clinic) -> None:
    made = course(clinic)
    days = {each.spec.index: each.start.date() for each in offer(clinic, made.id)[0].plan.sessions}
    received = days[SECOND] - timedelta(days=11)
    assert (days[SECOND] - days[FIRST]).days == 3
    held = receive(clinic, made, received, SECOND)
    assert held.sessions[SECOND].use_by == received + timedelta(days=10)
    assert held.revision != made.revision
    again = {each.spec.index: each.start.date() for each in offer(clinic, made.id)[0].plan.sessions}
    assert again[SECOND] == days[SECOND] - timedelta(days=1)


def test_no_plan_leads_past_it_and_the_refusal_names_it(clinic: Clinic) -> None:
    made = course(clinic)
    receive(clinic, made, date(2030, 2, 20), SECOND)  # to be given by 2 March, before the course may begin
    with pytest.raises(NoFeasiblePlan) as refused:
        offer(clinic, made.id)
    assert "supply_expired" in [each["code"] for each in refused.value.blocking]
    receive(clinic, made, None, SECOND)
    assert offer(clinic, made.id)


def test_a_booking_and_a_move_past_it_are_refused(clinic: Clinic) -> None:
    made = course(clinic)
    booked = accept(clinic, made.id, offer(clinic, made.id)[0].token)
    dose = next(view.row for view in booked if view.row.course_session_id == made.sessions[SECOND].id)
    day = day_of(clinic, made.id, SECOND)
    shown = receive(clinic, made, day - timedelta(days=10), SECOND)
    assert shown.broken == (), "its last day is within"
    later = dose.starts_at + timedelta(days=3)  # the next day on which the clinic is open: Monday
    with pytest.raises(Refused) as refused:
        clinic.do(lambda s, c: booking.reschedule(s, c, dose.id, later, revision=dose.revision))
    # Past its talk as well, which is therefore too early.
    assert {reason.code for reason in refused.value.reasons} == {"gap_too_short", "supply_expired"}
    clinic.do(lambda s, c: booking.cancel(s, c, dose.id, reason="moved", by="staff"))
    wanted = Wanted(made.row.patient_id, "dose", clinic.location_id, later, course_session_id=made.sessions[SECOND].id)
    with pytest.raises(Refused) as refused:
        clinic.do(lambda s, c: booking.book(s, c, wanted))
    assert "supply_expired" in [reason.code for reason in refused.value.reasons]


def test_a_late_record_shows_the_visit_and_planning_anew_mends_it(clinic: Clinic) -> None:
    made = course(clinic)
    accept(clinic, made.id, offer(clinic, made.id)[0].token)
    day = day_of(clinic, made.id, SECOND)
    shown = receive(clinic, made, day - timedelta(days=11), SECOND)
    assert [(each.index, each.code) for each in shown.broken] == [(SECOND, "supply_expired")]
    talk = shown.booked[made.sessions[FIRST + 1].id]
    change = replanning.Change(talk.id, "move")
    found = clinic.do(lambda s, c: replanning.propose(s, c, made.id, [change], minutes=30))
    moved = {each.session_id: each.start.date() for each in found.moved}
    assert moved[made.sessions[SECOND].id] < day
    assert found.broken == ()


def test_what_cannot_be_received_is_named(clinic: Clinic) -> None:
    made = course(clinic)
    with pytest.raises(Invalid) as refused:
        receive(clinic, made, date(2031, 1, 1), 0, FIRST, FIRST)
    assert [(fault.pointer, fault.code) for fault in refused.value.faults] == [
        ("/session_ids/0", "no_supply"),
        ("/session_ids/2", "twice"),
        ("/received_on", "in_the_future"),
    ]


class TestChoices:
    def test_a_course_has_the_steps_and_the_numbers_that_it_chooses(self, clinic: Clinic) -> None:
        made = course(clinic, optional_steps=["extra"], sessions={"dose": 3})
        steps = ["evaluation", "extra", "dose", "talk", "dose", "talk", "dose", "talk"]
        assert [each.step for each in made.sessions] == steps
        booked = accept(clinic, made.id, offer(clinic, made.id)[0].token)
        assert len(booked) == len(steps)
        [only, talk] = course(clinic, sessions={"dose": 1}).sessions[1:]
        assert (only.step, talk.step) == ("dose", "talk")

    @pytest.mark.parametrize(
        ("wishes", "pointer", "code"),
        [
            ({"sessions": {"dose": 5}}, "/preferences/sessions/dose", "out_of_range"),
            ({"sessions": {"talk": 1}}, "/preferences/sessions/talk", "unknown_step"),
            ({"optional_steps": ["dose"]}, "/preferences/optional_steps/0", "unknown_step"),
        ],
    )
    def test_what_the_protocol_does_not_leave_open_is_refused(
        self, clinic: Clinic, wishes: dict[str, Any], pointer: str, code: str
    ) -> None:
        wanted = WantedCourse(clinic.patient(), "trial", clinic.location_id, date(2030, 3, 4), wishes)
        with pytest.raises(Invalid) as refused:
            clinic.do(lambda s, c: courses.create(s, c, wanted))
        assert [(fault.pointer, fault.code) for fault in refused.value.faults] == [(pointer, code)]
