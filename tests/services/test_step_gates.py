"""Gates that a step of a protocol carries: asked before its own sessions, besides those of the visit type."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from scheduler.core.errors import Invalid, Refused
from scheduler.models import Appointment, Task
from scheduler.services import booking, clearances, organizations, protocols, session_gates, visit_day
from scheduler.services.appointments import AppointmentView
from scheduler.services.courses import CourseView
from scheduler.services.finding import Wanted
from tests.clinic import Clinic
from tests.coursework import accept, approve, course, offer, open_course_clinic, protocol

LABS: dict[str, Any] = {
    "key": "labs",
    "label": "Labs back",
    "effect": "blocks_checkin",
    "clearance": "labs",
    "first_only": True,
    "due_hours": 48,
    "remind_hours": [24],
}
CONSENT: dict[str, Any] = {
    "key": "consent",
    "label": "Consent",
    "effect": "blocks_booking",
    "clearance": "consent",
    "due_hours": 24,
}


@pytest.fixture
def clinic(engine: Engine) -> Clinic:
    return open_course_clinic(engine)


def gated(*gates: dict[str, Any]) -> dict[str, Any]:
    document = protocol()
    document["phases"][1]["steps"][0]["gates"] = list(gates)
    return document


def state(clinic: Clinic, patient_id: UUID, kind: str, **more: date) -> None:
    said = {"kind": kind, "outcome": "approved", "valid_from": date(2030, 1, 1), "by": "Dr. Lee", **more}
    clinic.do(lambda s, c: clearances.create(s, c, patient_id, **said))


def open_tasks(clinic: Clinic) -> list[tuple[str | None, UUID | None]]:
    with Session(clinic.engine) as session:
        chosen = select(Task).where(Task.kind == session_gates.KIND, Task.status == "open")
        return sorted((task.item, task.appointment_id) for task in session.scalars(chosen))  # type: ignore[type-var]


def booked(clinic: Clinic, made: CourseView) -> list[AppointmentView]:
    return [view for view in accept(clinic, made.id, offer(clinic, made.id)[0].token) if view.row.visit_type == "dose"]


def test_labs_are_asked_for_before_the_first_dose_only(clinic: Clinic) -> None:
    approve(clinic, gated(LABS))
    made = course(clinic)
    first, second, _ = booked(clinic, made)
    start = first.row.starts_at

    def check_in(view: AppointmentView) -> None:
        clinic.do(lambda s, c: visit_day.check_in(s, c, view.id), now=view.row.starts_at)

    clinic.do(session_gates.chase, now=start - timedelta(hours=49))
    assert open_tasks(clinic) == []
    clinic.do(session_gates.chase, now=start - timedelta(hours=48))
    assert open_tasks(clinic) == [("labs", first.id)]
    with pytest.raises(Refused, match="labs"):
        check_in(first)
    state(clinic, made.row.patient_id, "labs", valid_to=date.fromisoformat(first.row.local_start[:10]))
    clinic.do(session_gates.chase, now=start - timedelta(hours=1))
    assert open_tasks(clinic) == []
    check_in(first)
    clinic.do(session_gates.chase, now=second.row.starts_at - timedelta(hours=1))
    assert open_tasks(clinic) == [], "the second dose needs none, though these count no more"
    check_in(second)


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_what_blocks_booking_bars_the_steps_own_sessions_and_no_other_such_visit(clinic: Clinic) -> None:
    approve(clinic, gated(CONSENT))
    made = course(clinic)
    with pytest.raises(Refused, match="consent"):
        booked(clinic, made)
    patient, dose = made.row.patient_id, next(each for each in made.sessions if each.step == "dose")
    alone = Wanted(patient, "dose", clinic.location_id, clinic.at("2030-03-05 09:00"), course_session_id=dose.id)
    with pytest.raises(Refused, match="consent"):
        clinic.do(lambda s, c: booking.book(s, c, alone))
    outside = replace(alone, patient_id=clinic.patient(), course_session_id=None)
    clinic.do(lambda s, c: booking.book(s, c, outside))
    state(clinic, patient, "consent")
    assert len(booked(clinic, made)) == 3


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_a_running_course_keeps_the_gates_of_its_own_version(clinic: Clinic) -> None:
    approve(clinic, gated(LABS | {"first_only": False}))
    old = booked(clinic, course(clinic))
    approve(clinic, protocol())
    new = booked(clinic, course(clinic))
    last = max(view.row.starts_at for view in (*old, *new))
    for now in (min(view.row.starts_at for view in old) - timedelta(hours=1), last - timedelta(hours=1)):
        clinic.do(session_gates.chase, now=now)
    assert {key for _, key in open_tasks(clinic)} <= {view.id for view in old}
    assert open_tasks(clinic), "its version is retired, the course is not"


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_a_visit_is_let_go_by_the_gate_of_its_step(clinic: Clinic) -> None:
    clinic.do(lambda s, c: organizations.change(s, c, 1, {"policies": {"release_ungated": True}}))
    approve(clinic, gated(LABS | {"release_hours": 24}))
    first, second, _ = booked(clinic, course(clinic))
    for hours in (25, 24):
        clinic.do(session_gates.chase, now=first.row.starts_at - timedelta(hours=hours))
        with Session(clinic.engine) as session:
            rows = [session.get_one(Appointment, (clinic.call.organization_id, view.id)) for view in (first, second)]
            assert [row.status for row in rows] == [["booked", "cancelled"][hours == 24], "booked"]


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("change", "where", "code"),
    [
        ({"item": "ride"}, "", "needs_one_proof"),
        ({"clearance": None, "item": "ride"}, "/item", "unknown_item"),
        ({"remind_hours": [48]}, "/remind_hours", "not_after_due"),
        ({"first_only": "yes"}, "/first_only", "wrong_type"),
    ],
)
def test_a_faulty_gate_is_named_where_it_stands(clinic: Clinic, change: dict[str, Any], where: str, code: str) -> None:
    document = gated({key: value for key, value in (LABS | change).items() if value is not None})
    with pytest.raises(Invalid) as caught:
        clinic.do(lambda s, c: protocols.create(s, c, document))
    pointer = f"/phases/1/steps/0/gates/0{where}"
    assert (pointer, code) in [(fault.pointer, fault.code) for fault in caught.value.faults]
