"""A clinic that is nearly full, over a change of clocks and two holiday weeks: what a clinician tries courses on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from random import Random
from uuid import UUID

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.civil import day_bounds
from scheduler.core.scopes import SCOPES
from scheduler.database import transact
from scheduler.demo.filling import fill, kept
from scheduler.models import new_id
from scheduler.services import access, booking, locations, organizations, patients, resources
from scheduler.services.calendars import load
from scheduler.services.catalog import visit_kinds
from scheduler.services.finding import Found, Wanted
from tests.clinic import week

ZONE = "America/New_York"
#: The Friday before; clocks go back on 1 November, and Thanksgiving is on the 26th.
NOW = datetime(2026, 10, 16, 13, tzinfo=UTC)
FIRST = date(2026, 10, 19)
LOAD = 0.85
CLOSED = (("2026-11-26", "2026-11-27"), ("2026-12-24", "2026-12-25"), ("2027-01-01", "2027-01-01"))
ROOMS = {"infusion": 2, "treatment": 2, "esketamine_chair": 2, "consult": 2}
STAFF = {"prescriber": 2, "nurse": 3, "therapist": 3, "guide": 1}
MIX = {
    "iv_infusion": 3, "im_dosing": 2, "esketamine_84mg": 2, "oral_clinic": 1,
    "integration": 4, "integration_video": 1, "evaluation": 3, "follow_up": 3,
}  # fmt: skip


@dataclass(frozen=True)
class Clinic:
    """Where it all takes place. `load` is the share of what each day could hold that is booked."""

    key: str
    location_id: str
    load: float


#: So many weeks are filled in one transaction: the database ends one in which nothing is said for long.
AT_ONCE = 8


def fill_a_clinic(engine: Engine, weeks: int) -> Clinic:
    """Make the clinic, its people and rooms, and book so many weeks of its calendar full."""
    call = Call(NOW, new_id(), "test", scopes=frozenset(SCOPES))
    with Session(engine, expire_on_commit=False) as session:
        key, location_id, waiting = transact(session, call, _make)
        rng, booked, room = Random(7), 0, 0
        for first in range(0, weeks, AT_ONCE):
            some = range(first, min(first + AT_ONCE, weeks))
            taken, there = transact(session, call, lambda s, c, some=some: _book(s, c, location_id, waiting, rng, some))
            booked, room = booked + taken, room + there
    return Clinic(key, str(location_id), booked / room)


def _make(session: Session, call: Call) -> tuple[str, UUID, list[UUID]]:
    """Its key, its location and patients."""
    organizations.create(session, call, name="Harbor", sender_name="Harbor", demonstration=True)
    session.flush()
    key = access.create_key(session, call, name="desk", scopes=["admin"])[1]
    hours = week()
    made = locations.create(
        session,
        call,
        {
            "name": "Main",
            "time_zone": ZONE,
            "hours": hours,
            "closures": [{"from": first, "to": last, "reason": "Holiday"} for first, last in CLOSED],
            "certifications": [{"code": "esketamine_rems", "valid_from": "2026-01-01"}],
        },
    )
    for code, number in ROOMS.items():
        for _ in range(number):
            values = {"name": code, "location_id": made.id, "type_code": code}
            resources.create(session, call, resources.ROOM, values)
    shifts = [{**each, "location_id": str(made.id)} for each in hours]
    for code, number in STAFF.items():
        roles = [{"code": code, "regions": ["US-NY"]}]
        units = 2 if code == "nurse" else 1
        for _ in range(number):
            values = {"name": code, "roles": roles, "hours": shifts, "units": units}
            resources.create(session, call, resources.PRACTITIONER, values)
    return key, made.id, [patients.create(session, call, {"name": "Somebody"}).id for _ in range(110)]


def _book(
    session: Session, call: Call, location_id: UUID, waiting: list[UUID], rng: Random, weeks: Iterable[int]
) -> tuple[int, int]:
    """Minutes booked in these weeks, and those for which there was room."""
    days = [FIRST + timedelta(weeks=number, days=offset) for number in weeks for offset in range(5)]
    kinds, places, booked, room = visit_kinds(session, call), [], 0, 0
    loaded = load(
        session, call, location_id=location_id, start=day_bounds(days[0], ZONE)[0], end=day_bounds(days[-1], ZONE)[1]
    )
    for day in days:
        full = fill(loaded, kinds, MIX, day, rng)
        for visit in kept(full, LOAD, rng):
            waiting.append(waiting.pop(0))
            region = "US-NY" if visit.kind.visit.video else None
            wanted = Wanted(waiting[-1], visit.kind.visit.code, location_id, visit.start, patient_region=region)
            found = Found(visit.kind, loaded, visit.local, visit.start, visit.takings)
            places.append((booking.draft(call, wanted, found), found))
            booked += visit.minutes
        room += sum(visit.minutes for visit in full)
    booking.settle(session, call, places)
    return booked, room
