"""Sick nurses and closed rooms at once, each accepted among bookings and re-plans: nothing double, partial or lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from threading import Barrier
from uuid import UUID

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from scheduler.core.errors import LostRace, NoFeasiblePlan, PlanStale, Refused
from scheduler.models import Absence, Appointment, Message, Occupancy, Resource, Task
from scheduler.services import booking, consequences, courses, disruptions, rebooking, replanning
from scheduler.services.course_changes import Change
from scheduler.services.finding import Wanted
from tests.clinic import Clinic
from tests.coursework import accept, approve, course, offer, open_course_clinic, protocol
from tests.desk import overlaps

COURSES, TRIES = 5, 8
#: Who and what is away from when to when, all in the two weeks in which the courses are.
AWAY = {
    "nurse": ("2030-03-05 00:00", "2030-03-08 00:00"),
    "prescriber": ("2030-03-07 00:00", "2030-03-09 00:00"),
    "bay": ("2030-03-06 00:00", "2030-03-12 00:00"),
    "consult": ("2030-03-05 00:00", "2030-03-09 00:00"),
}
#: News of a change, as opposed to reminders.
NEWS = {"course_changed", "rescheduled", "cancelled"}


class Storm:
    """A clinic of three of everyone with its courses, and what everybody is about to do."""

    def __init__(self, engine: Engine) -> None:
        self.clinic = clinic = open_course_clinic(engine)
        for _ in range(2):
            for role in ("nurse", "prescriber", "therapist"):
                clinic.staff(role)
            clinic.room("bay")
            clinic.room("consult")
        approve(clinic, protocol(3))
        self.ids = [course(clinic).id for _ in range(COURSES)]
        for course_id in self.ids:
            accept(clinic, course_id, offer(clinic, course_id)[0].token)
        with Session(engine) as session:
            every = session.execute(select(Resource.name, Resource.id).where(Resource.kind != "patient"))
            first = dict(reversed(every.all()))
        self.away = {first[name]: tuple(map(clinic.at, span)) for name, span in AWAY.items()}
        self.did = Counter[str]()
        self.changes = Counter[UUID]()

    def repair(self, resource_id: UUID, span: tuple[datetime, datetime]) -> Iterator[Callable[[], None]]:
        """First what is looked at, then what is accepted, anew for as long as it is stale."""
        found = [self.clinic.do(lambda s, c: disruptions.offer(s, c, resource_id, *span, "away"))]

        def act() -> None:
            for _ in range(TRIES):
                token = found.pop().token
                try:
                    done = self.clinic.do(lambda s, c, token=token: disruptions.accept(s, c, token, everything=True))
                except (PlanStale, LostRace):
                    self.did["stale"] += 1
                    found.append(self.clinic.do(lambda s, c, token=token: disruptions.anew(s, c, token)))
                    continue
                self.did["repaired"] += 1
                self.changes.update({line.patient_id for line in done.done if line.outcome == "moved"})
                return

        yield act

    def replan(self, course_id: UUID) -> Iterator[Callable[[], None]]:
        view = self.clinic.do(lambda s, c: courses.get(s, c, course_id))
        change = Change(view.booked[view.sessions[3].id].id, "cancel")

        def plan() -> replanning.Replan:
            return self.clinic.do(lambda s, c: replanning.propose(s, c, course_id, [change], minutes=30))

        found = [plan()]

        def act() -> None:
            for _ in range(TRIES):
                token = found.pop().token
                try:
                    self.clinic.do(lambda s, c, token=token: rebooking.accept(s, c, course_id, token))
                except (PlanStale, LostRace):
                    self.did["stale"] += 1
                    with suppress(NoFeasiblePlan):
                        found.append(plan())
                    if found:
                        continue
                    return
                self.did["planned anew"] += 1
                self.changes[view.row.patient_id] += 1
                return

        yield act

    def book(self, hour: int) -> Iterator[Callable[[], None]]:
        day = 5 + hour % 4
        wanted = Wanted(self.clinic.patient(), "dose", self.clinic.location_id, self.clinic.at(f"2030-03-0{day} 09:00"))

        def act() -> None:
            try:
                self.clinic.do(lambda s, c: booking.book(s, c, wanted))
                self.did["booked"] += 1
            except (Refused, LostRace):
                self.did["refused"] += 1

        yield act

    def rage(self) -> None:
        """Everybody at the same moment."""
        actors = [
            *(next(self.repair(key, span)) for key, span in self.away.items()),
            *(next(self.replan(course_id)) for course_id in self.ids[:3]),
            *(next(self.book(hour)) for hour in range(8)),
        ]
        together = Barrier(len(actors))

        def wait_for_all(act: Callable[[], None]) -> None:
            together.wait()
            act()

        with ThreadPoolExecutor(len(actors)) as pool:
            for each in [pool.submit(wait_for_all, act) for act in actors]:
                each.result()  # a deadlock, or any other fault, is one here


def shapes(engine: Engine) -> dict[str, set[tuple[tuple[str, int], ...]]]:
    """What visits of each type that take place take up: minutes by role, as often as they differ."""
    found: dict[str, set[tuple[tuple[str, int], ...]]] = {}
    with Session(engine) as session:
        taken: dict[UUID, Counter[str]] = {}
        for row in session.scalars(select(Occupancy).where(Occupancy.appointment_id.is_not(None))):
            minutes = int((row.ends_at - row.starts_at).total_seconds() // 60)
            taken.setdefault(row.appointment_id, Counter())[row.role] += minutes
        for visit in session.scalars(select(Appointment)):
            mine = taken.pop(visit.id, Counter())
            assert bool(mine) == (visit.status in {"booked", "pending"}), (visit.status, mine)
            if mine:
                found.setdefault(visit.visit_type, set()).add(tuple(sorted(mine.items())))
        assert not taken
    return found


def starts(engine: Engine) -> dict[UUID, list[datetime]]:
    """When each patient comes."""
    found: dict[UUID, list[datetime]] = {}
    with Session(engine) as session:
        booked = select(Appointment).where(Appointment.status == "booked").order_by(Appointment.starts_at)
        for visit in session.scalars(booked):
            found.setdefault(visit.patient_id, []).append(visit.starts_at)
    return found


def standing_in_an_absence(clinic: Clinic) -> set[UUID]:
    """The visits that somebody serves who is away."""
    with Session(clinic.engine) as session:
        away = session.scalars(select(Absence)).all()
        rows = session.scalars(select(Occupancy).where(Occupancy.kind == "visit")).all()
    return {
        row.appointment_id
        for row in rows
        for each in away
        if row.resource_id == each.resource_id and row.starts_at < each.ends_at and each.starts_at < row.ends_at
    }


@pytest.mark.slow
@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
def test_nothing_is_double_partial_or_lost(engine: Engine) -> None:
    storm = Storm(engine)
    before, stood = shapes(engine), starts(engine)
    with Session(engine) as session:
        known = set(session.scalars(select(Message.id)))
    storm.rage()
    clinic, did = storm.clinic, storm.did
    assert did["repaired"] == len(AWAY)
    assert did["planned anew"]
    assert did["booked"] + did["refused"] == 8
    assert overlaps(engine) == 0
    assert shapes(engine) == before, "each visit has all that its kind needs, or nothing"
    with Session(engine) as session:
        flagged = set(
            session.scalars(
                select(Task.appointment_id).where(Task.kind == consequences.AFFECTED, Task.status == "open")
            )
        )
        news = [row for row in session.scalars(select(Message)) if row.id not in known and row.kind in NEWS]
    assert standing_in_an_absence(clinic) == flagged, "nothing stays booked in silence, and nothing is flagged in vain"
    for course_id in storm.ids:
        view = clinic.do(lambda s, c, course_id=course_id: courses.get(s, c, course_id))
        assert len(view.booked) == len(view.sessions), "whole"
        assert view.broken == ()
    told = Counter((row.patient_id, row.channel) for row in news if row.status == "pending")
    moved = {patient for patient, when in starts(engine).items() if stood.get(patient, when) != when}
    assert moved <= {patient for patient, _ in told} <= set(storm.changes), "whoever was moved is told, and nobody else"
    assert all(number <= storm.changes[patient] for (patient, _), number in told.items()), "once for each change"
