"""Limits between doses where visits are written: single, moved, in series and in courses; on both databases."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, update
from sqlalchemy.orm import Session

from scheduler.core.civil import to_local
from scheduler.core.errors import Invalid, NoFeasiblePlan, PlanStale, Refused
from scheduler.core.localgrid import Wish
from scheduler.core.overriding import override_of
from scheduler.models import Appointment
from scheduler.services import availability, booking, locations, series, visit_types
from scheduler.services.finding import Wanted
from scheduler.services.plans import OfferedPlan
from tests.clinic import Clinic, need, segment, visit_type, week
from tests.coursework import accept, approve, course, offer, open_course_clinic, protocol
from tests.desk import book, open_clinic, refused, wanted


def dosing(code: str, modality: str, **limits: Any) -> dict[str, Any]:
    more = {"limits": limits} if limits else {}
    return visit_type(code, segment("dose", 60, need("role:nurse")), kind="dosing", modality=modality, **more)


@pytest.fixture
def clinic(engine: Engine) -> Clinic:
    made = open_clinic(engine)
    made.visit(dosing("drip", "iv", min_hours_between_doses=24, max_per_days={"count": 2, "days": 7}))
    made.visit(dosing("shot", "im", min_hours_between_doses=48, modalities=["iv", "im"]))
    made.staff("nurse")
    made.staff("nurse")
    return made


def codes(refusal: Refused) -> set[str]:
    return {reason.code for reason in refusal.reasons}


def test_another_patients_dose_is_no_business_of_this_one(clinic: Clinic) -> None:
    book(clinic, clinic.patient(), "drip", "2030-03-04 09:00")
    book(clinic, clinic.patient(), "drip", "2030-03-04 09:00")


def test_two_kinds_of_visit_twelve_hours_apart_are_refused_both_ways(clinic: Clinic) -> None:
    for first, second in (("drip", "shot"), ("shot", "drip")):
        patient = clinic.patient()
        book(clinic, patient, first, "2030-03-05 09:00")
        for start in ("2030-03-04 12:00", "2030-03-05 15:00", "2030-03-07 08:55"):
            assert codes(refused(clinic, patient, second, start)) == {"dose_interval"}
        book(clinic, patient, second, "2030-03-07 09:00")


def test_at_another_location_too(clinic: Clinic) -> None:
    patient = clinic.patient()
    book(clinic, patient, "drip", "2030-03-04 09:00")
    values = {"name": "Harbor East", "time_zone": "America/Chicago", "hours": week()}
    clinic.location_id = clinic.do(lambda s, c: locations.create(s, c, values).id)
    clinic.time_zone = "America/Chicago"
    clinic.staff("nurse")
    assert codes(refused(clinic, patient, "drip", "2030-03-04 15:00")) == {"dose_interval"}
    book(clinic, patient, "drip", "2030-03-05 09:00")


def test_so_many_in_a_window_and_no_more(clinic: Clinic) -> None:
    patient = clinic.patient()
    for day in ("04", "07"):
        book(clinic, patient, "drip", f"2030-03-{day} 09:00")
    assert codes(refused(clinic, patient, "drip", "2030-03-08 15:00")) == {"dose_interval"}
    book(clinic, patient, "drip", "2030-03-11 09:00")


def test_what_was_cancelled_or_not_given_does_not_count(clinic: Clinic) -> None:
    patient = clinic.patient()
    gone = book(clinic, patient, "drip", "2030-03-04 09:00")
    clinic.do(lambda s, c: booking.cancel(s, c, gone.id, reason="x", by="staff"))
    made = book(clinic, patient, "drip", "2030-03-04 13:00")
    assert codes(refused(clinic, patient, "drip", "2030-03-05 09:00")) == {"dose_interval"}
    with Session(clinic.engine) as session:
        session.execute(
            update(Appointment).where(Appointment.id == made.id).values(status="fulfilled", outcome="not_dosed")
        )
        session.commit()
    book(clinic, patient, "drip", "2030-03-05 09:00")


def test_what_was_given_counts_from_when_it_was(clinic: Clinic) -> None:
    """Planned for nine, given at two: the next is a day after that."""
    patient = clinic.patient()
    made = book(clinic, patient, "drip", "2030-03-04 09:00")
    given = {"status": "fulfilled", "dosed_at": clinic.at("2030-03-04 14:00")}
    with Session(clinic.engine) as session:
        session.execute(update(Appointment).where(Appointment.id == made.id).values(given))
        session.commit()
    assert codes(refused(clinic, patient, "drip", "2030-03-05 13:55")) == {"dose_interval"}
    book(clinic, patient, "drip", "2030-03-05 14:00")


def test_a_visit_that_moves_is_not_in_its_own_way(clinic: Clinic) -> None:
    patient = clinic.patient()
    made = book(clinic, patient, "drip", "2030-03-04 09:00")
    book(clinic, patient, "drip", "2030-03-06 09:00")
    with pytest.raises(Refused) as caught:
        clinic.do(lambda s, c: booking.reschedule(s, c, made.id, clinic.at("2030-03-05 10:00")))
    assert codes(caught.value) == {"dose_interval"}
    clinic.do(lambda s, c: booking.reschedule(s, c, made.id, clinic.at("2030-03-04 14:00")))


def test_a_clinicians_override_lifts_it_on_record(clinic: Clinic) -> None:
    patient = clinic.patient()
    book(clinic, patient, "drip", "2030-03-04 09:00")
    made = book(
        clinic, patient, "drip", "2030-03-04 15:00", override=override_of(["dose_interval"], "half a dose each")
    )
    assert made.row.override is not None
    assert made.row.override["rules"] == ["dose_interval"]


def test_everything_offered_books_and_everything_else_is_refused(clinic: Clinic) -> None:
    """The law of availability, with doses of several kinds around."""
    patient = clinic.patient()
    book(clinic, patient, "shot", "2030-03-04 10:00")
    book(clinic, patient, "drip", "2030-03-07 13:00")
    span = clinic.at("2030-03-04 00:00"), clinic.at("2030-03-14 00:00")
    question = availability.Question("drip", clinic.location_id, *span, patient_id=patient, wish=Wish(step=60))
    offers, more = clinic.do(lambda s, c: availability.search(s, c, question, limit=1000))
    assert more is None
    offered = {each.start for each in offers}
    barred = 0
    for hours in range(240):
        start = span[0] + timedelta(hours=hours)
        ask = Wanted(patient, "drip", clinic.location_id, start)
        if start in offered:
            clinic.do(lambda s, c, ask=ask: booking.book(s, c, ask), dry_run=True)
            continue
        with pytest.raises(Refused) as caught:
            clinic.do(lambda s, c, ask=ask: booking.book(s, c, ask), dry_run=True)
        barred += codes(caught.value) == {"dose_interval"}
    assert offered
    assert barred > 5


def test_the_visits_of_a_series_mind_each_other(clinic: Clinic) -> None:
    daily = wanted(clinic, clinic.patient(), "drip", "2030-03-04 09:00")
    with pytest.raises(Refused) as caught:
        clinic.do(lambda s, c: series.create(s, c, daily, "FREQ=DAILY;COUNT=3"))
    assert codes(caught.value) == {"dose_interval"}
    clinic.do(lambda s, c: series.create(s, c, daily, "FREQ=WEEKLY;COUNT=3"))


class TestCourses:
    """The clinic of the courses; its infusions get limits here."""

    @pytest.fixture
    def clinic(self, engine: Engine) -> Clinic:
        made = open_course_clinic(engine)
        self.limit(made, min_hours_between_doses=30, modalities=["iv", "im"])
        made.visit(dosing("shot", "im", min_hours_between_doses=30, modalities=["iv", "im"]))
        return made

    def limit(self, clinic: Clinic, **limits: Any) -> None:
        def change(session: Any, call: Any) -> UUID:
            known = visit_types.listing(session, call).items
            dose = next(view for view in known if view.code == "dose")
            return visit_types.change(session, call, dose.id, dose.revision, {"limits": limits}).id

        clinic.do(change)

    def shot_before(self, clinic: Clinic, planned: OfferedPlan, patient_id: UUID) -> datetime:
        """A shot on the eve of the plan's first dose, in the afternoon."""
        dose = next(each for each in planned.plan.sessions if each.spec.step == "dose")
        eve = to_local(dose.start, clinic.time_zone) - timedelta(days=1)
        return book(clinic, patient_id, "shot", f"{eve:%Y-%m-%d} 14:00").row.starts_at

    def test_a_plan_keeps_away_from_doses_elsewhere(self, clinic: Clinic) -> None:
        approve(clinic, protocol())
        made = course(clinic)
        [first] = offer(clinic, made.id)
        shot = self.shot_before(clinic, first, made.row.patient_id)
        [second] = offer(clinic, made.id)
        doses = [each.start for each in second.plan.sessions if each.spec.step == "dose"]
        assert all(abs(start - shot) >= timedelta(hours=30) for start in doses), doses
        assert accept(clinic, made.id, second.token)

    def test_a_plan_that_a_dose_came_in_between_is_stale(self, clinic: Clinic) -> None:
        approve(clinic, protocol())
        made = course(clinic)
        [first] = offer(clinic, made.id)
        self.shot_before(clinic, first, made.row.patient_id)
        with pytest.raises(PlanStale, match="less than 30 hours"):
            accept(clinic, made.id, first.token)

    def test_a_protocol_that_the_limits_never_allow_is_refused_by_name(self, clinic: Clinic) -> None:
        self.limit(clinic, max_per_days={"count": 1, "days": 7})
        with pytest.raises(Invalid) as caught:
            approve(clinic, protocol())
        [fault] = caught.value.faults
        assert (fault.pointer, fault.code) == ("/phases", "contradictory_rules")
        assert "dose 3 is at most 5 day(s) after dose 2" in fault.detail
        assert "'dose' allows 1 dose(s) in 7 days" in fault.detail

    def test_limits_that_came_after_the_protocol_leave_no_plan(self, clinic: Clinic) -> None:
        """No plan is offered that is refused when it is booked."""
        approve(clinic, protocol())
        self.limit(clinic, max_per_days={"count": 1, "days": 7})
        with pytest.raises(NoFeasiblePlan):
            offer(clinic, course(clinic).id)

    @pytest.mark.parametrize(
        "limits", [{"max_per_days": {"count": 2, "days": 7}}, {"min_hours_between_doses": 52}], ids=["days", "hours"]
    )
    def test_a_plan_keeps_the_limits_between_its_own_doses(self, clinic: Clinic, limits: dict[str, Any]) -> None:
        """By the protocol alone they would be two days apart, all at the same hour."""
        self.limit(clinic, **limits)
        approve(clinic, protocol())
        made = course(clinic)
        [best] = offer(clinic, made.id)
        assert len(accept(clinic, made.id, best.token)) == len(best.plan.sessions)
