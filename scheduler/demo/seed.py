"""The demonstration clinic as rows, made by the services that the API uses. What the clinic is stands in `clinic`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import partial
from random import Random
from typing import Any, Protocol, TypeVar
from uuid import UUID

from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.civil import day_bounds, to_local
from scheduler.core.scopes import SCOPES
from scheduler.database import transact
from scheduler.demo import clinic
from scheduler.demo.filling import Filled, fill, kept
from scheduler.models import Appointment, new_id
from scheduler.services import (
    absences,
    access,
    audit,
    booking,
    clearances,
    locations,
    organizations,
    outbox,
    patients,
    protocols,
    resources,
    settling,
)
from scheduler.services.calendars import Loaded, load
from scheduler.services.catalog import visit_kinds
from scheduler.services.finding import Found, Wanted

T = TypeVar("T")

ACTOR = "demonstration"
PROTOCOL = "iv_ketamine_induction"
#: How much of what a day could hold is booked.
LOAD = 0.6
_WORKDAYS = 5


class Progress(Protocol):
    """Who is told how far the seeding is."""

    def __call__(self, what: str, done: int, total: int) -> None:
        """`done` of `total` steps are behind us; `what` is the one at hand."""


@dataclass(frozen=True)
class Seeded:
    """What the story needs to know of the clinic. `booked` and `room` are minutes of patients' visits."""

    organization_id: UUID
    key: str
    first_day: date
    location_ids: Mapping[str, UUID]
    patient_ids: tuple[UUID, ...]
    visits: int
    booked: int
    room: int

    @property
    def load(self) -> float:
        """The share of the attainable capacity that is booked."""
        return self.booked / self.room


def seed(session: Session, now: datetime, progress: Progress) -> Seeded:
    """A new organization: its people, its approved protocol, and eight weeks of bookings from the Monday after `now`.

    The first patient has no visits: the story is theirs. The clinic is the same for the same day, but for its ids.
    """
    call = Call(now, new_id(), ACTOR, scopes=frozenset(SCOPES))
    return _Seeding(session, call, progress).run()


def next_monday(now: datetime, time_zone: str) -> date:
    """The first Monday after the day that a calendar in that zone shows."""
    today = to_local(now, time_zone).date()
    return today + timedelta(days=7 - today.weekday())


@dataclass
class _Seeding:
    session: Session
    call: Call
    progress: Progress
    first_day: date = field(init=False)
    location_ids: dict[str, UUID] = field(default_factory=dict)
    patient_ids: dict[str, list[UUID]] = field(default_factory=dict)
    visits: int = 0
    booked: int = 0
    room: int = 0

    def __post_init__(self) -> None:
        self.first_day = next_monday(self.call.now, clinic.SITES[0].time_zone)
        self.rng = Random(self.first_day.toordinal())  # noqa: S311 - the same clinic on the same day, not a secret

    def run(self) -> Seeded:
        total = 3 + clinic.WEEKS * len(clinic.SITES)
        self.progress("the clinic and its people", 0, total)
        key = self._do(self._organization)
        self._do(self._staff)
        self.progress("its patients", 1, total)
        self._do(self._patients)
        self.progress("its protocol", 2, total)
        self._do(self._protocol)
        done = 3
        for site in clinic.SITES:
            desk = _Desk(site, self.location_ids[site.key], self._regulars(site), self.rng)
            for week in range(clinic.WEEKS):
                self.progress(f"{site.name}, week {week + 1}", done, total)
                monday = self.first_day + timedelta(weeks=week)
                self._count(*self._do(partial(desk.book_week, monday=monday)))
                done += 1
        self.progress("done", done, total)
        return Seeded(
            organization_id=self.call.organization_id,
            key=key,
            first_day=self.first_day,
            location_ids=self.location_ids,
            patient_ids=tuple(each for ids in self.patient_ids.values() for each in ids),
            visits=self.visits,
            booked=self.booked,
            room=self.room,
        )

    def _do(self, work: Callable[[Session, Call], T]) -> T:
        return transact(self.session, self.call, work)

    def _count(self, visits: int, booked: int, room: int) -> None:
        self.visits, self.booked, self.room = self.visits + visits, self.booked + booked, self.room + room

    def _regulars(self, site: clinic.Site) -> list[UUID]:
        ids = self.patient_ids[site.key]
        return ids[1:] if site is clinic.SITES[0] else ids

    def _organization(self, session: Session, call: Call) -> str:
        made = organizations.create(session, call, name=clinic.NAME, sender_name=clinic.SENDER, demonstration=True)
        organizations.change(session, call, made.revision, {"phone": clinic.PHONE})
        session.flush()
        return access.create_key(session, call, name=ACTOR, scopes=["admin"])[1]

    def _staff(self, session: Session, call: Call) -> None:
        last = self.first_day + timedelta(days=365)
        for site in clinic.SITES:
            made = locations.create(session, call, clinic.location(site, self.first_day, last))
            self.location_ids[site.key] = made.id
            for name, room_type in site.rooms:
                values: dict[str, Any] = {"name": name, "location_id": made.id, "type_code": room_type}
                resources.create(session, call, resources.ROOM, values)
        sites = {site.key: site for site in clinic.SITES}
        by_name = {}
        for person in clinic.STAFF:
            values = clinic.practitioner(person, sites[person.site], self.location_ids[person.site])
            by_name[person.name] = resources.create(session, call, resources.PRACTITIONER, values).id
        zones = {person.name: sites[person.site].time_zone for person in clinic.STAFF}
        for name, week, weekday, days in clinic.AWAY:
            first = self.first_day + timedelta(weeks=week, days=weekday)
            start, end = day_bounds(first, zones[name])[0], day_bounds(first + timedelta(days=days - 1), zones[name])[1]
            absences.create(session, call, resource_id=by_name[name], start=start, end=end, reason="Leave")

    def _patients(self, session: Session, call: Call) -> None:
        for site, values in clinic.patients():
            patient_id = patients.create(session, call, values).id
            self.patient_ids.setdefault(site.key, []).append(patient_id)
            for kind in site.clearances:
                today = to_local(call.now, site.time_zone).date()
                clearances.create(
                    session, call, patient_id, kind=kind, outcome="enrolled", valid_from=today, by=clinic.CLINICIAN
                )

    def _protocol(self, session: Session, call: Call) -> None:
        draft = protocols.listing(session, call, code=PROTOCOL).items[0]
        protocols.publish(session, call, draft.id, None, approved_by=clinic.CLINICIAN, note=clinic.APPROVAL)


@dataclass
class _Desk:
    """Books one site's calendar, week by week."""

    site: clinic.Site
    location_id: UUID
    patient_ids: list[UUID]
    rng: Random

    def book_week(self, session: Session, call: Call, monday: date) -> tuple[int, int, int]:
        """Five days at once. Returns how many visits, their minutes, and the minutes that would have fitted."""
        days = [monday + timedelta(days=offset) for offset in range(_WORKDAYS)]
        loaded = load(
            session,
            call,
            location_id=self.location_id,
            start=day_bounds(days[0], self.site.time_zone)[0],
            end=day_bounds(days[-1], self.site.time_zone)[1],
        )
        kinds = visit_kinds(session, call)
        full = [fill(loaded, kinds, self.site.mix, day, self.rng) for day in days]
        chosen = [visit for each in full for visit in self._patiently(kept(each, LOAD, self.rng))]
        places = [self._place(call, loaded, visit, patient_id) for visit, patient_id in chosen]
        if places:
            settling.settle(session, call, places)
        # Booked long ago, as the story goes: the patients were told then.
        outbox.owe_for_appointments(session, call, [appointment for appointment, _ in places])
        for appointment, _ in places:
            after = booking.snapshot(appointment)
            audit.note(session, call, "appointment.book", "appointment", appointment.id, after=after)
        booked = sum(visit.minutes for visit, _ in chosen)
        return len(places), booked, sum(visit.minutes for each in full for visit in each)

    def _patiently(self, day: list[Filled]) -> list[tuple[Filled, UUID]]:
        """A patient for each visit of one day, whoever has waited longest."""
        turn, self.patient_ids = self.patient_ids[: len(day)], self.patient_ids[len(day) :]
        self.patient_ids += turn
        return list(zip(day, turn, strict=True))

    def _place(self, call: Call, loaded: Loaded, visit: Filled, patient_id: UUID) -> tuple[Appointment, Found]:
        wanted = Wanted(patient_id, visit.kind.visit.code, self.location_id, visit.start)
        found = Found(visit.kind, loaded, visit.local, visit.start, visit.takings)
        return booking.draft(call, wanted, found), found
