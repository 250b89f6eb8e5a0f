"""A front desk to test with: three kinds of visit, and the words for booking them."""

from __future__ import annotations

from uuid import UUID

import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.errors import Refused
from scheduler.services import access, booking
from scheduler.services.appointments import AppointmentView
from scheduler.services.doctor import taken
from scheduler.services.finding import Wanted
from tests.clinic import NOW, Clinic, need, segment, visit_type

TALK = visit_type("talk", segment("talk", 60, need("role:therapist"), need("room:consult")))
WATCH = visit_type(
    "watch", segment("watch", 60, need("role:nurse", "shared")), segment("tidy", 15, need("room:bay"), patient=False)
)
INFUSION = visit_type(
    "infusion",
    segment("setup", 10, need("room:bay"), patient=False),
    segment("prep", 20, need("role:nurse"), need("role:prescriber"), need("room:bay")),
    segment("dose", 60, need("role:nurse", "shared"), need("role:prescriber", "present"), need("room:bay")),
    segment("turnover", 15, need("room:bay"), patient=False),
    kind="dosing",
    modality="iv",
)


def open_clinic(engine: Engine) -> Clinic:
    """A clinic that knows the three kinds of visit and has nobody yet."""
    made = Clinic(engine)
    for document in (TALK, WATCH, INFUSION):
        made.visit(document)
    return made


def wanted(clinic: Clinic, patient_id: UUID, code: str, start: str, **more: object) -> Wanted:
    return Wanted(patient_id, code, clinic.location_id, clinic.at(start), **more)  # type: ignore[arg-type]


def book(clinic: Clinic, patient_id: UUID, code: str, start: str, **more: object) -> AppointmentView:
    asked = wanted(clinic, patient_id, code, start, **more)
    return clinic.do(lambda session, call: booking.book(session, call, asked))


def refused(clinic: Clinic, patient_id: UUID, code: str, start: str, **more: object) -> Refused:
    with pytest.raises(Refused) as caught:
        book(clinic, patient_id, code, start, **more)
    return caught.value


def count(clinic: Clinic, table: type) -> int:
    with Session(clinic.engine) as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def overlaps(engine: Engine) -> int:
    """How often a unit is taken that is taken already, in all organizations, as the doctor sees it."""
    with Session(engine) as session:
        calls = [Call(NOW, key, "test") for key, _ in access.organizations(session)]
        return sum(1 for call in calls for _ in taken.overlaps(session, call))
