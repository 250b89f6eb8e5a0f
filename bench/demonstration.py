"""The demonstration clinic: finding a time for each kind of visit, and planning courses beside earliest-fit."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from statistics import median
from uuid import UUID

from sqlalchemy.orm import Session

from bench.databases import Database, postgresql, server, sqlite
from bench.earliest import earliest_fit
from bench.report import extent, spread, table
from scheduler import wall_clock
from scheduler.core.call import Call
from scheduler.core.civil import day_bounds
from scheduler.core.errors import NoFeasiblePlan
from scheduler.core.scopes import SCOPES
from scheduler.database import transact
from scheduler.demo import clinic as demonstration
from scheduler.demo.seed import PROTOCOL, Seeded, seed
from scheduler.services import availability, courses, planning
from scheduler.services.availability import Offer, Question
from scheduler.services.course_wishes import WantedCourse

ABOUT = "availability and planning on the demonstration clinic, planning beside earliest-fit"
_SITE = "harbor"


def flags(parser: argparse.ArgumentParser) -> None:
    """The long form is `--courses 40 --databases sqlite postgresql`."""
    parser.add_argument("--databases", nargs="+", default=["sqlite"], choices=["postgresql", "sqlite"])
    parser.add_argument("--courses", type=int, default=12, help="courses planned, begun in different weeks")
    parser.add_argument("--samples", type=int, default=30, help="questions for each kind of visit")


def run(chosen: argparse.Namespace) -> None:
    """Seed the clinic and measure; nothing that is planned is kept."""
    for name in chosen.databases:
        with _database(name) as database:
            began = time.perf_counter()
            stage = Stage(database)
            print(f"{name}: {stage.seeded.visits} visits seeded in {time.perf_counter() - began:.0f} s")
            stage.availability(chosen.samples)
            stage.planning(chosen.courses)


@contextmanager
def _database(name: str) -> Iterator[Database]:
    if name == "sqlite":
        with sqlite() as database:
            yield database
    else:
        with server() as address, postgresql(address) as database:
            yield database


class Stage:
    """The seeded clinic."""

    def __init__(self, database: Database) -> None:
        self.engine = database.engine
        now = wall_clock().replace(second=0, microsecond=0)
        with Session(self.engine) as session:
            self.seeded: Seeded = seed(session, now, lambda *_: None)
        self.call = Call(now, self.seeded.organization_id, "bench", scopes=frozenset(SCOPES))

    def availability(self, samples: int) -> None:
        """A month of offers for each kind of visit at each site, one patient after the other."""
        rows, first = [], 0
        for site in demonstration.SITES:
            patients, first = self.seeded.patient_ids[first : first + site.patients], first + site.patients
            for code in site.mix:
                spent, found = [], 0
                for place in range(samples + 5):
                    patient = patients[place % len(patients)]
                    began = time.perf_counter()
                    found = len(self._offers(site, code, patient))
                    spent.append((time.perf_counter() - began) * 1000)
                rows.append([site.name, code, found, spread(spent[5:])])
        print("Up to 50 offers in four weeks: p50 / p95 / p99, milliseconds")
        table(["site", "visit", "offers", "call"], rows)

    def planning(self, count: int) -> None:
        """One plan for each course, by the planner and by who always takes the earliest time."""
        trials = [self._trial(place) for place in range(count)]
        both = [each for each in trials if each.planned and each.greedy_days is not None]
        rows = [
            ["planner", sum(each.planned for each in trials), spread([each.planner_ms for each in trials], 0)],
            [
                "earliest-fit",
                sum(each.greedy_days is not None for each in trials),
                spread([each.greedy_ms for each in trials], 0),
            ],
        ]
        print(f"{count} courses of {PROTOCOL} at {self.seeded.load:.0%} load: plans found, and milliseconds for each")
        table(["", "found", "p50 / p95 / p99"], rows)
        print(f"earliest-fit : planner, time: {extent([each.greedy_ms / each.planner_ms for each in trials])}")
        if both:
            days = median(each.planned_days for each in both), median(each.greedy_days or 0 for each in both)
            print(f"where both found one, its days from first to last visit: {days[0]:.0f} and {days[1]:.0f} (median)")

    def _offers(self, site: demonstration.Site, code: str, patient: UUID) -> list[Offer]:
        start, _ = day_bounds(self.seeded.first_day, site.time_zone)
        question = Question(code, self.seeded.location_ids[site.key], start, start + timedelta(weeks=4), patient)
        with Session(self.engine) as session:
            return availability.search(session, self.call, question, limit=50)[0]

    def _trial(self, place: int) -> Trial:
        # Begun in the first five of the eight weeks: later ones would plan into empty ones.
        patient = self.seeded.patient_ids[place % 20]
        start_after = self.seeded.first_day + timedelta(days=(place * 5) % 35)
        wanted = WantedCourse(patient, PROTOCOL, self.seeded.location_ids[_SITE], start_after, {})

        def act(session: Session, call: Call) -> Trial:
            course = courses.create(session, call, wanted)
            session.flush()
            began = time.perf_counter()
            planned: list[datetime] = []
            try:
                _, plans = planning.make_plans(session, call, course.id, through="all")
                planned = [placed.start for placed in plans[0].sessions]
            except NoFeasiblePlan:
                pass
            planner_ms = (time.perf_counter() - began) * 1000
            began = time.perf_counter()
            greedy = earliest_fit(session, call, course)
            greedy_ms = (time.perf_counter() - began) * 1000
            greedy_days = None if greedy is None else (max(greedy) - min(greedy)).days
            days = (max(planned) - min(planned)).days if planned else 0
            return Trial(bool(planned), planner_ms, days, greedy_ms, greedy_days)

        with Session(self.engine) as session:
            return transact(session, replace(self.call), act, dry_run=True)


@dataclass(frozen=True)
class Trial:
    """One course planned by both."""

    planned: bool
    planner_ms: float
    planned_days: int
    greedy_ms: float
    greedy_days: int | None
