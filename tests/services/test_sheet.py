"""Rows of several tables written at once: all or none, with the guards' names, and as the mapped classes write them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast

import pytest
from sqlalchemy import Engine, Table, func, select
from sqlalchemy.orm import Session

from scheduler.core.errors import SlotTaken
from scheduler.models import Appointment, AuditEvent, Occupancy, new_id
from scheduler.services import audit
from scheduler.services.sheet import Sheet
from tests.clinic import Clinic
from tests.desk import TALK, book

EVENTS = cast("Table", AuditEvent.__table__)
OCCUPANCIES = cast("Table", Occupancy.__table__)


@pytest.fixture
def clinic(engine: Engine) -> Clinic:
    made = Clinic(engine)
    made.visit(TALK)
    made.staff("therapist")
    made.room("consult")
    return made


def values(of: Any) -> dict[str, Any]:
    return {column.key: getattr(of, column.key) for column in of.__table__.columns}


def test_what_is_put_down_reads_like_what_the_session_writes(clinic: Clinic) -> None:
    booked = book(clinic, clinic.patient(), "talk", "2030-03-04 10:00").row
    with Session(clinic.engine) as session:
        stored = session.get_one(Appointment, (clinic.call.organization_id, booked.id))
        mine = values(stored)
        assert mine == values(booked), "and the caller has all of it without reading it again"
        copy = {name: value for name, value in mine.items() if name not in {"moves", "checklist", "tasks_done"}}
        session.add(Appointment(**copy | {"id": new_id()}))
        session.flush()
        session.expire_all()
        other = session.scalars(select(Appointment).where(Appointment.id != booked.id)).one()
        assert values(other) | {"id": booked.id} == mine


def test_one_row_that_is_refused_takes_all_with_it(clinic: Clinic) -> None:
    book(clinic, clinic.patient(), "talk", "2030-03-04 10:00")
    with Session(clinic.engine) as session:
        taken = session.execute(select(OCCUPANCIES).where(OCCUPANCIES.c.blocking).limit(1)).mappings().one()
        before = session.scalar(select(func.count()).select_from(EVENTS))
        sheet = Sheet()
        sheet.add(*audit.event(clinic.call, "half", "organization", clinic.call.organization_id))
        sheet.add(OCCUPANCIES, [dict(taken) | {"id": new_id()}])
        with pytest.raises(SlotTaken):
            sheet.put_down(session)
        session.rollback()
        assert session.scalar(select(func.count()).select_from(EVENTS)) == before


def test_a_time_without_its_offset_is_not_written(clinic: Clinic) -> None:
    table, [row] = audit.event(clinic.call, "never", "organization", clinic.call.organization_id)
    sheet = Sheet()
    sheet.add(table, [row | {"at": datetime(2030, 3, 4, 10)}])  # noqa: DTZ001 - that is the point
    with Session(clinic.engine) as session, pytest.raises(Exception, match=r"not JSON serializable|naive"):
        sheet.put_down(session)
