"""When a message leaves whose worker was killed while it was on its way: the lease and a tick, as installations have.

Each round is a database of its own with two workers, all rounds at once, for nearly all of it is waiting.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from sqlalchemy import update
from sqlalchemy.orm import Session

from bench.databases import Database, postgresql, server, sqlite
from bench.report import table
from scheduler.models import Message
from tests.clinic import Clinic
from tests.desk import book
from tests.messaging.sinks import Gateway, sms_gateway
from tests.postroom import open_postroom
from tests.worker.crew import Crew, heap

ABOUT = "seconds until what a killed worker had on its way leaves by another: lease of 60 s and tick of 5 s"
_LEASE, _TICK = 60, 5
_NO_LIMITS: dict[str, Any] = {"quiet": {"from": "00:00", "to": "00:00"}, "caps": {"per_day": None, "per_week": None}}
#: Longer than anybody here lives: what the first worker has on its way has arrived and is never answered.
_NEVER = 120.0


def flags(parser: argparse.ArgumentParser) -> None:
    """As many messages as a worker claims at once are lost with it: the one on its way and those behind it."""
    parser.add_argument("--databases", nargs="+", choices=["postgresql", "sqlite"], default=["postgresql", "sqlite"])
    parser.add_argument("--rounds", type=int, default=6, help="for each database, all at once")
    parser.add_argument("--messages", type=int, default=20, help="in each round")


def run(chosen: argparse.Namespace) -> None:
    """Raise SystemExit when one left later than it may, or not at all."""
    rows, is_late = [], False
    for name in chosen.databases:
        with ExitStack() as stack:
            address = stack.enter_context(server()) if name == "postgresql" else None
            rounds = [
                _Round(
                    stack, stack.enter_context(sqlite() if address is None else postgresql(address)), chosen.messages
                )
                for _ in range(chosen.rounds)
            ]
            with ThreadPoolExecutor(len(rounds)) as pool:
                took = list(pool.map(_Round.last, rounds))
        first, last = [each[0] for each in took], [each[1] for each in took]
        is_late = is_late or max(last) > _LEASE + _TICK
        rows.append([name, len(took), *(f"{min(each):.1f} to {max(each):.1f}" for each in (first, last))])
    table(["database", "kills", "what was on its way, s after the kill", "the last of all it held, s"], rows)
    if is_late:
        raise SystemExit("a promise was broken")


class _Round:
    """A clinic, two workers of which one is killed, and when the messages of that one came."""

    def __init__(self, stack: ExitStack, database: Database, count: int) -> None:
        clinic: Clinic = open_postroom(database.engine, **_NO_LIMITS)
        visit = book(clinic, clinic.patient(), "session", "2030-03-04 09:00").id
        with Session(database.engine) as session, session.begin():
            session.execute(update(Message).values(status="sent", sent_at=Message.due_at))
        self._owed = set(map(str, heap(clinic, [visit], each=count)))
        database.engine.dispose()
        self._gateway: Gateway = stack.enter_context(sms_gateway())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="regimen-death-")))
        self._crew = stack.enter_context(Crew(database.url, self._gateway.url, folder))
        self._crew.settings |= {
            "SCHEDULER_WORKER_LEASE_SECONDS": str(_LEASE),
            "SCHEDULER_WORKER_TICK_SECONDS": str(_TICK),
        }

    def last(self) -> tuple[float, float]:
        """Seconds from the kill until what was on its way has come again, and until all have."""
        gateway, crew = self._gateway, self._crew
        gateway.delay = _NEVER
        crew.hire()
        self._wait(lambda: bool(gateway.asked))
        crew.hire()
        self._wait(lambda: len(crew.at_work()) == len(crew.hands))
        gateway.delay = 0
        crew.kill_one_at_work()
        killed, known = time.monotonic(), len(gateway.asked)
        self._wait(lambda: self._owed <= {document["id"] for document in gateway.asked[known:]})
        came = [(document["id"], at - killed) for document, at in zip(gateway.asked, gateway.times, strict=True)]
        lost = {key for key, _ in came[:known]}
        return max(at for key, at in came[known:] if key in lost), came[-1][1]

    def _wait(self, done: Callable[[], bool]) -> None:
        end = time.monotonic() + 3 * _LEASE
        while not done():
            if time.monotonic() > end:
                raise SystemExit(f"{len(self._gateway.asked)} arrived\n{self._crew.log[-2000:]}")
            time.sleep(0.05)
