"""A course to test with: its protocol, its clinic, and the words for planning and booking it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.services import courses, planning, plans, protocols
from scheduler.services.appointments import AppointmentView
from scheduler.services.course_wishes import WantedCourse
from scheduler.services.courses import CourseView
from scheduler.services.plans import OfferedPlan
from tests.clinic import Clinic, need, segment, visit_type

EVALUATION = visit_type(
    "evaluation", segment("talk", 30, need("role:prescriber"), need("room:consult")), kind="evaluation"
)
DOSE = visit_type(
    "dose",
    segment("prep", 20, need("role:nurse"), need("role:prescriber"), need("room:bay")),
    segment("watch", 100, need("role:nurse", "shared"), need("role:prescriber", "present"), need("room:bay")),
    segment("turnover", 15, need("room:bay"), patient=False),
    kind="dosing",
    modality="iv",
)
TALK = visit_type("talk", segment("talk", 55, need("role:therapist"), need("room:consult")), kind="integration")


def protocol(count: int = 3, *, gap: tuple[int, int, int] = (2, 2, 5), gate: int | None = None) -> dict[str, Any]:
    """An evaluation, some doses, and a talk after each."""
    dose = {
        "key": "dose",
        "visit_type": "dose",
        "count": count,
        "dosing": True,
        "entry": {"anchor": "evaluation", "unit": "days", "min": 1, "target": 1, "max": 14},
        "gap": dict(zip(("unit", "min", "target", "max"), ("days", *gap), strict=True)),
    }
    talk = {
        "key": "talk",
        "visit_type": "talk",
        "each": "dose",
        "window": {"edge": "end", "unit": "hours", "min": 24, "target": 48, "max": 72},
        "before_next": True,
    }
    gates = [{"key": "review", "after": {"step": "dose", "count": gate}, "kind": "hard", "deadline_days": 14}]
    return {
        "code": "trial",
        "name": "Trial",
        "modality": "iv",
        "continuity": ["prescriber", "therapist"],
        "phases": [
            {"key": "evaluation", "steps": [{"key": "evaluation", "visit_type": "evaluation", "count": 1}]},
            {"key": "induction", "steps": [dose, talk]},
        ],
        "gates": gates if gate else [],
    }


def open_course_clinic(engine: Engine, **more: Any) -> Clinic:
    """A clinic with one of everyone and everything that the course needs."""
    made = Clinic(engine, **more)
    for document in (EVALUATION, DOSE, TALK):
        made.visit(document)
    for role in ("nurse", "prescriber", "therapist"):
        made.staff(role)
    made.room("bay")
    made.room("consult")
    return made


def approve(clinic: Clinic, document: Mapping[str, Any]) -> None:
    def work(session: Session, call: Call) -> None:
        row = protocols.create(session, call, document)
        protocols.publish(session, call, row.id, None, approved_by="A Clinician", note="for the test")

    clinic.do(work)


def course(clinic: Clinic, patient_id: UUID | None = None, code: str = "trial", **preferences: Any) -> CourseView:
    wanted = WantedCourse(patient_id or clinic.patient(), code, clinic.location_id, date(2030, 3, 4), preferences)
    return clinic.do(lambda s, c: courses.create(s, c, wanted))


def offer(clinic: Clinic, course_id: UUID, number: int = 1, through: str = "next_gate") -> list[OfferedPlan]:
    def work(session: Session, call: Call) -> list[OfferedPlan]:
        desk, found = planning.make_plans(session, call, course_id, count=number, through=through)
        return plans.keep(session, call, desk, found, 30)

    return clinic.do(work)


def accept(clinic: Clinic, course_id: UUID, token: str, **changes: Any) -> list[AppointmentView]:
    return clinic.do(lambda s, c: plans.book(s, c, course_id, token), **changes)
