"""What a desk looks at all day: the board, the load, a course, a list; in the server, beside bare SQL and one dump."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from statistics import median
from types import FrameType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode
from uuid import UUID

from flask import Flask
from sqlalchemy import Connection, Engine, event, select, text
from sqlalchemy.orm import Session
from werkzeug.test import EnvironBuilder, run_wsgi_app

from bench.clinic import FORTY, TIME_ZONE, Clinic
from bench.databases import Database, postgresql, server, sqlite
from bench.history import History
from bench.report import Sheet, extent, spread
from bench.stopwatch import timed
from scheduler import create_app
from scheduler.api.rehearsal import rehearse
from scheduler.config import Settings
from scheduler.core.call import Call
from scheduler.core.civil import to_local
from scheduler.database import db
from scheduler.models import Appointment, ProtocolRow
from scheduler.services import courses, planning, plans, protocols
from scheduler.services.course_wishes import WantedCourse

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

ABOUT = "the board of a full day, a day's load, a course, a list of visits, in the server beside bare SQL and one dump"
#: A day of about so many visits is looked at.
VISITS = 60
PROTOCOL = "iv_ketamine_induction"


def flags(parser: argparse.ArgumentParser) -> None:
    """The long form is `--samples 200`."""
    parser.add_argument("--stored", type=int, default=10_000, help="occupancies")
    parser.add_argument("--databases", nargs="+", default=["postgresql", "sqlite"], choices=["postgresql", "sqlite"])
    parser.add_argument("--samples", type=int, default=60, help="requests of each kind")
    parser.add_argument("--short", action="store_true", help="10 requests of each kind")


def run(chosen: argparse.Namespace) -> None:
    """One row for each thing that is looked at, on each database."""
    if chosen.short:
        chosen.samples = 10
    print("p50 / p95 / p99, milliseconds; `function calls`: the interpreter's, of one request")
    columns = ["in the server", "its CPU", "function calls", "statements", "kB", "bare", "server : bare, CPU"]
    shown = Sheet(["database", "what", *columns])
    for name in chosen.databases:
        with _database(name) as database, Desk(database, chosen.stored).open() as desk:
            for what, look in desk.looks().items():
                shown.add([name, what, *desk.measured(look, chosen.samples)])


@contextmanager
def _database(name: str) -> Iterator[Database]:
    if name == "postgresql":
        with server() as address, postgresql(address) as made:
            yield made
    else:
        with sqlite() as made:
            yield made


@dataclass(frozen=True)
class Look:
    """What is asked, and the statements that read as many of the same rows, with their values."""

    path: str
    query: dict[str, Any]
    bare: tuple[str, ...]
    values: dict[str, Any]


@dataclass
class Desk:
    """A clinic of forty with a full calendar and a course, and the application that serves it in this process."""

    database: Database
    stored: int

    @contextmanager
    def open(self) -> Iterator[Desk]:
        """Fill the clinic, and serve it for a while."""
        self.clinic = Clinic(self.database, FORTY)
        History(self.clinic, window=31).grow(self.stored)
        self.course = self.clinic.do(self._course)
        self.day, self.visits = self.clinic.do(self._fullest)
        self.app: Flask = create_app(Settings(database_url=self.database.url))
        rehearse(self.app)
        yield self
        with self.app.app_context():
            db.engine.dispose()

    def looks(self) -> dict[str, Look]:
        """Everything that is looked at, by what it is called in the table."""
        where, (since, until) = self.clinic.location_id, self._bounds()
        span = {"from": since.isoformat(), "to": until.isoformat()}
        ids = {"organization": self.clinic.call.organization_id, "location": where, "course": self.course}
        values = {
            name: each.hex if isinstance(each, UUID) and self.database.dialect == "sqlite" else each
            for name, each in (ids | {"since": self._instant(since), "until": self._instant(until)}).items()
        }
        visits, taken = _OF_DAY.format("a.*"), _OF_DAY_TAKEN
        return {
            f"the board, {self.visits} visits": Look(
                f"/v1/locations/{where}/day",
                {"date": self.day.isoformat()},
                (visits, taken, _RESOURCES, _ABSENCES, _TASKS),
                values,
            ),
            "the load of that day": Look(
                "/v1/load",
                {"location_id": where, **span},
                (_OF_DAY.format("a.visit_type, a.starts_at"), taken, _RESOURCES),
                values,
            ),
            "the course": Look(f"/v1/courses/{self.course}", {}, _COURSE, values),
            "50 visits of that day": Look(
                "/v1/appointments",
                {"location_id": where, **span, "limit": 50},
                (f"{visits} LIMIT 51", f"{taken} LIMIT 260"),
                values,
            ),
        }

    def measured(self, look: Look, samples: int) -> list[str]:
        """The cells of one row."""
        path = f"{look.path}?{urlencode(look.query)}"
        headers = [("Authorization", f"Bearer {self.clinic.token}")]
        heard = [EnvironBuilder(path=path, headers=headers).get_environ() for _ in range(samples + 12)]
        size = 0

        def answer(environ: WSGIEnvironment) -> None:
            nonlocal size
            body, status, _ = run_wsgi_app(self.app, environ)
            told = b"".join(body)
            size = len(told)
            if not status.startswith("200"):
                raise RuntimeError(told.decode())

        for environ in heard[:10]:
            answer(environ)
        calls = _calls(partial(answer, heard[10]))
        statements = self._statements(partial(answer, heard[11]))
        both = []
        with self.database.engine.connect() as connection:
            for environ in heard[12:]:
                ours = timed(partial(answer, environ))
                both.append((ours, timed(partial(_dump, connection, look))))
        walls, cpu = [ours[0] for ours, _ in both], [ours[1] for ours, _ in both]
        bare = [its[1] for _, its in both]
        ratios = [mine / max(its, 0.01) for mine, its in zip(cpu, bare, strict=True)]
        return [
            spread(walls), spread(cpu), f"{calls:,}", str(statements), f"{size / 1000:.0f}",
            spread([its[0] for _, its in both]), extent([median(ratios), *sorted(ratios)[1:-1]], 1),
        ]  # fmt: skip

    def _statements(self, act: Callable[[], object]) -> int:
        with self.app.app_context():
            engine: Engine = db.engine
        said: list[str] = []

        def note(_c: Connection, _cursor: Any, statement: str, *_rest: Any) -> None:
            said.append(statement)

        event.listen(engine, "before_cursor_execute", note)
        act()
        event.remove(engine, "before_cursor_execute", note)
        return sum(not each.startswith("BEGIN") for each in said)

    def _course(self, session: Session, call: Call) -> UUID:
        """A course of the shipped protocol, booked to its first gate."""
        draft = session.scalars(
            select(ProtocolRow).where(ProtocolRow.organization_id == call.organization_id, ProtocolRow.code == PROTOCOL)
        ).first()
        if draft is None:
            raise RuntimeError(PROTOCOL)
        protocols.publish(session, call, draft.id, None, approved_by="A Clinician", note="to measure with")
        wanted = WantedCourse(self.clinic.newcomers[-1], PROTOCOL, self.clinic.location_id, self.clinic.first_day, {})
        made = courses.create(session, call, wanted)
        session.flush()
        desk, found = planning.make_plans(session, call, made.id)
        (offered,) = plans.keep(session, call, desk, found, 30)
        plans.book(session, call, made.id, offered.token)
        return made.id

    def _fullest(self, session: Session, call: Call) -> tuple[date, int]:
        """The day ahead whose visits are nearest to as many as are wanted."""
        since, until = self.clinic.day(0)[0], self.clinic.day(31)[0]
        starts = session.scalars(
            select(Appointment.starts_at).where(
                Appointment.organization_id == call.organization_id,
                Appointment.starts_at >= since,
                Appointment.starts_at < until,
            )
        )
        days = Counter(to_local(each, TIME_ZONE).date() for each in starts)
        return min(days.items(), key=lambda found: (abs(found[1] - VISITS), found[0]))

    def _bounds(self) -> tuple[datetime, datetime]:
        return self.clinic.day((self.day - self.clinic.first_day).days)

    def _instant(self, at: datetime) -> Any:
        """As the database keeps it."""
        since = at - datetime(1970, 1, 1, tzinfo=UTC)
        return at if self.database.dialect == "postgresql" else since // timedelta(microseconds=1)


_OF_DAY = """
    SELECT {} FROM appointments a
    WHERE a.organization_id = :organization AND a.location_id = :location
      AND a.starts_at >= :since AND a.starts_at < :until
"""
_OF_DAY_TAKEN = """
    SELECT o.resource_id, o.unit, o.starts_at, o.ends_at, o.role, o.appointment_id FROM occupancies o
    JOIN appointments a ON a.organization_id = o.organization_id AND a.id = o.appointment_id
    WHERE a.organization_id = :organization AND a.location_id = :location
      AND a.starts_at >= :since AND a.starts_at < :until
"""
_RESOURCES = """
    SELECT id, kind, name, roles, hours, units FROM resources
    WHERE organization_id = :organization AND kind <> 'patient'
"""
_ABSENCES = """
    SELECT resource_id, starts_at, ends_at FROM absences
    WHERE organization_id = :organization AND starts_at < :until AND ends_at > :since
"""
_TASKS = """
    SELECT t.* FROM tasks t JOIN appointments a ON a.organization_id = t.organization_id AND a.id = t.appointment_id
    WHERE a.organization_id = :organization AND a.location_id = :location
      AND a.starts_at >= :since AND a.starts_at < :until
"""
_COURSE = (
    "SELECT * FROM courses WHERE organization_id = :organization AND id = :course",
    "SELECT * FROM course_sessions WHERE organization_id = :organization AND course_id = :course",
    "SELECT * FROM gates WHERE organization_id = :organization AND course_id = :course",
    "SELECT * FROM appointments WHERE organization_id = :organization AND course_id = :course",
)


def _dump(connection: Connection, look: Look) -> str:
    """The rows as JSON, by the driver and the standard library alone, asked in the driver's own words."""
    found = []
    for statement in look.bare:
        cursor = connection.execute(text(statement), _named(statement, look.values))
        names = list(cursor.keys())
        found.append([dict(zip(names, row, strict=True)) for row in cursor.fetchall()])
    connection.rollback()
    return json.dumps(found, default=str)


def _named(statement: str, values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if f":{name}" in statement}


def _calls(act: Callable[[], object]) -> int:
    """How many functions the interpreter calls: alike on a busy machine and on a quiet one."""
    count = 0

    def note(_frame: FrameType, what: str, _argument: object) -> None:
        nonlocal count
        count += what in {"call", "c_call"}

    sys.setprofile(note)
    try:
        act()
    finally:
        sys.setprofile(None)
    return count
