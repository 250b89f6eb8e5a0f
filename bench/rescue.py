"""Somebody is ill, a room is closed: the repair beside one course after the other, and what could be done at all.

A medium clinic in SQLite, booked by the product's services: single visits, courses on top of them, and single visits
again where no whole course has room any more, up to the load.
Each repair is accepted in a rehearsal, so that every disruption of a clinic meets the same calendar.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial
from random import Random
from time import process_time
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from bench.clinic import MEDIUM, Clinic
from bench.databases import sqlite
from bench.history import MIX
from bench.plans import PROTOCOL, approve
from bench.report import Sheet
from scheduler.core.call import Call
from scheduler.core.errors import NoFeasiblePlan
from scheduler.core.intervals import Span
from scheduler.database import transact
from scheduler.demo.filling import Filled, fill, kept
from scheduler.models import Appointment
from scheduler.services import booking, courses, disruptions, planning, plans
from scheduler.services.calendars import Loaded, load
from scheduler.services.catalog import visit_kinds
from scheduler.services.course_wishes import WantedCourse
from scheduler.services.disruptions import Search, Total
from scheduler.services.finding import Found, Wanted
from scheduler.services.settling import settle

ABOUT = "a sick nurse, a closed room: the joint repair beside one course after the other, and beside a bound"
#: A Thursday; the clinic is filled from the Monday after it.
NOW = datetime(2030, 9, 19, 13, tzinfo=UTC)
WEEKS = 6
#: What the first single visits amount to; courses are booked on top until the load is reached, or none finds a plan.
SINGLE = 0.5
#: The load is that of these weeks.
_COUNTED = range(1, 4)
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri")
#: Half of the patients come at any hour.
_HALVES: tuple[dict[str, Any], ...] = ({}, {}, {"latest": "14:00"}, {"earliest": "12:00"})
#: Who or what is away, and for how many days.
CASES = tuple((role, days) for role in ("nurse", "prescriber", "therapist", "infusion") for days in (1, 7))


def flags(parser: argparse.ArgumentParser) -> None:
    """The long form is `--clinics 4`."""
    parser.add_argument("--load", type=float, default=0.85)
    parser.add_argument("--clinics", type=int, default=2, help="how many clinics, their seeds counted from --first")
    parser.add_argument("--first", type=int, default=0, help="100 and more were never looked at while it was made")
    parser.add_argument("--rounds", type=int, default=300, help="of the search, after the first pass")
    parser.add_argument("--seconds", type=float, default=15.0, help="CPU seconds for each search at most")


def run(chosen: argparse.Namespace) -> None:
    """Print one row for each kind of disruption, summed over the clinics."""
    found: dict[tuple[str, int], list[Cell]] = {case: [] for case in CASES}
    for seed in range(chosen.first, chosen.first + chosen.clinics):
        with sqlite() as database:
            booked = Booked(Clinic(database, MEDIUM, NOW), Random(seed), chosen.load)
            print(f"clinic {seed}: {booked.courses} courses, load {booked.load:.2f}", flush=True)
            for case in CASES:
                found[case].append(_cell(booked, *case, chosen))
    told = [f"{name}: kept/moved/lost (others)" for name in ("asked", "job")]
    sheet = Sheet(["away", "struck", "one by one: lost (moved)", *told, "each alone", "CPU s, most", "rounds"])
    for (role, days), cells in found.items():
        sheet.add([f"{role}, {days} d", *_shown(cells)])
    sheet.add(["all", *_shown([each for cells in found.values() for each in cells])])


class Outcome(NamedTuple):
    """How many struck visits stay, move and find no place, and how many others move for them."""

    kept: int
    moved: int
    lost: int
    others: int


class Cell(NamedTuple):
    """What became of one disruption."""

    struck: int
    one_by_one: Total
    passed: Outcome
    job: Outcome
    alone: Total
    asked: float
    seconds: float
    rounds: int


def _shown(cells: Sequence[Cell]) -> list[str]:
    def told(outcomes: Sequence[Outcome]) -> str:
        kept, moved, lost, others = (sum(each) for each in zip(*outcomes, strict=True))
        return f"{kept}/{moved}/{lost} ({others})"

    asked, seconds = (max(each) for each in zip(*((each.asked, each.seconds) for each in cells), strict=True))
    lost, moved = (sum(getattr(each.one_by_one, name) for each in cells) for name in ("lost", "moved"))
    return [
        str(sum(each.struck for each in cells)),
        f"{lost} ({moved})",
        told([each.passed for each in cells]),
        told([each.job for each in cells]),
        f"{sum(each.alone.lost for each in cells)} ({sum(each.alone.moved for each in cells)})",
        f"{asked:.1f} / {seconds:.1f}",
        str(sum(each.rounds for each in cells)),
    ]


def _cell(booked: Booked, role: str, days: int, chosen: argparse.Namespace) -> Cell:
    clinic = booked.clinic
    rng = Random(f"{role} {days} {chosen.first}")
    resource_id = rng.choice(clinic.staff.get(role) or clinic.rooms[role])
    first = clinic.day(7 + (rng.randrange(5) if days == 1 else 0))[0]
    span = Span(first, first + timedelta(days=days))
    work = partial(measured, resource_id=resource_id, span=span, chosen=chosen)
    with Session(clinic.database.engine, expire_on_commit=False) as session:
        return transact(session, clinic.call, work, dry_run=True)


def _outcome(search: Search) -> Outcome:
    struck = [line.outcome for line in search.lines if line.struck]
    others = sum(not line.struck for line in search.lines)
    return Outcome(struck.count("kept"), struck.count("moved"), struck.count("broken"), others)


def measured(session: Session, call: Call, *, resource_id: UUID, span: Span, chosen: argparse.Namespace) -> Cell:
    """The repair of one disruption, accepted as a whole: for a rehearsal."""
    began = process_time()
    search = disruptions.begin(session, call, resource_id, span, rounds=chosen.rounds)
    asked, passed = process_time() - began, _outcome(search)
    for _ in search.steps():
        if process_time() - began > chosen.seconds:
            break
    total = process_time() - began
    offer = disruptions.keep(session, call, resource_id, span, "", search.lines)
    disruptions.accept(session, call, offer.token, everything=True)  # judged by the law of every booking
    return Cell(sum(passed[:3]), search.one_by_one, passed, _outcome(search), search.alone, asked, total, search.made)


@dataclass
class Booked:
    """A clinic that is booked up to a load."""

    clinic: Clinic
    rng: Random
    wanted: float
    courses: int = 0
    #: The minutes that each counted week can hold.
    _room: dict[int, int] = field(default_factory=dict)
    _waiting: list[UUID] = field(default_factory=list)
    #: Who has a single visit on which day: one at the most, none on the days beside it, as doses keep a distance.
    _seen: set[tuple[date, UUID]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._waiting = list(self.clinic.regulars)
        for week in range(WEEKS):
            self.clinic.do(partial(self._week, week=week))
        for course_id in self._begun():
            if self.load >= self.wanted:
                break
            try:
                self.clinic.do(partial(self._book, course_id=course_id))
                self.courses += 1
            except NoFeasiblePlan:
                continue
        for week in _COUNTED:
            if self.load < self.wanted:
                self.clinic.do(partial(self._topped_up, week=week))

    @property
    def load(self) -> float:
        """Minutes booked in the weeks two to four, of those that such a calendar can hold."""
        return sum(self.clinic.do(partial(self._booked, week=week)) for week in _COUNTED) / sum(self._room.values())

    def _booked(self, session: Session, _: Call, *, week: int) -> int:
        first, past = self._ends(week)
        rows = session.scalars(select(Appointment).where(Appointment.starts_at >= first, Appointment.starts_at < past))
        return sum(int((row.ends_at - row.starts_at).total_seconds()) // 60 for row in rows)

    def _ends(self, week: int) -> tuple[datetime, datetime]:
        return self.clinic.day(7 * week)[0], self.clinic.day(7 * week + 7)[0]

    def _week(self, session: Session, call: Call, *, week: int) -> None:
        """A share of what fits into an empty week."""
        loaded, days = self._fitting(session, call, week)
        if week in _COUNTED:
            self._room[week] = _minutes(days)
        self._settle(session, call, loaded, days, SINGLE)

    def _topped_up(self, session: Session, call: Call, *, week: int) -> None:
        """As much of what still fits into the week as it lacks."""
        loaded, days = self._fitting(session, call, week)
        missing = self.wanted * self._room[week] - self._booked(session, call, week=week)
        self._settle(session, call, loaded, days, min(1.0, max(0.0, missing) / max(1, _minutes(days))))

    def _fitting(self, session: Session, call: Call, week: int) -> tuple[Loaded, dict[date, list[Filled]]]:
        clinic, kinds = self.clinic, visit_kinds(session, call)
        start, end = self._ends(week)
        loaded = load(session, call, location_id=clinic.location_id, start=start, end=end)
        days = [clinic.first_day + timedelta(days=7 * week + offset) for offset in range(5)]
        return loaded, {day: fill(loaded, kinds, MIX, day, self.rng) for day in days}

    def _settle(
        self, session: Session, call: Call, loaded: Loaded, days: Mapping[date, Sequence[Filled]], share: float
    ) -> None:
        places = []
        for day, full in days.items():
            for visit in kept(full, share, self.rng):
                wanted = Wanted(self._next(day), visit.kind.visit.code, self.clinic.location_id, visit.start)
                found = Found(visit.kind, loaded, visit.local, visit.start, visit.takings)
                places.append((booking.draft(call, wanted, found), found))
        settle(session, call, places)

    def _next(self, day: date) -> UUID:
        """Whoever has waited longest of those without a visit on that day and the days beside it."""
        near = [day + timedelta(days=offset) for offset in (-1, 0, 1)]
        patient_id = next(each for each in self._waiting if not any((beside, each) in self._seen for beside in near))
        self._waiting.remove(patient_id)
        self._waiting.append(patient_id)
        self._seen.add((day, patient_id))
        return patient_id

    def _begun(self) -> Iterator[UUID]:
        """Courses of patients without other visits, begun in the first weeks."""
        self.clinic.do(approve)
        for patient_id in self.clinic.newcomers:
            start_after = self.clinic.first_day + timedelta(days=self.rng.randrange(15))
            wishes = {"weekdays": self.rng.sample(_WEEKDAYS, self.rng.choice([4, 5]))}
            wishes |= self.rng.choice(_HALVES)
            wanted = WantedCourse(patient_id, PROTOCOL, self.clinic.location_id, start_after, wishes)
            yield self.clinic.do(partial(courses.create, wanted=wanted)).id

    def _book(self, session: Session, call: Call, *, course_id: UUID) -> None:
        desk, found = planning.make_plans(session, call, course_id, through="all", proven=False)
        offered = plans.keep(session, call, desk, found, 60)[0]
        plans.book(session, call, course_id, offered.token)


def _minutes(days: Mapping[date, Sequence[Filled]]) -> int:
    return sum(visit.minutes for full in days.values() for visit in full)
