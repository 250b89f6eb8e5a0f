"""Policies by who asks, on both databases: lead, horizon, cut-offs, the number of moves, classed reasons."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from scheduler.core.errors import Invalid, Refused
from scheduler.core.localgrid import Wish
from scheduler.core.overriding import override_of
from scheduler.models import AuditEvent
from scheduler.services import appointments, availability, booking, organizations
from scheduler.services.appointments import AppointmentView
from tests.clinic import Clinic
from tests.desk import book, open_clinic, refused

TEN = "2030-03-04 10:00"


@pytest.fixture
def clinic(engine: Engine) -> Clinic:
    made = open_clinic(engine)
    made.staff("therapist")
    made.room("consult")
    return made


def policy(clinic: Clinic, **policies: Any) -> None:
    clinic.do(lambda s, c: organizations.change(s, c, 1, {"policies": policies}))


def move(clinic: Clinic, made: AppointmentView, start: str, by: Any = "patient", **more: Any) -> AppointmentView:
    now = more.pop("now", clinic.call.now)
    return clinic.do(lambda s, c: booking.reschedule(s, c, made.id, clinic.at(start), by=by, **more), now=now)


def test_a_patient_books_within_a_lead_and_horizon_of_their_own(clinic: Clinic) -> None:
    policy(clinic, patient_lead_minutes=60 * 24 * 4, patient_horizon_days=14)
    assert refused(clinic, clinic.patient(), "talk", TEN, by="patient").code == "lead_time"
    assert refused(clinic, clinic.patient(), "talk", "2030-04-01 10:00", by="patient").code == "horizon"
    book(clinic, clinic.patient(), "talk", TEN)
    book(clinic, clinic.patient(), "talk", "2030-04-01 10:00")


def test_what_a_patient_is_offered_a_patient_can_book_and_nothing_else(clinic: Clinic) -> None:
    policy(clinic, patient_lead_minutes=60 * 24 * 4)
    span = clinic.at("2030-03-04 08:00"), clinic.at("2030-03-06 18:00")
    question = availability.Question("talk", clinic.location_id, *span, wish=Wish(step=60), by="patient")
    offers, _ = clinic.do(lambda s, c: availability.search(s, c, question, limit=100))
    assert offers[0].start == clinic.at("2030-03-05 08:00"), "four days from Friday at seven"
    for hours in range(24):
        start = span[0] + timedelta(hours=hours)
        local = f"2030-03-{4 + (8 + hours) // 24:02} {(8 + hours) % 24:02}:00"
        if start in {offer.start for offer in offers}:
            made = book(clinic, clinic.patient(), "talk", local, by="patient")
            clinic.do(lambda s, c, gone=made.id: booking.cancel(s, c, gone, reason="x", by="clinic"))
        else:
            refused(clinic, clinic.patient(), "talk", local, by="patient")


class TestCutoffs:
    @pytest.fixture
    def made(self, clinic: Clinic) -> AppointmentView:
        policy(
            clinic,
            cancel_cutoff_minutes={"patient": 24 * 60, "staff": 60},
            reschedule_cutoff_minutes={"patient": 48 * 60, "staff": 0},
        )
        return book(clinic, clinic.patient(), "talk", TEN)

    @pytest.mark.parametrize(("by", "hours"), [("patient", 24), ("staff", 1)])
    def test_a_cancellation_in_time_and_one_too_late(
        self, clinic: Clinic, made: AppointmentView, by: Any, hours: int
    ) -> None:
        last = made.row.starts_at - timedelta(hours=hours)
        with pytest.raises(Refused) as caught:
            clinic.do(lambda s, c: booking.cancel(s, c, made.id, reason="x", by=by), now=last + timedelta(seconds=1))
        assert caught.value.code == "cutoff"
        assert clinic.do(lambda s, c: appointments.get(s, c, made.id)).row.status == "booked"
        clinic.do(lambda s, c: booking.cancel(s, c, made.id, reason="x", by=by), now=last)

    def test_the_clinic_is_never_too_late(self, clinic: Clinic, made: AppointmentView) -> None:
        now = made.row.starts_at - timedelta(minutes=1)
        clinic.do(lambda s, c: booking.cancel(s, c, made.id, reason="x", by="clinic"), now=now)

    def test_moves_have_a_cutoff_of_their_own(self, clinic: Clinic, made: AppointmentView) -> None:
        now = made.row.starts_at - timedelta(hours=47)
        with pytest.raises(Refused) as caught:
            move(clinic, made, "2030-03-05 10:00", now=now)
        assert caught.value.code == "cutoff"
        move(clinic, made, "2030-03-05 10:00", by="staff", now=now)

    def test_an_override_lifts_it_for_a_move(self, clinic: Clinic, made: AppointmentView) -> None:
        now, override = made.row.starts_at - timedelta(hours=1), override_of(["cutoff"], "snow")
        moved = move(clinic, made, "2030-03-05 10:00", now=now, override=override)
        assert moved.row.override is not None
        assert moved.row.override["rules"] == ["cutoff"]

    def test_who_serves_may_change_at_any_time(self, clinic: Clinic, made: AppointmentView) -> None:
        move(clinic, made, TEN, now=made.row.starts_at - timedelta(hours=1))


def test_a_patient_moves_a_visit_so_often_and_staff_as_they_like(clinic: Clinic) -> None:
    policy(clinic, max_moves={"patient": 2})
    made = book(clinic, clinic.patient(), "talk", TEN)
    move(clinic, made, "2030-03-04 11:00")
    for hour in ("12:00", "13:00", "14:00"):
        move(clinic, made, f"2030-03-04 {hour}", by="staff")
    moved = move(clinic, made, "2030-03-04 15:00")
    assert moved.row.moves == {"patient": 2, "staff": 3}
    with pytest.raises(Refused) as caught:
        move(clinic, made, "2030-03-04 16:00")
    assert caught.value.code == "too_many_changes"
    move(clinic, made, "2030-03-04 16:00", by="clinic")


def test_reasons_are_classed_by_the_organizations_own_words(clinic: Clinic) -> None:
    policy(clinic, reasons=["snow", "ill"])
    made = book(clinic, clinic.patient(), "talk", TEN)
    for change in (
        lambda s, c: booking.cancel(s, c, made.id, reason="x", by="staff", category="weather"),
        lambda s, c: booking.reschedule(s, c, made.id, clinic.at("2030-03-04 12:00"), category="weather"),
    ):
        with pytest.raises(Invalid) as caught:
            clinic.do(change)
        assert [fault.code for fault in caught.value.faults] == ["unknown_category"]
    move(clinic, made, "2030-03-04 12:00", reason="roads", category="snow")
    gone = clinic.do(lambda s, c: booking.cancel(s, c, made.id, reason="fever", by="patient", category="ill"))
    assert (gone.row.cancel_category, gone.row.cancelled_by) == ("ill", "patient")
    with Session(clinic.engine) as session:
        moved = session.scalars(select(AuditEvent).where(AuditEvent.action == "appointment.reschedule")).one()
    assert moved.after is not None
    assert (moved.reason, moved.after["by"], moved.after["category"]) == ("roads", "patient", "snow")
