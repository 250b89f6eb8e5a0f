"""Workers as processes of their own, and a heap of messages for them to deliver. No test lives here."""

from __future__ import annotations

import logging
import multiprocessing
import os
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any, Self
from uuid import UUID

from sqlalchemy import insert
from sqlalchemy.orm import Session

from scheduler.config import Settings
from scheduler.models import Appointment, Message, new_id
from scheduler.worker import run_worker, wall_clock
from tests.clinic import Clinic

ROOT = Path(__file__).parents[2]
#: One process loads everything once, and each worker is forked from it: without that, most of a storm is loading.
NURSERY = multiprocessing.get_context("forkserver")
NURSERY.set_forkserver_preload(["scheduler.worker", "tests.worker.crew"])
#: How long anything here may take before the test says that it never came.
PATIENCE = 90.0


@dataclass
class Crew:
    """Worker processes over one database, texting through one gateway; e-mail goes to files, or to an SMTP server."""

    database_url: str
    gateway_url: str
    folder: Path
    settings: dict[str, str] = field(default_factory=dict)
    hands: list[ForkServerProcess] = field(default_factory=list)

    def hire(self, count: int = 1) -> None:
        for _ in range(count):
            hand = NURSERY.Process(target=work, args=self.duties())
            hand.start()
            self.hands.append(hand)

    def duties(self) -> tuple[dict[str, str], Path, Path]:
        """What a worker process is told."""
        return self._environment(), self.folder / "workers.log", self.folder / "step"

    def at_work(self) -> list[ForkServerProcess]:
        """Those who have begun, the longest at work first."""
        log = self.log
        return [hand for hand in self.hands if f":{hand.pid}:" in log]

    def kill_one_at_work(self) -> bool:
        """SIGKILL, as the kernel or a power cut does it, to the one who is longest at work; False when none is."""
        hand = next(iter(self.at_work()), None)
        if hand is None:
            return False
        self.hands.remove(hand)
        hand.kill()
        hand.join()
        return True

    def mail_to(self, host: str, port: int) -> None:
        """Have who is hired from now on hand e-mail to this SMTP server."""
        self.settings |= {
            "SCHEDULER_EMAIL_CHANNEL": "smtp",
            "SCHEDULER_SMTP_HOST": host,
            "SCHEDULER_SMTP_PORT": str(port),
            "SCHEDULER_SMTP_STARTTLS": "false",
            "SCHEDULER_SMTP_FROM": "clinic@example.org",
        }

    def step_clock(self, seconds: float) -> None:
        """Have every worker's clock be off by so much."""
        new = self.folder / "step.new"
        new.write_text(str(seconds))
        new.replace(self.folder / "step")

    def dismiss(self) -> list[int | None]:
        """SIGTERM to all; their exit codes."""
        for hand in self.hands:
            hand.terminate()
        for hand in self.hands:
            hand.join(timeout=30)
        codes = [hand.exitcode for hand in self.hands]
        self.hands.clear()
        return codes

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for hand in self.hands:
            hand.kill()
            hand.join()

    @property
    def log(self) -> str:
        return (self.folder / "workers.log").read_text(errors="replace")

    def _environment(self) -> dict[str, str]:
        return {
            "SCHEDULER_DATABASE_URL": self.database_url,
            "SCHEDULER_SMS_CHANNEL": "http",
            "SCHEDULER_SMS_HTTP_URL": self.gateway_url,
            "SCHEDULER_EMAIL_CHANNEL": "file",
            "SCHEDULER_OUTBOX_DIR": str(self.folder / "outbox"),
            "SCHEDULER_WORKER_TICK_SECONDS": "1",
            "SCHEDULER_WORKER_LEASE_SECONDS": "5",
            "SCHEDULER_WORKER_BATCH": "100",
            **self.settings,
        }


def work(environ: Mapping[str, str], log: Path, step: Path) -> None:
    """What a worker process does: all that it says goes to the log, and its clock is off by what stands in `step`."""
    with log.open("ab") as written:
        for descriptor in (1, 2):
            os.dup2(written.fileno(), descriptor)
    warnings.simplefilter("error")
    logging.basicConfig(level="INFO", stream=sys.stderr, force=True)
    logging.getLogger("apscheduler").setLevel("ERROR")
    run_worker(
        Settings.from_environ(environ),
        clock=lambda: wall_clock() + timedelta(seconds=float(step.read_text() if step.exists() else 0)),
    )


def now() -> datetime:
    return datetime.now(UTC)


def heap(
    clinic: Clinic,
    appointments: Sequence[UUID],
    each: int,
    channels: Sequence[str] = ("sms",),
    good_for: timedelta = timedelta(hours=1),
) -> list[UUID]:
    """`each` messages about each of these visits, by these channels in turn, all due now and good for so long."""
    due = now()
    rows: list[dict[str, Any]] = []
    with Session(clinic.engine) as session, session.begin():
        for key in appointments:
            visit = session.get_one(Appointment, (clinic.call.organization_id, key))
            rows += [
                {
                    "organization_id": clinic.call.organization_id,
                    "id": new_id(),
                    "patient_id": visit.patient_id,
                    "appointment_id": visit.id,
                    "rule": f"heap-{number}",
                    "kind": "remind_24h",
                    "recipient": "patient",
                    "channel": channels[number % len(channels)],
                    "sequence": visit.sequence,
                    "due_at": due,
                    "expires_at": due + good_for,
                    "status": "pending",
                    "attempts": 0,
                    "context": {"about": visit.starts_at.isoformat(), "class": "reminder", "side": "before"},
                    "created_at": due,
                }
                for number in range(each)
            ]
        session.execute(insert(Message), rows)
    return [row["id"] for row in rows]


def until(done: Callable[[], bool], what: str | Crew) -> None:
    """Wait for it."""
    end = time.monotonic() + PATIENCE
    while not done():
        if time.monotonic() > end:
            raise TimeoutError(what.log if isinstance(what, Crew) else what)
        time.sleep(0.1)
