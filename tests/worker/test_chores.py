"""The chores: each is done in a real worker, at its own interval, for everybody, whatever becomes of the others."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from scheduler.config import Settings
from scheduler.core.call import Call
from scheduler.models import Appointment, AuditEvent, IdempotencyRecord, Organization, new_id
from scheduler.services import chores, visit_day
from scheduler.services.chores import CHORES, EACH_TICK, Chore
from scheduler.worker import Ticker, Worker
from scheduler.worker.hands import gate_of
from scheduler.worker.housekeeping import TURNS, Housekeeper
from tests.clinic import Clinic
from tests.plumbing.clock import Clock
from tests.ward import open_ward, talk
from tests.worker.crew import ROOT, until


@dataclass
class House:
    """Housekeepers over one database, and the monotonic clock that they go by."""

    clinic: Clinic
    clock: Clock
    seconds: float = 0.0
    stopping: threading.Event = field(default_factory=threading.Event)

    def keeper(self, *kept: Chore) -> Housekeeper:
        def sessions() -> Session:
            return Session(self.clinic.engine)

        return Housekeeper(
            sessions, self.clock, gate_of(sessions), self.stopping, chores=kept, monotonic=lambda: self.seconds
        )


@pytest.fixture
def ward(engine: Engine) -> Clinic:
    """A ward whose three visits nobody came to, and which marks such."""
    opened = open_ward(engine)
    for hour in ("09", "10", "11"):
        talk(opened, f"2030-03-04 {hour}:00")
    with Session(engine) as session, session.begin():
        session.get_one(Organization, opened.call.organization_id).policies = {"no_show_after_minutes": 20}
    return opened


@pytest.fixture
def house(ward: Clinic) -> House:
    return House(ward, Clock(ward.at("2030-03-04 12:00")))


def statuses(clinic: Clinic) -> Counter[str]:
    with Session(clinic.engine) as session:
        return Counter(session.scalars(select(Appointment.status)))


def marked(clinic: Clinic) -> int:
    with Session(clinic.engine) as session:
        wanted = select(func.count()).where(AuditEvent.action == "appointment.no-show")
        return session.scalars(wanted).one()


def another(clinic: Clinic) -> UUID:
    """A second organization, with nothing in it."""
    key = new_id()
    with Session(clinic.engine) as session, session.begin():
        session.add(Organization(id=key, name="Other", sender_name="Other", created_at=clinic.call.now))
    return key


def test_a_real_worker_does_every_chore_without_a_complaint(
    house: House, settings: Settings, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    def watched(chore: Chore) -> Chore:
        def work(session: Session, call: Call) -> bool:
            more = chore.work(session, call)
            done.append(chore.key)
            return more

        return replace(chore, work=work, due=chores.everyone)

    monkeypatch.setattr("scheduler.worker.delivering.Housekeeper", watching(tuple(map(watched, CHORES))))
    worker = Worker(lambda: Session(house.clinic.engine), {}, clock=house.clock)
    ticker = Ticker(worker, seconds=3600, clock=house.clock)
    ticker.start()
    try:
        until(lambda: {chore.key for chore in CHORES} <= set(done), f"every chore, not only {done}")
    finally:
        ticker.stop()
    assert caplog.text == ""
    assert statuses(house.clinic) == {"noshow": 3}, "and they were the real ones"


def watching(kept: tuple[Chore, ...]) -> type[Housekeeper]:
    class Watching(Housekeeper):
        def __init__(self, *args: object) -> None:
            super().__init__(*args, chores=kept)  # type: ignore[arg-type]

    return Watching


def test_the_registry_is_in_order() -> None:
    assert len({chore.key for chore in CHORES}) == len(CHORES)
    assert all(EACH_TICK <= chore.every <= timedelta(days=1) for chore in CHORES)


def test_what_each_worker_does_by_itself(house: House) -> None:
    answer = {"key_id": new_id(), "fingerprint": "x", "created_at": house.clinic.call.now}
    with Session(house.clinic.engine) as session, session.begin():
        for key, expires_at in (("old", house.clock()), ("young", house.clock() + timedelta(seconds=1))):
            row = IdempotencyRecord(
                organization_id=house.clinic.call.organization_id, key=key, expires_at=expires_at, **answer
            )
            session.add(row)
    worker = Worker(lambda: Session(house.clinic.engine), {}, clock=house.clock)
    worker.keep_house()
    worker.close()
    assert statuses(house.clinic) == {"noshow": 3}
    with Session(house.clinic.engine) as session:
        assert session.scalars(select(IdempotencyRecord.key)).all() == ["young"]


def test_a_fault_is_one_chores_and_one_organizations_alone(house: House, caplog: pytest.LogCaptureFixture) -> None:
    other = another(house.clinic)
    done: list[tuple[str, bool]] = []

    def secret(*_: object) -> bool:
        msg = "pat@example.org"
        raise RuntimeError(msg)

    def troubled(session: Session, call: Call) -> bool:
        if call.organization_id == other:
            visit_day.sweep(session, call)
            secret()
        done.append(("troubled", call.organization_id == other))
        return False

    def quiet(_: Session, call: Call) -> bool:
        done.append(("quiet", call.organization_id == other))
        return False

    keeper = house.keeper(
        Chore("blind", EACH_TICK, quiet, due=secret),  # type: ignore[arg-type]
        Chore("troubled", EACH_TICK, troubled),
        Chore("quiet", EACH_TICK, quiet),
    )
    for _ in range(2):
        keeper.keep_house()
    assert sorted(done) == [("quiet", False)] * 2 + [("quiet", True)] * 2 + [("troubled", False)] * 2
    assert caplog.text.count(": RuntimeError\n") == 4
    assert "pat@example.org" not in caplog.text


def test_each_is_done_at_its_own_interval(house: House) -> None:
    done: Counter[str] = Counter()

    def count(key: str) -> Chore:
        every = {"always": EACH_TICK, "minutely": timedelta(minutes=1)}[key]
        return Chore(key, every, lambda *_: bool(done.update([key])))

    keeper = house.keeper(count("always"), count("minutely"))
    for second in (0, 5, 59, 60, 61, 119.9, 120):
        house.seconds = second
        house.clock.move(timedelta(days=-1))  # what the wall clock does is nothing to it
        keeper.keep_house()
    assert done == {"always": 7, "minutely": 3}


def test_who_has_more_to_do_is_asked_again_and_nobody_forever(house: House) -> None:
    other = another(house.clinic)
    turns: list[bool] = []

    def endless(_: Session, call: Call) -> bool:
        turns.append(call.organization_id == other)
        return call.organization_id == other or len(turns) < 5

    house.keeper(Chore("endless", EACH_TICK, endless)).keep_house()
    assert len(set(turns[:2])) == 2, "in turns"
    assert turns.count(True) == TURNS
    assert 1 < turns.count(False) < 5


def test_told_to_stop_it_begins_nothing_more(house: House) -> None:
    done: list[str] = []

    def last(*_: object) -> bool:
        done.append("last")
        house.stopping.set()
        return True

    house.keeper(Chore("last", EACH_TICK, last), Chore("never", EACH_TICK, last)).keep_house()
    assert done == ["last"]


HALF_DONE = """
import sys, threading, time
from datetime import datetime
from sqlalchemy import create_engine
from sqlalchemy.orm import Session
from scheduler.database import engine_options
from scheduler.services import visit_day
from scheduler.services.chores import Chore, EACH_TICK
from scheduler.worker.hands import gate_of
from scheduler.worker.housekeeping import Housekeeper

engine = create_engine(sys.argv[1], **engine_options(sys.argv[1]))
now = datetime.fromisoformat(sys.argv[2])

def work(session, call):
    visit_day.sweep(session, call)
    session.flush()
    print("written", flush=True)
    time.sleep(60)

sessions = lambda: Session(engine)
chores = (Chore("half", EACH_TICK, work, due=visit_day.sweepable),)
Housekeeper(sessions, lambda: now, gate_of(sessions), threading.Event(), chores=chores).keep_house()
"""


@pytest.fixture
def doomed(house: House, settings: Settings) -> Iterator[subprocess.Popen[str]]:
    """A worker in the middle of a chore: its rows are written, its transaction is not over."""
    command = [sys.executable, "-c", HALF_DONE, settings.database_url, house.clock().isoformat()]
    # Without compiled modules, the start costs seconds.
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with subprocess.Popen(command, cwd=ROOT, env=inherited, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "written\n"
        yield process
        process.kill()


def test_a_chore_that_is_killed_leaves_nothing_half_done(house: House, doomed: subprocess.Popen[str]) -> None:
    doomed.kill()
    doomed.wait()
    assert statuses(house.clinic) == {"booked": 3}
    house.keeper(*CHORES).keep_house()
    assert (statuses(house.clinic), marked(house.clinic)) == ({"noshow": 3}, 3)
