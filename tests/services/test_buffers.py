"""Setting up and turning over: they take time of rooms and people, count between services, and widen no visit."""

from __future__ import annotations

from sqlalchemy import Engine

from tests.clinic import need, segment, visit_type
from tests.desk import book, open_clinic, refused


def test_turnover_of_one_service_keeps_another_away_and_widens_no_visit(engine: Engine) -> None:
    """The bay is tidied for a quarter of an hour after an infusion, whatever comes next; the patient has gone home."""
    clinic = open_clinic(engine)
    clinic.visit(visit_type("rest", segment("rest", 30, need("room:bay"))))
    clinic.staff("nurse")
    clinic.staff("prescriber")
    clinic.room("bay")
    first = book(clinic, clinic.patient(), "infusion", "2030-03-04 10:00")
    assert first.row.ends_at == clinic.at("2030-03-04 11:20")
    refusal = refused(clinic, clinic.patient(), "rest", "2030-03-04 11:20")
    assert {reason.code for reason in refusal.reasons} == {"resource_busy"}
    assert refusal.reasons[0].end == clinic.at("2030-03-04 11:35")
    assert book(clinic, clinic.patient(), "rest", "2030-03-04 11:35").row.starts_at == clinic.at("2030-03-04 11:35")
    # And setting up: ten minutes before the next infusion nobody else may still be in it.
    book(clinic, clinic.patient(), "infusion", "2030-03-04 13:00")
    assert refused(clinic, clinic.patient(), "rest", "2030-03-04 12:25").code == "resource_busy"
