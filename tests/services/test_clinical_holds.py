"""Clinical holds: no dose is booked or given, therapy stays, held visits wait for the deadline or a prescriber."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from scheduler.core.errors import AlreadyExists, IllegalTransition, Invalid, Refused
from scheduler.models import Message, Resource, Task
from scheduler.services import availability, board, booking, clearances, clinical_holds, course_life, visit_day
from scheduler.services.availability import Question
from scheduler.services.clinical_holds import HoldView, Released
from tests.clinic import Clinic
from tests.coursework import open_course_clinic
from tests.desk import refused
from tests.postroom import move as reschedule
from tests.postroom import send_all
from tests.services.test_replanning import Running
from tests.ward import FIT, READY, enrolled, events, move, open_ward, refusal, row, spray, talk


@pytest.fixture
def clinic(engine: Engine) -> Clinic:
    return open_ward(engine, chairs=2)


def hold(clinic: Clinic, patient: UUID, deadline: str = "2030-03-06 12:00", **more: Any) -> HoldView:
    values = {"reason": "bp_out_of_range", "deadline": clinic.at(deadline), **more}
    return clinic.do(lambda s, c: clinical_holds.place(s, c, patient, **values))


def release(clinic: Clinic, patient: UUID, held: HoldView, at: str | None = None) -> Released:
    changes = {"now": clinic.at(at)} if at else {}
    return clinic.do(
        lambda s, c: clinical_holds.release(s, c, patient, held.id, by="Dr. Lee", note="Normal again."), **changes
    )


def pending(clinic: Clinic, visit: UUID) -> int:
    wanted = select(func.count()).where(Message.appointment_id == visit, Message.status == "pending")
    with Session(clinic.engine) as session:
        return session.scalar(wanted) or 0


def tasks_of(clinic: Clinic, kind: str) -> list[Task]:
    with Session(clinic.engine) as session:
        return list(session.scalars(select(Task).where(Task.kind == kind).order_by(Task.id)))


def codes(found: Any) -> set[str]:
    return {reason.code for reason in found.reasons}


def test_a_hold_stops_every_dose_and_no_talk(clinic: Clinic) -> None:
    patient = enrolled(clinic)
    first, second = spray(clinic, patient=patient), talk(clinic, "2030-03-05 09:00", patient)
    assert pending(clinic, first)
    assert pending(clinic, second)
    with Session(clinic.engine) as session:
        before = session.get_one(Resource, (clinic.call.organization_id, patient)).calendar_revision
    held = hold(clinic, patient)
    with Session(clinic.engine) as session:
        after = session.get_one(Resource, (clinic.call.organization_id, patient)).calendar_revision
    assert after > before  # who has looked before looks again
    assert pending(clinic, first) == 0
    assert pending(clinic, second)
    assert codes(refused(clinic, patient, "spray", "2030-03-05 13:00")) == {"on_hold"}
    assert row(clinic, talk(clinic, "2030-03-06 09:00", patient)).status == "booked"
    asked = Question("spray", clinic.location_id, clinic.at("2030-03-05 08:00"), clinic.at("2030-03-05 18:00"), patient)
    assert clinic.do(lambda s, c: availability.search(s, c, asked, limit=5))[0] == []
    assert "on_hold" in codes(clinic.do(lambda s, c: availability.explain(s, c, asked)))
    assert codes(refusal(clinic, "check_in", first, "2030-03-04 08:50", checklist=READY)) == {"on_hold"}
    seen = clinic.do(lambda s, c: board.day(s, c, clinic.location_id, date(2030, 3, 4)))
    assert [flag.item for view in seen.visits for flag in view.flags if flag.code == "on_hold"] == [held.reason]
    assert [(each.status, each.patient_id, each.due_at) for each in tasks_of(clinic, "clinical_hold")] == [
        ("open", patient, held.deadline)
    ]
    with pytest.raises(AlreadyExists):
        hold(clinic, patient)
    with pytest.raises(Invalid):
        hold(clinic, patient, "2030-03-01 06:00", reason="illness")


def test_the_staff_are_asked_to_tell_the_patient_and_of_what_they_have_not_heard(clinic: Clinic) -> None:
    """No message goes out about held visits: who believes in an earlier time would come to it, fasting."""
    clinic.call = replace(clinic.call, now=clinic.at("2030-03-01 10:00"))  # nobody's quiet hours
    patient = enrolled(clinic)
    heard, moved = spray(clinic, "2030-03-06 09:00", patient), spray(clinic, "2030-03-11 09:00", patient)
    for visit, start in ((heard, "2030-03-07 09:00"), (moved, "2030-03-12 09:00")):
        clinic.call = replace(clinic.call, now=clinic.later(minutes=4))
        send_all(clinic, clinic.call.now)
        reschedule(clinic, visit, start)
    hold(clinic, patient, "2030-03-20 12:00")
    (asked,) = tasks_of(clinic, "clinical_hold")
    assert asked.detail.endswith(
        "so tell them: 2030-03-07 09:00, 2030-03-12 09:00 (of which the patient has not heard)."
    )
    assert asked.next_step_at == clinic.at("2030-03-06 09:00"), "a day before the first of them, not at the deadline"


def test_who_is_in_the_chair_when_the_hold_comes_gets_no_dose(clinic: Clinic) -> None:
    visit = spray(clinic)
    move(clinic, "check_in", visit, "2030-03-04 08:50", checklist=READY)
    hold(clinic, row(clinic, visit).patient_id)
    assert codes(refusal(clinic, "start", visit, "2030-03-04 09:20", checklist=FIT)) == {"on_hold"}
    assert move(clinic, "not_dosed", visit, "2030-03-04 09:25", reason="Pressure.").row.outcome == "not_dosed"


def test_a_prescriber_releases_it_and_every_held_visit_is_looked_at_again(clinic: Clinic) -> None:
    patient = enrolled(clinic)
    fit, unfit = spray(clinic, patient=patient), spray(clinic, "2030-03-11 09:00", patient)
    sequence = row(clinic, fit).sequence
    held, other = hold(clinic, patient), hold(clinic, patient, reason="illness")
    assert release(clinic, patient, other).visits == ()
    assert pending(clinic, fit) == 0
    late = {"kind": "enrolled", "outcome": "revoked", "valid_from": date(2030, 3, 10), "by": "Dr. Lee"}
    clinic.do(lambda s, c: clearances.create(s, c, patient, **late))
    found = release(clinic, patient, held)
    assert (found.hold.released_by, found.let_go) == ("Dr. Lee", ())
    assert [(each.id, codes(each)) for each in found.visits] == [(fit, set()), (unfit, {"gate_not_passed"})]
    assert pending(clinic, fit)
    assert row(clinic, fit).sequence == sequence + 1
    assert [each.appointment_id for each in tasks_of(clinic, "held_visit")] == [unfit]
    assert [each.status for each in tasks_of(clinic, "clinical_hold")] == ["done", "done"]
    move(clinic, "check_in", fit, "2030-03-04 08:50", checklist=READY)
    with pytest.raises(IllegalTransition):
        release(clinic, patient, held)


def test_at_the_deadline_the_held_visits_go_and_the_hold_stays(clinic: Clinic) -> None:
    patient = enrolled(clinic)
    visit, therapy = spray(clinic, "2030-03-11 09:00", patient), talk(clinic, "2030-03-12 09:00", patient)
    hold(clinic, patient)
    early, due = clinic.at("2030-03-06 11:59"), clinic.at("2030-03-06 12:00")
    assert not clinic.do(clinical_holds.lapse, now=early)
    assert row(clinic, visit).status == "booked"
    assert clinic.do(clinical_holds.lapse, now=due)
    assert not clinic.do(clinical_holds.lapse, now=due)
    assert (row(clinic, visit).status, row(clinic, visit).cancelled_by) == ("cancelled", "clinic")
    assert row(clinic, therapy).status == "booked"
    assert events(clinic, visit)[-1].reason == "A clinical hold was not released in time."
    with pytest.raises(Exception, match="clinical hold"):
        clinic.do(lambda s, c: visit_day.undo(s, c, visit), now=due)


def test_who_was_held_did_not_fail_to_come(clinic: Clinic) -> None:
    """Neither the sweep nor a release calls it a no-show; gaps then count from the dose that was given before."""
    patient = enrolled(clinic)
    first, second = spray(clinic, patient=patient), spray(clinic, "2030-03-11 09:00", patient)
    held = hold(clinic, patient, "2030-03-20 12:00")
    found = release(clinic, patient, held, "2030-03-05 12:00")
    assert (found.let_go, [each.id for each in found.visits]) == ((first,), [second])
    assert row(clinic, first).status == "cancelled"
    move(clinic, "check_in", second, "2030-03-11 08:50", checklist=READY)


def test_to_resume_a_course_lifts_no_clinical_hold(engine: Engine) -> None:
    """It takes the scope of whoever paused it; what a clinician has stopped stays stopped."""
    running = Running(open_course_clinic(engine))
    clinic, dose = running.clinic, running.visit("dose", 1)
    hold(clinic, dose.patient_id)
    clinic.do(lambda s, c: course_life.hold(s, c, running.id))
    clinic.do(lambda s, c: course_life.resume(s, c, running.id))
    with pytest.raises(Refused) as caught:
        clinic.do(lambda s, c: booking.reschedule(s, c, dose.id, dose.starts_at + timedelta(hours=1)))
    assert "on_hold" in [each.code for each in caught.value.reasons]
