"""A ward to test a visit's day with: a dosing visit that is asked about, watched and followed up, and its moves."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from scheduler.core.errors import Refused
from scheduler.models import Appointment, AuditEvent, Occupancy
from scheduler.services import booking, clearances, visit_day
from scheduler.services.visit_day import DayView
from tests.clinic import Clinic, need, segment, visit_type
from tests.desk import TALK, book

SPRAY = visit_type(
    "spray",
    segment("prep", 20, need("role:nurse"), need("room:chair")),
    segment("dose", 15, need("role:nurse"), need("role:prescriber", "present"), need("room:chair")),
    segment("monitor", 120, need("role:nurse", "shared"), need("role:prescriber", "present"), need("room:chair")),
    segment("discharge", 10, need("role:nurse", "shared"), need("room:chair")),
    segment("turnover", 15, need("room:chair"), patient=False),
    kind="dosing",
    modality="im",
    observation={"minutes": 120, "anchor": "last_device"},
    requires={"clearances": ["enrolled"]},
    checklist=[
        {"key": "ride", "label": "Ride home", "effect": "blocks", "at": "check_in", "value": "text"},
        {"key": "fast", "label": "Fasting kept", "effect": "blocks", "at": "check_in", "same_day": True},
        {"key": "mood", "label": "Questionnaire", "effect": "warns", "at": "check_in"},
        {"key": "pulse", "label": "Pulse", "effect": "blocks", "at": "start", "value": "number", "min": 50, "max": 110},
        {"key": "walks", "label": "Walks alone", "effect": "blocks", "at": "discharge"},
    ],
    tasks=[
        {"key": "pressure", "label": "Pressure", "anchor": "last_device", "offset_minutes": 40},
        {"key": "form", "label": "Form", "anchor": "discharge", "offset_days": 7, "remind_days": [1, 5]},
    ],
)
#: What lets a patient through each point of the visit.
READY = {"ride": {"ok": True, "value": "Ann"}, "fast": {"ok": True}, "mood": {"ok": True}}
FIT = {"pulse": {"ok": True, "value": 72}}
STEADY = {"walks": {"ok": True}}


def open_ward(engine: Engine, *, chairs: int = 1, units: int = 2, zone: str = "America/New_York") -> Clinic:
    """A clinic with a nurse, a prescriber, a therapist and their rooms."""
    made = Clinic(engine, zone)
    for document in (TALK, SPRAY):
        made.visit(document)
    made.staff("nurse", units=units)
    made.staff("prescriber")
    made.staff("therapist")
    for _ in range(chairs):
        made.room("chair")
    made.room("consult")
    return made


def enrolled(clinic: Clinic) -> UUID:
    """A patient who may be given the spray."""
    patient = clinic.patient()
    valid = {"kind": "enrolled", "outcome": "approved", "valid_from": date(2030, 1, 1), "by": "Dr. Lee"}
    clinic.do(lambda s, c: clearances.create(s, c, patient, **valid))
    return patient


def spray(clinic: Clinic, start: str = "2030-03-04 09:00", patient: UUID | None = None) -> UUID:
    """A booked dosing visit."""
    return book(clinic, patient or enrolled(clinic), "spray", start).id


def talk(clinic: Clinic, start: str = "2030-03-04 09:00", patient: UUID | None = None) -> UUID:
    """A booked visit without anything around it."""
    return book(clinic, patient or clinic.patient(), "talk", start).id


def move(clinic: Clinic, action: str, visit: UUID, when: str | None = None, /, **more: Any) -> DayView:
    """Make a move when the clinic's clock shows `when` ("2030-03-04 09:00")."""
    act = getattr(visit_day, action)
    changes = {"now": clinic.at(when)} if when else {}
    scopes = {"scopes": more.pop("scopes")} if "scopes" in more else {}
    found: DayView = clinic.do(lambda s, c: act(s, c, visit, **more), **changes, **scopes)
    return found


def cancel(clinic: Clinic, visit: UUID, at: str | None = None) -> None:
    changes = {"now": clinic.at(at)} if at else {}
    clinic.do(lambda s, c: booking.cancel(s, c, visit, reason="ill", by="staff"), **changes)


def watched(clinic: Clinic, visit: UUID) -> DayView:
    """Through check-in and dose: the last device at 09:30, so that the watch is over at 11:30."""
    move(clinic, "check_in", visit, "2030-03-04 08:50", checklist=READY)
    when = {"at": clinic.at("2030-03-04 09:20"), "last_device_at": clinic.at("2030-03-04 09:30")}
    return move(clinic, "start", visit, "2030-03-04 09:31", checklist=FIT, **when)


def refusal(clinic: Clinic, action: str, visit: UUID, when: str | None = None, /, **more: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        move(clinic, action, visit, when, **more)
    return caught.value


def row(clinic: Clinic, visit: UUID) -> Appointment:
    with Session(clinic.engine) as session:
        return session.get_one(Appointment, (clinic.call.organization_id, visit))


def events(clinic: Clinic, visit: UUID) -> list[AuditEvent]:
    with Session(clinic.engine) as session:
        return list(session.scalars(select(AuditEvent).where(AuditEvent.subject_id == visit).order_by(AuditEvent.id)))


def taken(clinic: Clinic, visit: UUID) -> set[tuple[str, str, str]]:
    """Who is taken by the visit from when to when, by the clinic's clock: ("role:nurse", "09:00", "09:20")."""
    with Session(clinic.engine) as session:
        rows = session.scalars(select(Occupancy).where(Occupancy.appointment_id == visit)).all()
    zero = clinic.at("2030-03-04 00:00")

    def clock(instant: Any) -> str:
        minutes = (instant - zero).total_seconds() // 60
        return f"{int(minutes // 60):02}:{int(minutes % 60):02}"

    return {(each.role, clock(each.starts_at), clock(each.ends_at)) for each in rows}
