"""A front desk to test with: three kinds of visit, and the words for booking them."""

from __future__ import annotations

from uuid import UUID

import pytest
from sqlalchemy import Engine, func, select, text
from sqlalchemy.orm import Session

from scheduler.core.errors import Refused
from scheduler.services import booking
from scheduler.services.appointments import AppointmentView
from scheduler.services.finding import Wanted
from tests.clinic import Clinic, need, segment, visit_type

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
    """Pairs of blocking rows of one unit that overlap."""
    pairs = text(
        "SELECT count(*) FROM occupancies a JOIN occupancies b ON a.organization_id = b.organization_id"
        " AND a.resource_id = b.resource_id AND a.unit = b.unit AND a.id < b.id AND a.blocking AND b.blocking"
        " AND a.starts_at < b.ends_at AND b.starts_at < a.ends_at"
    )
    with engine.connect() as connection:
        return int(connection.execute(pairs).scalar_one())
