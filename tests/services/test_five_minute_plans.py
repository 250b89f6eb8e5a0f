"""Courses that fit between the quarters of the hour alone: booking takes every five minutes, so plans do too."""

from __future__ import annotations

from sqlalchemy import Engine

from scheduler.core.civil import to_local
from scheduler.services.lookahead import continues
from tests.clinic import Clinic, week
from tests.coursework import DOSE, EVALUATION, TALK, accept, approve, course, offer, protocol


def clinic_with(engine: Engine, start: str, end: str) -> Clinic:
    """Its only prescriber is there for a dose of two hours, and hardly longer."""
    made = Clinic(engine)
    for document in (EVALUATION, DOSE, TALK):
        made.visit(document)
    made.staff("nurse")
    made.staff("therapist")
    made.staff("prescriber", hours=week(start, end))
    made.room("bay")
    made.room("consult")
    approve(made, protocol(gate=2))
    return made


def test_a_course_that_fits_at_five_past_alone_is_planned_and_booked(engine: Engine) -> None:
    clinic = clinic_with(engine, "09:05", "11:05")
    made = course(clinic)
    [best] = offer(clinic, made.id)
    doses = [each.start for each in best.plan.sessions if each.spec.step == "dose"]
    assert {to_local(start, clinic.time_zone).strftime("%H:%M") for start in doses} == {"09:05"}
    assert clinic.do(lambda s, c: continues(s, c, best.desk, [best.plan])) == [True]
    assert len(accept(clinic, made.id, best.token)) == len(best.plan.sessions)


def test_a_course_that_fits_on_a_quarter_starts_on_quarters_alone(engine: Engine) -> None:
    clinic = clinic_with(engine, "09:05", "11:20")
    [best] = offer(clinic, course(clinic).id)
    assert {each.start.minute % 15 for each in best.plan.sessions} == {0}
