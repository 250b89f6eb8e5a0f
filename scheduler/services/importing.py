"""Bringing patients and their standing visits over from another system: all of it, or none and every fault by its line.

Patients are made and visits booked by the same services as any. What is here already is left as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.civil import to_instant
from scheduler.core.errors import Fault, Invalid, LocalTimeFault, LostRace, SchedulingError, SlotTaken
from scheduler.core.lifecycle import LIVE
from scheduler.models import Appointment, Location
from scheduler.services import booking, patients
from scheduler.services.finding import Wanted


@dataclass(frozen=True)
class Person:
    """A patient of the other system: where they stand there, what they are called there, and what is known of them."""

    line: str
    external_id: str
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Standing:
    """A visit of the other system; `location` is a name or an id, `start` the wall time there."""

    line: str
    patient: str
    visit_type: str
    location: str
    start: str
    note: str = ""


@dataclass
class Brought:
    """How many were made, and how many were here before."""

    patients: int = 0
    patients_known: int = 0
    visits: int = 0
    visits_known: int = 0


@dataclass
class _Import:
    session: Session
    call: Call
    system: str
    done: Brought = field(default_factory=Brought)
    faults: list[Fault] = field(default_factory=list)
    ids: dict[str, UUID | None] = field(default_factory=dict)

    @contextmanager
    def at(self, line: str) -> Iterator[None]:
        """Whatever is refused inside is a fault of that line, and nothing of it is kept."""
        try:
            with self.session.begin_nested():
                yield
        except (LostRace, SlotTaken):
            raise
        except Invalid as error:
            self.faults += [Fault(line, each.code, f"{line}: {each.detail}") for each in error.faults]
        except SchedulingError as error:
            self.faults.append(Fault(line, error.code, f"{line}: {error.detail}"))

    def known(self, external_id: str) -> UUID | None:
        """The patient whom the other system calls so."""
        if external_id not in self.ids:
            named = f"{self.system}|{external_id}"
            found = patients.listing(self.session, self.call, external_id=named, limit=1).items
            self.ids[external_id] = found[0].id if found else None
        return self.ids[external_id]

    def person(self, person: Person) -> None:
        if self.known(person.external_id) is not None:
            self.done.patients_known += 1
            return
        ids = [{"system": self.system, "value": person.external_id}]
        made = patients.create(self.session, self.call, {**person.values, "external_ids": ids})
        self.ids[person.external_id] = made.id
        self.done.patients += 1

    def visit(self, standing: Standing, places: Mapping[str, Location]) -> None:
        patient_id, place = self.known(standing.patient), places.get(standing.location)
        faults = []
        if patient_id is None:
            faults.append(Fault("", "unknown_patient", f"No patient '{standing.patient}' of {self.system}."))
        if place is None:
            faults.append(Fault("", "unknown_location", f"No location '{standing.location}', or more than one."))
        if faults or patient_id is None or place is None:
            raise Invalid(faults)
        start = _instant(standing.start, place.time_zone)
        mine = select(Appointment.id).where(
            Appointment.organization_id == self.call.organization_id,
            Appointment.patient_id == patient_id,
            Appointment.visit_type == standing.visit_type,
            Appointment.location_id == place.id,
            Appointment.starts_at == start,
            Appointment.status.in_(sorted(LIVE)),
        )
        if self.session.scalars(mine).first() is not None:
            self.done.visits_known += 1
            return
        wanted = Wanted(patient_id, standing.visit_type, place.id, start, note=standing.note)
        booking.book(self.session, self.call, wanted, news=False)
        self.done.visits += 1


def bring(
    session: Session, call: Call, people: Sequence[Person], visits: Sequence[Standing], *, system: str
) -> Brought:
    """Make the patients who are not here yet, and book the visits that are not; nobody is told what they know.

    `system` is what the other system is called in external ids. Raises Invalid with every fault, LostRace.
    """
    work = _Import(session, call, system)
    seen: set[str] = set()
    for person in people:
        with work.at(person.line):
            if person.external_id in seen:
                raise Invalid([Fault("", "duplicate", f"'{person.external_id}' stands in another line too.")])
            seen.add(person.external_id)
            work.person(person)
    places = _places(session, call)
    for standing in visits:
        with work.at(standing.line):
            work.visit(standing, places)
    if work.faults:
        raise Invalid(work.faults)
    return work.done


def _places(session: Session, call: Call) -> dict[str, Location]:
    """The locations by id, and by name where that is one's alone."""
    mine = Location.organization_id == call.organization_id, Location.deleted_at.is_(None)
    rows = session.scalars(select(Location).where(*mine)).all()
    names = [row.name for row in rows]
    return {str(row.id): row for row in rows} | {row.name: row for row in rows if names.count(row.name) == 1}


def _instant(start: str, time_zone: str) -> datetime:
    try:
        local = datetime.fromisoformat(start)
    except ValueError:
        local = None
    if local is None or local.tzinfo is not None:
        raise Invalid([Fault("", "malformed", f"'{start}' is no wall time such as 2030-03-04T09:00.")])
    try:
        return to_instant(local, time_zone)
    except LocalTimeFault as fault:
        raise Invalid([Fault("", fault.code, f"{start} in {time_zone}: {fault.detail}")]) from fault
