"""What is checked is what is written: units and rooms that are numbered anew collide with none that was left out."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from uuid import UUID

import pytest
from sqlalchemy import Engine, select, update
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.errors import Refused, SlotTaken
from scheduler.core.overriding import override_of
from scheduler.database import TRIES
from scheduler.models import Occupancy, ResourceUnit
from scheduler.services import booking
from scheduler.services.locks import bump_calendars
from scheduler.services.settling import settle
from tests.clinic import Clinic, need, segment, visit_type
from tests.desk import WATCH, book, overlaps, wanted

PREP = segment("prep", 20, need("role:nurse"))
ALL_OF_HER = visit_type("whole", PREP)
THEN_SHE_WATCHES = visit_type("both", PREP, segment("dose", 60, need("role:nurse", "shared")))
TALK = segment("talk", 30, need("room:consult"))
TWICE = visit_type("twice", TALK, segment("rest", 30), {**TALK, "name": "again"})


def test_an_extra_unit_is_seen_when_the_others_are_numbered_anew(engine: Engine) -> None:
    clinic = Clinic(engine)
    for document in (WATCH, ALL_OF_HER, THEN_SHE_WATCHES):
        clinic.visit(document)
    clinic.staff("nurse", units=2)
    for _ in range(3):
        clinic.room("bay")
    pushed = override_of(["resource_busy"], "no other way")
    made = book(clinic, clinic.patient(), "watch", "2030-03-04 09:30")
    book(clinic, clinic.patient(), "watch", "2030-03-04 10:00")
    clinic.do(lambda s, c: booking.cancel(s, c, made.id, reason="ill", by="patient"))
    book(clinic, clinic.patient(), "watch", "2030-03-04 09:00")  # one unit is busy till ten, the other from then on
    book(clinic, clinic.patient(), "whole", "2030-03-04 09:00", override=pushed)
    book(clinic, clinic.patient(), "both", "2030-03-04 09:00", override=pushed)
    assert overlaps(engine) == 0


def test_only_who_has_the_rooms_own_unit_changes_places(engine: Engine) -> None:
    """A visit that comes to rooms twice: the second time it overlaps somebody by an override, and that stays."""
    clinic = Clinic(engine)
    for document in (visit_type("talk", TALK), TWICE):
        clinic.visit(document)
    rooms = clinic.room("consult"), clinic.room("consult")
    before = book(clinic, clinic.patient(), "talk", "2030-03-04 08:30").id
    pushed = book(clinic, clinic.patient(), "twice", "2030-03-04 09:00").id

    def sit(session: Session, call: Call) -> None:
        extra = {"organization_id": call.organization_id, "resource_id": rooms[0], "unit": 1, "extra": True}
        session.add(ResourceUnit(**extra))
        session.flush()
        for visit, clock, room, unit in ((before, "08:30", 1, 0), (pushed, "09:00", 0, 0), (pushed, "10:00", 0, 1)):
            row = Occupancy.appointment_id == visit, Occupancy.starts_at == clinic.at(f"2030-03-04 {clock}")
            seat = update(Occupancy).where(*row, Occupancy.role == "room:consult")
            session.execute(seat.values(resource_id=rooms[room], unit=unit))
        bump_calendars(session, call, rooms)

    clinic.do(sit)
    book(clinic, clinic.patient(), "talk", "2030-03-04 08:40")
    with Session(engine) as session:
        mine = Occupancy.appointment_id == pushed, Occupancy.role == "room:consult"
        found = session.execute(
            select(Occupancy.resource_id, Occupancy.unit).where(*mine).order_by(Occupancy.starts_at)
        )
        assert [tuple(row) for row in found] == [(rooms[1], 0), (rooms[0], 1)]


def both(clinic: Clinic, patients: Sequence[UUID]) -> None:
    """Two visits that were looked at without each other, written together."""

    def write(session: Session, call: Call) -> None:
        starts = zip(patients, ("2030-03-04 09:00", "2030-03-04 09:20"), strict=True)
        asked = [wanted(clinic, patient, "talk", start) for patient, start in starts]
        found = [booking.find(session, call, each) for each in asked]
        settle(session, call, [(booking.draft(call, *pair), pair[1]) for pair in zip(asked, found, strict=True)])

    clinic.do(write)


def test_two_visits_of_a_patient_that_are_written_together_do_not_overlap(engine: Engine) -> None:
    clinic = Clinic(engine)
    clinic.visit(visit_type("talk", segment("talk", 30)))
    patient = clinic.patient()
    with pytest.raises(Refused) as caught:
        both(clinic, [patient, patient])
    [reason] = caught.value.reasons
    lost = clinic.at("2030-03-04 09:20"), clinic.at("2030-03-04 09:30")
    assert (reason.code, reason.start, reason.end) == ("patient_busy", *lost)


def test_whom_the_guard_refuses_looks_again_and_a_contradiction_is_loud(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clinic = Clinic(engine)
    clinic.visit(visit_type("talk", segment("talk", 30)))
    real, tries = booking.settle, 0

    def guard(*args: object, often: int, **named: object) -> object:
        nonlocal tries
        tries += 1
        if tries <= often:
            raise SlotTaken
        return real(*args, **named)  # type: ignore[arg-type] # as it was called

    monkeypatch.setattr(booking, "settle", lambda *args, **named: guard(*args, often=1, **named))
    with caplog.at_level(logging.ERROR, "scheduler.database"):
        book(clinic, clinic.patient(), "talk", "2030-03-04 09:00")
        assert (tries, caplog.records) == (2, [])
        monkeypatch.setattr(booking, "settle", lambda *args, **named: guard(*args, often=99, **named))
        with pytest.raises(SlotTaken):
            book(clinic, clinic.patient(), "talk", "2030-03-04 10:00")
        assert tries == 2 + TRIES
        assert ["no_double_booking" in record.getMessage() for record in caplog.records] == [True]
