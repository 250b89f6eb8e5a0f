"""No patient books a visit, or moves one, to where its fast has begun; staff may, who can ask. On both databases."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import Engine

from scheduler.core.errors import Refused
from scheduler.services import availability, booking
from scheduler.services.availability import Question
from tests.clinic import Clinic
from tests.desk import book, refused
from tests.postroom import open_postroom


@pytest.fixture
def clinic(engine: Engine) -> Clinic:
    """At eight in the morning; whoever is `fasted` eats nothing for six hours before."""
    made = open_postroom(engine)
    made.call = replace(made.call, now=made.at("2030-03-04 08:00"))
    return made


def offered(clinic: Clinic, patient: UUID, moving: UUID | None = None) -> list[datetime]:
    since = clinic.at("2030-03-04 00:00")
    day = Question("fasted", clinic.location_id, since, since + timedelta(days=1), patient, by="patient")
    asked = replace(day, exclude_appointment=moving)
    return [offer.start for offer in clinic.do(lambda s, c: availability.search(s, c, asked, limit=200))[0]]


def moved(clinic: Clinic, visit: UUID, start: str) -> datetime:
    return clinic.do(lambda s, c: booking.reschedule(s, c, visit, clinic.at(start), by="patient")).row.starts_at


def test_what_a_patient_books_leaves_the_whole_fast_ahead(clinic: Clinic) -> None:
    """The page offered half an hour from now to whoever had just had breakfast."""
    patient = clinic.patient()
    assert min(offered(clinic, patient)) == clinic.at("2030-03-04 14:00")
    [reason] = refused(clinic, patient, "fasted", "2030-03-04 13:45", by="patient").reasons
    assert (reason.code, reason.detail) == (
        "lead_time", "The patient would have had to stop eating or drinking before now.",
    )  # fmt: skip
    assert book(clinic, patient, "fasted", "2030-03-04 13:45").row.status == "booked"


def test_what_a_patient_moves_too_unless_they_fast_already(clinic: Clinic) -> None:
    visit = book(clinic, clinic.patient(), "fasted", "2030-03-04 10:00")
    assert min(offered(clinic, visit.row.patient_id, visit.id)) == clinic.at("2030-03-04 10:00")
    with pytest.raises(Refused, match="stop eating"):
        moved(clinic, visit.id, "2030-03-04 09:30")
    assert moved(clinic, visit.id, "2030-03-04 10:30") == clinic.at("2030-03-04 10:30")


def test_without_a_fast_nothing_is_too_late(clinic: Clinic) -> None:
    assert book(clinic, clinic.patient(), "session", "2030-03-04 09:00", by="patient").row.status == "booked"
