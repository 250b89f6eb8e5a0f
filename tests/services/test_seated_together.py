"""Visits that are written together: one whose room will be seen, and one that was given a certain room."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import Engine, select, update
from sqlalchemy.orm import Session

from scheduler.core.availability import assign, occupied
from scheduler.core.call import Call
from scheduler.core.civil import to_local
from scheduler.models import Occupancy
from scheduler.services import booking
from scheduler.services.calendars import load
from scheduler.services.catalog import visit_kinds
from scheduler.services.finding import Found, Wanted
from scheduler.services.pins import Pin
from scheduler.services.settling import settle
from tests.clinic import Clinic, need, segment, visit_type

DAY = "2030-03-04"
BAY = "room:bay"


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_a_late_room_takes_none_that_somebody_was_given(engine: Engine) -> None:
    """The long visit has a place once others change rooms; left to themselves they go where the other is to sit."""
    clinic = Clinic(engine)
    rooms = [clinic.room("bay") for _ in range(4)]
    for minutes in (30, 60, 120):
        clinic.visit(visit_type(f"bay-{minutes}", segment("sit", minutes, need(BAY))))
    standing = [("11:30", 30, 0), ("11:00", 60, 1), ("11:00", 30, 2), ("10:00", 30, 3)]
    for hour, minutes, place in standing:
        wanted = Wanted(
            clinic.patient(),
            f"bay-{minutes}",
            clinic.location_id,
            clinic.at(f"{DAY} {hour}"),
            pins=(Pin(BAY, rooms[place]),),
        )
        clinic.do(lambda s, c, wanted=wanted: booking.book(s, c, wanted).row.id)
    long, short = clinic.patient(), clinic.patient()

    def seat(session: Session, call: Call) -> None:
        free = update(Occupancy).where(Occupancy.resource_id.in_(rooms[1:]))
        session.execute(free.values(fixed=False))  # they may sit anywhere: only the first is where it wanted to be
        kinds, places = visit_kinds(session, call), []
        start, end = clinic.at(f"{DAY} 00:00"), clinic.at(f"{DAY} 23:00")
        loaded = load(session, call, location_id=clinic.location_id, start=start, end=end)
        site = loaded.site
        for patient_id, code, hour in ((long, "bay-120", "10:00"), (short, "bay-60", "11:00")):
            kind, at = kinds[code], clinic.at(f"{DAY} {hour}")
            place = site.clinic(kind.visit, kind.demand)
            takings = assign(kind.demand, place, site.timeline.slot(at))
            assert takings is not None
            assert bool(takings[0].pool) is (patient_id == long)
            site = replace(site, calendars=occupied(place, takings).calendars)
            found = Found(kind, loaded, to_local(at, site.time_zone), at, takings)
            places.append((booking.draft(call, Wanted(patient_id, code, clinic.location_id, at), found), found))
        settle(session, call, places)

    clinic.do(seat)
    with Session(engine) as session:
        seated = session.execute(select(Occupancy.resource_id).where(Occupancy.resource_id.in_(rooms))).all()
    assert len(seated) == len(standing) + 2
