"""A course's plan from stored bookings: in a process that was never asked, warm, and over HTTP."""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from bench.clinic import LARGE, Clinic
from bench.filled import filled
from bench.report import Sheet, spread
from bench.stopwatch import timed, unasked, worker_cpu
from scheduler.core.call import Call
from scheduler.core.errors import NoFeasiblePlan
from scheduler.database import transact
from scheduler.services import courses, planning, protocols
from scheduler.services.course_wishes import WantedCourse
from tests.plumbing.servers import serving

ABOUT = "a course's plan from stored bookings: cold, warm, and over HTTP (gunicorn, 2 workers x 4 threads)"
PROTOCOL = "iv_ketamine_induction"
#: So many days are filled ahead; the other bookings lie in the past.
AHEAD = 26 * 7
_OK = 200


def flags(parser: argparse.ArgumentParser) -> None:
    """The long form is `--stored 10000 100000 1000000 --courses 60`."""
    parser.add_argument("--stored", type=int, nargs="+", default=[10_000, 100_000], help="occupancies")
    parser.add_argument("--databases", nargs="+", default=["postgresql", "sqlite"], choices=["postgresql", "sqlite"])
    parser.add_argument("--courses", type=int, default=20, help="courses planned, begun on different days")
    parser.add_argument("--keep", type=Path, help="a folder that keeps filled clinics for the next run")


def run(chosen: argparse.Namespace) -> None:
    """Measure each number of stored occupancies, and print each as it is known."""
    print("p50 / p95 / p99, wall milliseconds. `cold`: nothing is remembered, but imports and one connection are there")
    http = ["HTTP, a plan in a moment", "HTTP, proven", "server CPU ms, each"]
    shown = Sheet(["database", "stored", "planned", "cold", "its CPU", "warm", "its CPU", *http])
    for name in chosen.databases:
        for stored in chosen.stored:
            with filled(name, LARGE, window=AHEAD, stored=stored, keep=chosen.keep) as clinic:
                watch = Watch(clinic, begun_courses(clinic, chosen.courses))
                shown.add([name, f"{stored:,}", *watch.calls(), *watch.requests()])


def approve(session: Session, call: Call) -> None:
    """Publish the template that courses are begun from."""
    draft = protocols.listing(session, call, code=PROTOCOL).items[0]
    protocols.publish(session, call, draft.id, None, approved_by="A Clinician", note="for the benchmark")


def begun_courses(clinic: Clinic, number: int, preferences: Callable[[], dict[str, Any]] = dict) -> list[UUID]:
    """Courses of patients without a history, begun in the first eight weeks."""
    clinic.do(approve)
    found = []
    for place in range(number):
        patient = clinic.newcomers[place % len(clinic.newcomers)]
        start_after = clinic.first_day + timedelta(days=place * 11 % 56)
        wanted = WantedCourse(patient, PROTOCOL, clinic.location_id, start_after, preferences())
        found.append(clinic.do(partial(courses.create, wanted=wanted)).id)
    return found


@dataclass
class Watch:
    """Takes the time of plans for one clinic's courses. Nothing is booked, so that each meets the same calendar."""

    clinic: Clinic
    course_ids: list[UUID]

    def calls(self) -> list[str]:
        """The service by itself, each time with nothing remembered, and then with what the calls before left."""
        cold = [self._cold(course_id) for course_id in self.course_ids[: max(5, len(self.course_ids) // 4)]]
        engine = self.clinic.database.engine
        for course_id in self.course_ids:  # each looks at days of its own
            self._plan(engine, course_id)
        warm = [timed(lambda each=each: self._plan(engine, each)) for each in self.course_ids]  # type: ignore[misc]
        planned = sum(found for _, _, found in warm)
        return [
            f"{planned} of {len(warm)}",
            spread([wall for wall, _, _ in cold]),
            spread([cpu for _, cpu, _ in cold]),
            spread([wall for wall, _, _ in warm]),
            spread([cpu for _, cpu, _ in warm]),
        ]

    def requests(self) -> list[str]:
        """`POST /v1/courses/{id}/plans`, one after the other."""
        with tempfile.TemporaryDirectory() as folder, serving(self.clinic.database.url, Path(folder)) as api:
            connection = HTTPConnection(*api.address)
            for course_id in 3 * self.course_ids:  # both workers
                self._request(connection, course_id, proven=False)
            found, cpu = [], []
            for proven in (False, True):
                before = worker_cpu(api)
                found.append([self._request(connection, each, proven=proven) for each in self.course_ids])
                cpu.append((worker_cpu(api) - before) / len(self.course_ids) * 1000)
            return [*(spread(each) for each in found), " and ".join(f"{each:.0f}" for each in cpu)]

    def _request(self, connection: HTTPConnection, course_id: UUID, *, proven: bool) -> float:
        headers = {"Authorization": f"Bearer {self.clinic.token}", "Content-Type": "application/json"}
        body: dict[str, Any] = {"alternatives": 1, "through": "all", "proven": proven}
        began = time.perf_counter()
        connection.request("POST", f"/v1/courses/{course_id}/plans", json.dumps(body), headers)
        answer = connection.getresponse()
        told = answer.read()
        spent = (time.perf_counter() - began) * 1000
        if answer.status != _OK:
            raise RuntimeError(told.decode())
        return spent

    def _plan(self, engine: Any, course_id: UUID) -> bool:
        def act(session: Session, call: Call) -> bool:
            try:
                return bool(planning.make_plans(session, call, course_id, through="all")[1])
            except NoFeasiblePlan:
                return False

        with Session(engine) as session:
            return transact(session, self.clinic.call, act, dry_run=True)

    def _cold(self, course_id: UUID) -> tuple[float, float, bool]:
        with unasked(self.clinic.database.url) as engine:
            return timed(lambda: self._plan(engine, course_id))
