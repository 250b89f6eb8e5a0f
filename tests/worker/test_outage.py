"""A database that is away for longer than the lease: what has left is remembered, and told when it is back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from scheduler.messaging import Envelope
from scheduler.models import Message
from scheduler.worker import Worker
from scheduler.worker import delivering as worker_delivering
from tests.clinic import Clinic
from tests.desk import book
from tests.plumbing.clock import Clock
from tests.postroom import begin, claim, hurry, messages, open_postroom

#: So short that a worker gives up after its first pause.
LEASE = timedelta(seconds=0.01)
sqlite_only = pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)


class Line:
    """Sessions, while the database is not away."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.away = engine, False

    def __call__(self) -> Session:
        if self.away:
            raise OperationalError("SELECT 1", {}, ConnectionError("nobody there"))
        return Session(self.engine)


class Provider:
    """Takes every message; `meanwhile` happens while it does."""

    drops_repeats = True

    def __init__(self) -> None:
        self.carried: list[str] = []
        self.name = "p"
        self.meanwhile: Callable[[], object] = lambda: None

    def deliver(self, envelope: Envelope) -> str:
        self.carried.append(envelope.message_id)
        self.meanwhile()
        return self.name


@pytest.fixture
def clinic(engine: Engine) -> Clinic:
    clinic = open_postroom(engine, quiet={"from": "00:00", "to": "00:00"})
    for hour in ("09", "10", "11"):
        book(clinic, clinic.patient(), "session", f"2030-03-11 {hour}:00")
    hurry(clinic, clinic.call.now)
    return clinic


@pytest.fixture
def clock(clinic: Clinic) -> Clock:
    return Clock(clinic.call.now)


@pytest.fixture
def line(clinic: Clinic) -> Line:
    return Line(clinic.engine)


@pytest.fixture
def provider() -> Provider:
    return Provider()


@pytest.fixture
def hire(line: Line, provider: Provider, clock: Clock) -> Iterator[Callable[..., Worker]]:
    hired: list[Worker] = []

    def make(**options: object) -> Worker:
        ways = {"email": provider, "sms": provider}
        hired.append(Worker(line, ways, clock=clock, lease=LEASE, at_once=1, **options))
        return hired[-1]

    yield make
    for worker in hired:
        worker.close()


def owed(clinic: Clinic) -> list[str]:
    return sorted(str(row.id) for row in messages(clinic, Message.channel != "task", Message.status != "suppressed"))


def cut_at_first(line: Line, provider: Provider) -> None:
    def cut() -> None:
        line.away, provider.meanwhile = True, lambda: None

    provider.meanwhile = cut


def tick_in_vain(worker: Worker) -> None:
    with pytest.raises(OperationalError):
        worker.tick()


@sqlite_only
def test_what_left_before_the_database_went_is_not_sent_again(
    clinic: Clinic, clock: Clock, line: Line, provider: Provider, hire: Callable[..., Worker]
) -> None:
    worker = hire()
    cut_at_first(line, provider)
    tick_in_vain(worker)
    assert len(provider.carried) == 1
    clock.move(timedelta(minutes=2))  # every lease has run out
    tick_in_vain(worker)
    assert len(provider.carried) == 1, "nothing begins while nothing can be written down"
    line.away = False
    worker.tick()
    assert sorted(provider.carried) == owed(clinic)
    assert not messages(clinic, Message.status.in_(("pending", "sending")), Message.due_at <= clock.now)


@sqlite_only
def test_what_could_not_be_begun_waits_for_no_lease(
    clinic: Clinic, line: Line, provider: Provider, hire: Callable[..., Worker]
) -> None:
    worker = hire()
    cut_at_first(line, provider)
    tick_in_vain(worker)
    line.away = False
    worker.tick()  # at the very same time
    assert sorted(provider.carried) == owed(clinic)


@sqlite_only
def test_a_worker_that_ends_says_what_left(
    clinic: Clinic, line: Line, provider: Provider, hire: Callable[..., Worker]
) -> None:
    worker = hire()
    cut_at_first(line, provider)
    tick_in_vain(worker)
    line.away = False
    worker.close()
    sent = [str(row.id) for row in messages(clinic, Message.status == "sent", Message.channel != "task")]
    assert sent == provider.carried
    assert not messages(clinic, Message.status == "sending")


@sqlite_only
@pytest.mark.parametrize("courtesy", [3600.0, 0.0])
def test_nobody_takes_over_before_the_living_had_their_say(
    clinic: Clinic,
    clock: Clock,
    line: Line,
    provider: Provider,
    hire: Callable[..., Worker],
    monkeypatch: pytest.MonkeyPatch,
    courtesy: float,
) -> None:
    monkeypatch.setattr(worker_delivering, "COURTESY", courtesy)
    worker, other = hire(), hire()
    cut_at_first(line, provider)
    tick_in_vain(worker)
    tick_in_vain(other)
    line.away = False
    clock.move(timedelta(minutes=2))
    time.sleep(0.001)
    other.tick()
    worker.tick()
    again = len(provider.carried) - len(set(provider.carried))
    assert again == (0 if courtesy else 1), "without it, one of them would come twice"
    assert not messages(clinic, Message.status.in_(("pending", "sending")), Message.due_at <= clock.now)


@sqlite_only
@pytest.mark.parametrize("phase", [0.0, 2.5, 4.999])
def test_what_a_dead_worker_had_on_its_way_leaves_within_the_lease_and_a_tick(
    clinic: Clinic, clock: Clock, line: Line, provider: Provider, phase: float
) -> None:
    lease, tick, began = timedelta(seconds=60), timedelta(seconds=5), clock.now
    (on_its_way, *claimed) = claim(clinic, began)
    assert begin(clinic, on_its_way, began), "and nothing is heard of its worker any more"
    ways = {"email": provider, "sms": provider}
    other = Worker(line, ways, clock=clock, lease=lease)
    left: dict[str, timedelta] = {}
    provider.meanwhile = lambda: left.setdefault(provider.carried[-1], clock.now - began)
    clock.move(timedelta(seconds=phase))
    for _ in range(14):
        other.tick()
        clock.move(tick)
    other.close()
    assert left.keys() == {str(letter.id) for letter in (on_its_way, *claimed)}
    assert {lease <= after <= lease + tick for after in left.values()} == {True}


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
def test_what_the_database_cannot_hold_is_said_to_have_left_all_the_same(
    clinic: Clinic, provider: Provider, hire: Callable[..., Worker], clock: Clock
) -> None:
    provider.name = "p" * 201
    worker = hire()
    worker.tick()
    clock.move(timedelta(minutes=2))
    worker.tick()
    assert sorted(provider.carried) == owed(clinic)
    ends = {(row.status, row.provider_id) for row in messages(clinic, Message.channel != "task")}
    assert ends == {("sent", None), ("suppressed", None)}, "and what is too late by now"
