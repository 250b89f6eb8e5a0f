"""What one channel suffers no other has to: a provider that is down, a rate, and a bad address, in a real worker."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import Engine, select, update
from sqlalchemy.orm import Session

from scheduler.core.valve import FAILURES, RESTS
from scheduler.messaging import DeliveryError, Envelope
from scheduler.models import Message
from scheduler.services.outbox.pulse import ALIVE_WITHIN
from scheduler.worker import Worker
from tests.clinic import Clinic
from tests.desk import book
from tests.plumbing.clock import Clock
from tests.postroom import hurry, messages, open_postroom

SECOND = timedelta(seconds=1)
#: No database has a part in what is tried here, but for its claim, which the last test tries on both.
one_database = pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)


class Provider:
    """Takes messages of each channel, unless it has a reason against it."""

    drops_repeats = True

    def __init__(self) -> None:
        self.taken: list[Envelope] = []
        self.tried = 0
        self.down: set[str] = set()
        self.refused: set[str] = set()

    def deliver(self, envelope: Envelope) -> None:
        self.tried += 1
        if envelope.channel in self.down:
            raise DeliveryError("down", permanent=False, down=True)
        if envelope.message_id in self.refused:
            raise DeliveryError("no such number", permanent=False)
        self.taken.append(envelope)

    def by(self, channel: str) -> int:
        return sum(each.channel == channel for each in self.taken)


@pytest.fixture
def provider() -> Provider:
    return Provider()


@pytest.fixture
def clinic(engine: Engine) -> Clinic:
    return open_postroom(engine)


@pytest.fixture
def clock(clinic: Clinic) -> Clock:
    return Clock(clinic.call.now)


@pytest.fixture
def rates() -> Mapping[str, float]:
    return {}


@pytest.fixture
def worker(clinic: Clinic, clock: Clock, provider: Provider, rates: Mapping[str, float]) -> Iterator[Worker]:
    channels = {"email": provider, "sms": provider}
    hired = Worker(lambda: Session(clinic.engine), channels, clock=clock, at_once=1, rates=rates)
    yield hired
    hired.close()


def heap(clinic: Clinic, count: int) -> None:
    """So many e-mails and so many texts, all due now."""
    visits = [book(clinic, clinic.patient(), "session", f"2030-03-{12 + day} 09:00").id for day in range(2)]
    hurry(clinic, clinic.call.now)
    with Session(clinic.engine) as session, session.begin():
        mine = Message.organization_id == clinic.call.organization_id
        session.execute(update(Message).where(mine, Message.rule != "booked").values(status="suppressed"))
        plain = session.scalars(select(Message).where(mine, Message.rule == "booked")).all()
        for row in plain:
            channel = "email" if row.appointment_id == visits[0] else "sms"
            row.channel, row.context = channel, row.context | {"channels": [channel]}
        for row in plain:
            for number in range(1, count):
                values = {c.name: getattr(row, c.name) for c in Message.__table__.columns if c.name != "id"}
                session.add(Message(**values | {"rule": f"booked-{number}"}))


def attempts(clinic: Clinic) -> int:
    return sum(row.attempts for row in messages(clinic))


def pending(clinic: Clinic) -> set[UUID]:
    return {row.id for row in messages(clinic, Message.status == "pending")}


@one_database
def test_a_provider_that_is_down_is_left_alone_and_the_other_goes_on(
    clinic: Clinic, clock: Clock, worker: Worker, provider: Provider
) -> None:
    heap(clinic, 9)
    provider.down = {"email"}
    worker.tick()
    assert (provider.by("sms"), provider.tried) == (9, 9 + FAILURES)
    worker.tick()
    assert attempts(clinic) == provider.tried == 9 + FAILURES, "nothing of it is claimed or handed over meanwhile"
    assert worker.next_due() == clock.now + RESTS.first
    clock.move(RESTS.first)
    worker.tick()
    assert provider.tried == 10 + FAILURES, "one finds out"
    clock.move(2 * RESTS.first)
    provider.down = set()
    worker.tick()
    assert provider.by("email") == 9
    assert pending(clinic) == set()


@one_database
def test_one_bad_address_shuts_nothing_and_delays_nobody(clinic: Clinic, worker: Worker, provider: Provider) -> None:
    heap(clinic, 9)
    provider.refused = {str(row.id) for row in messages(clinic, Message.channel == "sms")[: FAILURES + 2]}
    worker.tick()
    assert (provider.by("email"), provider.by("sms")) == (9, 2)


@pytest.mark.parametrize("rates", [{"sms": 2.0}])
def test_a_rate_is_kept_and_holds_up_no_other_channel(
    clinic: Clinic, clock: Clock, worker: Worker, provider: Provider
) -> None:
    heap(clinic, 5)
    counted = []
    while pending(clinic):
        worker.tick()
        counted.append((provider.by("email"), provider.by("sms")))
        due = worker.next_due()
        assert due is not None
        clock.set(due)
    assert counted == [(5, 2), (5, 3), (5, 4), (5, 5)]
    assert clock.now - clinic.call.now == 4 * SECOND / 2
    assert attempts(clinic) == 10


@pytest.mark.parametrize("rates", [{"sms": 2.0}])
def test_a_rate_is_that_of_all_workers_together(
    clinic: Clinic, clock: Clock, worker: Worker, provider: Provider, rates: Mapping[str, float]
) -> None:
    heap(clinic, 12)
    channels = {"email": provider, "sms": provider}
    other = Worker(lambda: Session(clinic.engine), channels, clock=clock, at_once=1, rates=rates)
    counted = []
    try:
        for _ in range(4):
            for each in (worker, other):
                each.tick()
            counted.append(provider.by("sms"))
            clock.move(SECOND)
    finally:
        other.close()
    assert counted == [3, 5, 7, 9], "the first learned of the second when that had begun"
    clock.move(ALIVE_WITHIN)  # without a word of the other
    worker.tick()
    assert provider.by("sms") == 9 + 2, "it has all of it again"


@one_database
@pytest.mark.parametrize("rates", [{"sms": 1.0}])
def test_a_clinic_with_much_to_say_leaves_room_for_another(
    clinic: Clinic, clock: Clock, worker: Worker, provider: Provider, engine: Engine
) -> None:
    heap(clinic, 5)
    other = open_postroom(engine)
    heap(other, 2)
    for _ in range(4):
        worker.tick()
        clock.move(SECOND)
    assert {each.organization_id for each in provider.taken if each.channel == "sms"} == {
        str(clinic.call.organization_id), str(other.call.organization_id),
    }  # fmt: skip
