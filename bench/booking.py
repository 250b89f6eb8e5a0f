"""Bookings per second over HTTP beside the same rows by bare SQL, in turns on one database; and one booking's CPU."""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from random import Random
from typing import Any, cast

import psycopg
from sqlalchemy import JSON, URL, Table, func, make_url, select
from sqlalchemy.orm import Session

from bench.bare import bare_client
from bench.clinic import FORTY, TIME_ZONE, Clinic
from bench.crowd import OK, OUT, Did, crowd, http_client
from bench.databases import postgresql, server
from bench.history import History
from bench.report import Sheet, extent, spread
from bench.stopwatch import worker_cpu
from scheduler.core.availability import starts
from scheduler.core.bitmap import bits
from scheduler.core.call import Call
from scheduler.core.civil import to_local
from scheduler.core.localgrid import Wish, wished_starts
from scheduler.models import Appointment, AuditEvent, Message, Occupancy
from scheduler.services.calendars import Loaded, load
from scheduler.services.catalog import Kind, visit_kind
from tests.plumbing.servers import Server, serving

ABOUT = "bookings over HTTP (gunicorn, 2 workers x 4 threads, PostgreSQL) beside the same rows by bare SQL"
KIND = "integration"
#: Bookings take the days that the product takes bookings for; the bare rows lie beyond them, on empty days.
HORIZON, BEYOND, LAST = 330, 371, 2400
_HOURS, _WORKDAYS = range(8, 17), 5
#: More of either per second than can be.
_FASTEST = {"api": 600, "bare": 4000}
_READS = 200


def flags(parser: argparse.ArgumentParser) -> None:
    """The long form is `--stored 0 100000 1000000 --rounds 4`. A filled clinic has places for nearly 4,000 visits."""
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--stored", type=int, nargs="+", default=[0, 100_000], help="occupancies stored beforehand")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each turn")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each of the two")
    parser.add_argument("--short", action="store_true", help="8 clients, one turn of 2 seconds, nothing stored")


def run(chosen: argparse.Namespace) -> None:
    """Measure each number of clients, the clinics of all sizes in turns, and print each as it is known."""
    if chosen.short:
        chosen.clients, chosen.stored, chosen.seconds, chosen.rounds = [8], [0], 2.0, 1
    shown = Sheet(
        ["clients", "stored", "API/s", "growth", "bare/s", "API : bare", "server CPU ms", "read CPU ms",
         "p50 / p95 / p99 ms", "refused"]
    )  # fmt: skip
    with server() as address, ExitStack() as kept:
        clinics = [Clinic(kept.enter_context(postgresql(address)), FORTY) for _ in chosen.stored]
        for clinic, stored in zip(clinics, chosen.stored, strict=True):
            History(clinic, window=HORIZON).grow(stored)
            clinic.database.engine.dispose()
        for clients in chosen.clients:
            turns = _in_turns(address, clinics, clients, chosen.seconds, chosen.rounds)
            for stored, mine in zip(chosen.stored, turns, strict=True):
                shown.add([clients, f"{stored:,}", *_shown(mine, turns[0])])
    print("`server CPU` is that of the workers, for a booking and for reading one row; `growth` is the rate to that")
    print("of the first clinic in the turn beside it. A refusal would be false: every wish had its place.")


def _in_turns(address: URL, clinics: list[Clinic], clients: int, seconds: float, rounds: int) -> list[list[Turn]]:
    """The turns of each clinic, on a copy of its own: whatever the machine does meanwhile, it does to all of them."""
    with ExitStack() as open_ones:
        contests = [open_ones.enter_context(_contest(address, clinic)) for clinic in clinics]
        turns: list[list[Turn]] = [[] for _ in contests]
        for contest in contests:
            contest.warm_up()
        for again in range(rounds):
            order = list(zip(contests, turns, strict=True))
            for contest, mine in reversed(order) if again % 2 else order:
                mine.append(contest.turn(clients, seconds))
        return turns


@contextmanager
def _contest(address: URL, original: Clinic) -> Iterator[Contest]:
    """A copy of that clinic with a server before it."""
    with (
        postgresql(address, make_url(original.database.url)) as database,
        tempfile.TemporaryDirectory() as folder,
        serving(database.url, Path(folder)) as api,
    ):
        yield Contest(Clinic.again(database, vars(original)), api, Random(1))


@dataclass
class Turn:
    """What both did in one turn, and the CPU seconds of the API's workers meanwhile."""

    api: Did
    bare: Did
    cpu: float
    #: The CPU seconds of a request that reads one row, for comparison: what this machine makes of the least.
    read: float


def _shown(turns: list[Turn], first: list[Turn]) -> list[str]:
    refused: Counter[str] = Counter()
    for turn in turns:
        refused.update({end: count for end, count in turn.api.ends.items() if end != OK})
    return [
        extent([turn.api.rate for turn in turns], 0),
        extent([mine.api.rate / its.api.rate for mine, its in zip(turns, first, strict=True)]),
        extent([turn.bare.rate for turn in turns], 0),
        extent([turn.api.rate / turn.bare.rate for turn in turns]),
        extent([turn.cpu / turn.api.ends[OK] * 1000 for turn in turns], 1),
        extent([turn.read * 1000 for turn in turns], 1),
        spread([second * 1000 for turn in turns for second in turn.api.seconds], 0),
        "; ".join(f"{end} {count}" for end, count in refused.items()) or "0",
    ]


@dataclass
class Contest:
    """A clinic with a server before it, and two lists of wishes that can all come true."""

    clinic: Clinic
    api: Server
    rng: Random
    _wishes: list[dict[str, Any]] = field(init=False)
    _bare: list[dict[str, Any]] = field(init=False)
    _shared: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self._wishes = self.clinic.do(self._places)
        self._bare = list(self._further_places())
        self.rng.shuffle(self._bare)
        self._shared = self.clinic.do(self._reference)

    def warm_up(self) -> None:
        """Let both workers load everything once; make sure that the reference writes as many rows as the product."""
        self._go("api", 8, 2.0)
        self._shared = self.clinic.do(self._reference)
        rows = self.clinic.do(_rows_of_a_booking)
        wanted = {"occupancies": 3, "messages": len(self._shared["rules"]), "audit_events": 1}
        if rows != wanted:
            raise RuntimeError(f"a booking writes {rows}, its reference {wanted}: they are not alike any more")
        self.clinic.database.analyze()  # tables that only just began to fill are read by the wrong index

    def turn(self, clients: int, seconds: float) -> Turn:
        """First the one, then the other."""
        before = worker_cpu(self.api)
        api = self._go("api", clients, seconds)
        cpu = worker_cpu(self.api) - before
        return Turn(api, self._go("bare", clients, seconds), cpu, self._read())

    def _read(self) -> float:
        """CPU seconds of the workers for one authenticated read of one row."""
        connection, before = HTTPConnection(*self.api.address), worker_cpu(self.api)
        for _ in range(_READS):
            connection.request("GET", "/v1/organization", headers={"Authorization": f"Bearer {self.clinic.token}"})
            connection.getresponse().read()
        return (worker_cpu(self.api) - before) / _READS

    def _go(self, which: str, clients: int, seconds: float) -> Did:
        self.clinic.database.engine.dispose()  # the clients are forked from here
        wishes = self._wishes if which == "api" else self._bare
        orders = [wishes.pop() for _ in range(min(len(wishes), int(seconds * _FASTEST[which])))]
        maker = http_client if which == "api" else bare_client
        did = crowd(maker, self._shared, orders, clients, seconds)
        wishes += did.left
        self.rng.shuffle(wishes)
        if did.ends[OUT]:
            raise RuntimeError(f"{which} ran out of wishes: fewer seconds or rounds, please")
        return did

    def _places(self, session: Session, call: Call) -> list[dict[str, Any]]:
        """For every full hour ahead as many wishes as visits of the kind fit into it, each by a patient of its own."""
        kind = visit_kind(session, call, KIND)
        found = []
        for week in range(0, HORIZON, 7):
            start, end = self.clinic.day(week)[0], self.clinic.day(week + 4)[1]
            loaded = load(session, call, location_id=self.clinic.location_id, start=start, end=end)
            clinic = loaded.site.clinic(kind.visit, kind.demand)
            days: dict[Any, list[str]] = {}
            for slot in bits(starts(kind.demand, clinic) & _full_hours(loaded, start, end)):
                able = [sum(starts >> slot & 1 for _, starts in clinic.able(each)) for each in kind.demand.threads]
                instant = loaded.site.timeline.instant(slot)
                local = to_local(instant, TIME_ZONE)
                days.setdefault(local.date(), []).extend([instant.isoformat()] * min(able))
            for starts_of_day in days.values():
                found += [self._wish(start, kind, place) for place, start in enumerate(starts_of_day)]
        self.rng.shuffle(found)
        return found

    def _wish(self, start: str, kind: Kind, place: int) -> dict[str, Any]:
        patient, location = self.clinic.newcomers[place], self.clinic.location_id
        return {"patient_id": str(patient), "visit_type": kind.visit.code, "location_id": str(location), "start": start}

    def _further_places(self) -> Iterator[dict[str, Any]]:
        """Places on the empty days beyond, with who serves: the reference looks for nobody."""
        rooms = zip(self.clinic.staff["therapist"], self.clinic.rooms["consult"], strict=True)
        pairs = [([str(who), "role:therapist"], [str(room), "room:consult"]) for who, room in rooms]
        for offset in range(BEYOND, LAST):
            midnight, _ = self.clinic.day(offset)
            if offset % 7 < _WORKDAYS:
                for place, (hour, pair) in enumerate((hour, pair) for hour in _HOURS for pair in pairs):
                    start = (midnight + timedelta(hours=hour)).isoformat()
                    patient = self.clinic.newcomers[place]
                    yield {"start": start, "patient_id": str(patient), "takings": pair}

    def _reference(self, session: Session, call: Call) -> dict[str, Any]:
        """What the clients of both sides must know."""
        kind, url = visit_kind(session, call, KIND), make_url(self.clinic.database.url)
        mine = Message.organization_id == call.organization_id
        return {
            "address": self.api.address,
            "token": self.clinic.token,
            "path": "/v1/appointments",
            "conninfo": psycopg.conninfo.make_conninfo(
                host=str(url.query.get("host") or url.host),
                port=url.port,
                dbname=url.database,
                user=url.username,
                password=url.password,
            ),
            "organization": str(call.organization_id),
            "location": str(self.clinic.location_id),
            "kind": KIND,
            "kind_id": str(kind.id),
            "minutes": kind.visit.minutes,
            "zone": TIME_ZONE,
            "rules": list(session.scalars(select(Message.rule).where(mine).distinct())),
            "further": _further_columns(),
        }


def _full_hours(loaded: Loaded, since: datetime, until: datetime) -> int:
    """The slots of the full hours at which visits begin."""
    timeline = loaded.site.timeline
    hours = Wish(step=60, earliest=_HOURS[0] * 60, latest=_HOURS[-1] * 60)
    between = timeline.from_slot(timeline.slot(since)) & ~timeline.from_slot(timeline.slot(until))
    return wished_starts(hours, TIME_ZONE, timeline) & between


def _further_columns() -> dict[str, str]:
    """Columns of an appointment that the reference has no word for, and their defaults as SQL."""
    columns = cast("Table", Appointment.__table__).columns
    further: list[tuple[str, Any]] = [
        (column.name, column.default)
        for column in columns
        if column.name not in {"segments", "pins"} and isinstance(column.type, JSON) and column.default is not None
    ]
    return {name: f"'{json.dumps(default.arg(None))}'" for name, default in further if default.is_callable}


def _rows_of_a_booking(session: Session, call: Call) -> dict[str, int]:
    """How many rows of each kind belong to the latest booking."""
    latest = session.scalars(
        select(AuditEvent.subject_id)
        .where(AuditEvent.organization_id == call.organization_id, AuditEvent.action == "appointment.book")
        .order_by(AuditEvent.id.desc())
        .limit(1)
    ).one()
    found = {}
    for model, column in (
        (Occupancy, Occupancy.appointment_id), (Message, Message.appointment_id), (AuditEvent, AuditEvent.subject_id),
    ):  # fmt: skip
        mine = model.organization_id == call.organization_id, column == latest
        found[model.__tablename__] = session.scalar(select(func.count()).select_from(model).where(*mine)) or 0
    return found
