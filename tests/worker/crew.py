"""Workers as processes of their own, and a heap of messages for them to deliver. No test lives here."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self
from uuid import UUID

from sqlalchemy import insert
from sqlalchemy.orm import Session

from scheduler.models import Appointment, Message, new_id
from tests.clinic import Clinic

ROOT = Path(__file__).parents[2]
WORK = """
import logging, sys
from datetime import timedelta
from pathlib import Path

from scheduler.config import Settings
from scheduler.worker import run_worker, wall_clock

step = Path(sys.argv[1])
logging.basicConfig(level="INFO")
logging.getLogger("apscheduler").setLevel("ERROR")
run_worker(
    Settings.from_environ(),
    clock=lambda: wall_clock() + timedelta(seconds=float(step.read_text() if step.exists() else 0)),
)
"""
#: How long anything here may take before the test says that it never came.
PATIENCE = 90.0


@dataclass
class Crew:
    """Worker processes over one database, texting through one gateway."""

    database_url: str
    gateway_url: str
    folder: Path
    settings: dict[str, str] = field(default_factory=dict)
    hands: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def hire(self, count: int = 1) -> None:
        for _ in range(count):
            with (self.folder / "workers.log").open("ab") as log:
                self.hands.append(
                    subprocess.Popen(
                        [sys.executable, "-W", "error", "-c", WORK, self.folder / "step"],
                        cwd=ROOT,
                        env=self._environment(),
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=log,
                    )
                )

    def kill_one_at_work(self) -> bool:
        """SIGKILL, as the kernel or a power cut does it, to the one who is longest at work; False when none is."""
        hand = next((hand for hand in self.hands if f":{hand.pid}:" in self.log), None)
        if hand is None:
            return False
        self.hands.remove(hand)
        hand.kill()
        hand.wait()
        return True

    def step_clock(self, seconds: float) -> None:
        """Have every worker's clock be off by so much."""
        new = self.folder / "step.new"
        new.write_text(str(seconds))
        new.replace(self.folder / "step")

    def dismiss(self) -> list[int]:
        """SIGTERM to all; their exit codes."""
        for hand in self.hands:
            hand.send_signal(signal.SIGTERM)
        codes = [hand.wait(timeout=30) for hand in self.hands]
        self.hands.clear()
        return codes

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for hand in self.hands:
            hand.kill()
            hand.wait()

    @property
    def log(self) -> str:
        return (self.folder / "workers.log").read_text(errors="replace")

    def _environment(self) -> dict[str, str]:
        # Without compiled modules, each of many starts costs seconds.
        inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        return inherited | {
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


def now() -> datetime:
    return datetime.now(UTC)


def heap(clinic: Clinic, appointments: Sequence[UUID], each: int) -> list[UUID]:
    """`each` texts about each of these visits, all due now and good for an hour."""
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
                    "channel": "sms",
                    "sequence": visit.sequence,
                    "due_at": due,
                    "expires_at": due + timedelta(hours=1),
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
