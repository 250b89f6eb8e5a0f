"""Finding a time: one call of the service, and of the server, beside a plain slot loop; cold, warm, after a booking."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from http.client import HTTPConnection
from itertools import cycle
from pathlib import Path
from random import Random
from statistics import median
from typing import TYPE_CHECKING
from urllib.parse import urlencode
from uuid import UUID

from flask import Flask
from sqlalchemy import Engine
from sqlalchemy.orm import Session
from werkzeug.test import EnvironBuilder, run_wsgi_app

from bench.clinic import FORTY, LARGE, Clinic, Size
from bench.filled import filled
from bench.report import Sheet, extent, spread
from bench.slotloop import SlotLoop
from bench.stopwatch import forget, timed, unasked
from scheduler import create_app, settle_down
from scheduler.api.rehearsal import rehearse
from scheduler.config import Settings
from scheduler.database import db, look
from scheduler.services import availability
from scheduler.services.availability import Offer, Question
from scheduler.services.catalog import visit_kind
from scheduler.services.locks import bump_calendars
from tests.plumbing.servers import serving

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

ABOUT = "offers for 31 days of a clinic with 40 resources and 26 weeks of one with 140, beside a plain slot loop"
KIND = "iv_infusion"
#: Clinics, and how many days are asked for.
_SIZES = {"40": (FORTY, 31), "140": (LARGE, 26 * 7)}


def flags(parser: argparse.ArgumentParser) -> None:
    """The long form is `--stored 10000 100000 1000000 --samples 200`."""
    parser.add_argument("--stored", type=int, nargs="+", default=[10_000, 100_000], help="occupancies")
    parser.add_argument("--databases", nargs="+", default=["postgresql", "sqlite"], choices=["postgresql", "sqlite"])
    parser.add_argument("--resources", nargs="+", default=list(_SIZES), choices=list(_SIZES), help="which clinics")
    parser.add_argument("--samples", type=int, default=40, help="calls of each kind")
    parser.add_argument("--limit", type=int, nargs="+", default=[50], help="offers per call")
    parser.add_argument("--keep", type=Path, help="a folder that keeps filled clinics for the next run")
    parser.add_argument("--short", action="store_true", help="the smaller clinic, 10,000 occupancies, 10 samples")


def run(chosen: argparse.Namespace) -> None:
    """Measure every clinic on every database at every number of stored occupancies; print each as it is known."""
    if chosen.short:
        chosen.resources, chosen.stored, chosen.samples = ["40"], [10_000], 10
    print("p50 / p95 / p99, wall milliseconds; ratios of medians. `growth`: to the fewest stored, by CPU")
    warm = ["warm", "its CPU", "growth"]
    shown = Sheet(
        [
            "database",
            "clinic",
            "stored",
            "limit",
            *warm,
            "after a booking",
            "cold",
            "growth",
            "loop : warm",
            "in the server, warm",
            "its CPU",
            "in the server, cold",
            "over HTTP, warm",
        ]
    )
    for name in chosen.databases:
        for size, days in (_SIZES[key] for key in chosen.resources):
            first: dict[int, Figures] = {}
            for stored in chosen.stored:
                with filled(name, size, window=days, stored=stored, keep=chosen.keep) as clinic:
                    watch = Watch(clinic, size, days, chosen.samples)
                    for limit in chosen.limit:
                        case = [name, f"{size.resources} for {days} days", f"{stored:,}", limit]
                        figures = watch.calls(limit)
                        growth = figures.shown(first.setdefault(limit, figures))
                        shown.add([*case, *growth, *watch.answers(limit), watch.requests(limit)])


@dataclass
class Figures:
    """Milliseconds of one case: on the wall, and of this process's CPU, which neighbors disturb less."""

    warm: list[float]
    warm_cpu: list[float]
    changed: list[float]
    cold: list[float]
    cold_cpu: list[float]
    ratios: list[float]

    def shown(self, first: Figures) -> list[str]:
        """Cells of the table."""
        return [
            spread(self.warm),
            spread(self.warm_cpu),
            f"{median(self.warm_cpu) / median(first.warm_cpu):.2f}",
            spread(self.changed),
            f"{spread(self.cold)} (CPU {median(self.cold_cpu):.0f})",
            f"{median(self.cold_cpu) / median(first.cold_cpu):.2f}",
            extent(self.ratios, 0),
        ]


@dataclass
class Watch:
    """Takes the time of questions to one clinic; each is asked for another patient, as a front desk does."""

    clinic: Clinic
    size: Size
    days: int
    samples: int

    def __post_init__(self) -> None:
        self._patients = cycle(self.clinic.newcomers[:10])
        self._rng = Random(1)
        self._since = self.clinic.day(0)[0]
        self._until = self._since + timedelta(days=self.days)

    def calls(self, limit: int) -> Figures:
        """Warm, after a booking, cold, and the reference."""
        engine = self.clinic.database.engine
        for _ in range(10):
            self._ask(engine, limit)
        warm = [_timed(lambda: self._ask(engine, limit)) for _ in range(self.samples)]
        changed = [_timed(lambda: self._ask(engine, limit), self._touch) for _ in range(self.samples)]
        cold = [self._cold(limit) for _ in range(max(5, self.samples // 4))]
        return Figures(
            warm=[wall for wall, _ in warm],
            warm_cpu=[cpu for _, cpu in warm],
            changed=[wall for wall, _ in changed],
            cold=[wall for wall, _ in cold],
            cold_cpu=[cpu for _, cpu in cold],
            ratios=self._loop(limit),
        )

    def answers(self, limit: int) -> list[str]:
        """The same question as a server's worker hears and answers it, in this process: warm, its CPU, and cold.

        Cold is the first request of an application that has rehearsed, in a process that remembers nothing else.
        """
        with self._application() as app:
            spent = [_timed(partial(_answer, app, self._heard(limit))) for _ in range(self.samples + 10)][10:]
        cold = []
        for _ in range(max(5, self.samples // 4)):
            forget()
            with self._application() as app:
                cold.append(_timed(partial(_answer, app, self._heard(limit))))
        walls, cpu = [wall for wall, _ in spent], [cpu for _, cpu in spent]
        return [
            spread(walls),
            spread(cpu),
            f"{spread([wall for wall, _ in cold])} (CPU {median(cpu for _, cpu in cold):.0f})",
        ]

    @contextmanager
    def _application(self) -> Iterator[Flask]:
        """The application as a worker has it when it begins to serve."""
        app = create_app(Settings(database_url=self.clinic.database.url))
        rehearse(app)
        settle_down()
        yield app
        with app.app_context():
            db.engine.dispose()

    def _heard(self, limit: int) -> WSGIEnvironment:
        headers = [("Authorization", f"Bearer {self.clinic.token}")]
        return EnvironBuilder(path=self._address(limit), headers=headers).get_environ()

    def requests(self, limit: int) -> str:
        """The same over HTTP, one after the other, as a client waits for it."""
        with tempfile.TemporaryDirectory() as folder, serving(self.clinic.database.url, Path(folder)) as api:
            connection = HTTPConnection(*api.address)

            def request() -> None:
                headers = {"Authorization": f"Bearer {self.clinic.token}"}
                connection.request("GET", self._address(limit), headers=headers)
                answer = connection.getresponse()
                body = answer.read()
                if answer.status != 200:  # noqa: PLR2004 - OK
                    raise RuntimeError(body.decode())

            for _ in range(30):  # both workers
                request()
            return spread([_timed(request)[0] for _ in range(self.samples)])

    def _address(self, limit: int) -> str:
        question = {
            "visit_type": KIND,
            "location_id": self.clinic.location_id,
            "from": self._since.isoformat(),
            "to": self._until.isoformat(),
            "patient_id": next(self._patients),
            "limit": limit,
        }
        return f"/v1/availability?{urlencode(question)}"

    def _ask(self, engine: Engine, limit: int) -> list[Offer]:
        question = Question(KIND, self.clinic.location_id, self._since, self._until, next(self._patients))
        with Session(engine) as session:
            look(session)  # as a request does
            return availability.search(session, self.clinic.call, question, limit=limit)[0]

    def _touch(self) -> None:
        """What a booking changes for readers: the calendars of three."""
        ids: list[UUID] = [
            self._rng.choice(pool) for pool in (*self.clinic.staff.values(), *self.clinic.rooms.values())
        ]
        self.clinic.do(lambda session, call: bump_calendars(session, call, ids[:3]))

    def _cold(self, limit: int) -> tuple[float, float]:
        with unasked(self.clinic.database.url) as engine:
            return _timed(lambda: self._ask(engine, limit))

    def _loop(self, limit: int) -> list[float]:
        """The reference in turns with the product; both must agree, but that the product may offer more."""
        engine, loop = self.clinic.database.engine, SlotLoop(self.clinic)
        kind = self.clinic.do(lambda session, call: visit_kind(session, call, KIND))
        found: list[datetime] = []

        def probe() -> None:
            with Session(engine) as session:
                found[:] = loop.search(session, kind.demand, self._since, self._until, limit)

        ratios = [_timed(probe)[0] / _timed(lambda: self._ask(engine, limit))[0] for _ in range(3)]
        offered = {offer.start for offer in self._ask(engine, limit)}
        last = max(offered, default=self._until)
        missed = [start for start in found if start <= last and start not in offered]
        if missed:
            raise RuntimeError(f"the slot loop found {missed[0]}, which the product did not offer")
        return ratios


def _answer(app: Flask, environ: WSGIEnvironment) -> None:
    body, status, _ = run_wsgi_app(app, environ)
    if not status.startswith("200"):
        raise RuntimeError(b"".join(body).decode())


def _timed(act: Callable[[], object], before: Callable[[], object] | None = None) -> tuple[float, float]:
    """Milliseconds on the wall, and of this process's CPU."""
    if before is not None:
        before()
    wall, cpu, _ = timed(act)
    return wall, cpu
