"""A worker among faults: a provider that breaks, and a database that is stopped at once and started again."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from threading import Lock
from typing import Any

import pytest
from flask_migrate import upgrade
from sqlalchemy import URL, Engine, create_engine
from sqlalchemy.orm import Session

from scheduler import MIGRATIONS, create_app
from scheduler.config import Settings
from scheduler.database import db, engine_options
from scheduler.messaging import Envelope, open_channel
from scheduler.models import Message
from scheduler.services import outbox
from scheduler.worker import Ticker, Worker
from tests.clinic import Clinic
from tests.desk import book
from tests.messaging.sinks import Gateway, sms_gateway
from tests.plumbing import postgres
from tests.plumbing.clock import Clock
from tests.postroom import cancel, messages, open_postroom
from tests.worker.crew import heap, now, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SEED = 20300304
NO_LIMITS = {"quiet": {"from": "00:00", "to": "00:00"}, "caps": {"per_day": None}}


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with sms_gateway() as opened:
        yield opened


def test_a_provider_that_fails_now_and_then_gets_every_message_under_one_id(engine: Engine, gateway: Gateway) -> None:
    rng = random.Random(SEED)
    gateway.answers = [503 if rng.random() < 0.1 else 201 for _ in range(300)]
    faults = gateway.answers.count(503)
    clinic = open_postroom(engine, **NO_LIMITS)
    visits = [book(clinic, clinic.patient(), "session", f"2030-03-04 {hour}:00").id for hour in ("09", "10", "11")]
    owed = heap(clinic, visits, each=40)
    clock = Clock(now())
    sms = open_channel("http", {"url": gateway.url, "token": ""})
    worker = Worker(lambda: Session(engine), {"sms": sms, "email": sms}, clock=clock)
    for _ in range(6):  # back-off doubles: 1, 2, 4 minutes
        worker.tick()
        clock.move(timedelta(minutes=8))
    worker.close()
    rows = messages(clinic, Message.id.in_(owed))
    assert Counter(row.status for row in rows) == {"sent": len(owed)}
    asked = Counter(document["id"] for document in gateway.asked)
    mine = {key: count for key, count in asked.items() if key in set(map(str, owed))}
    assert mine.keys() == set(map(str, owed)), f"seed {SEED}"
    again = sum(mine.values()) - len(mine)
    assert 0 < again <= faults, "each repeat answers a failure"
    assert again == sum(row.attempts - 1 for row in rows)
    assert all(h["Idempotency-Key"] == d["id"] for h, d in zip(gateway.headers, gateway.asked, strict=True))


@pytest.mark.parametrize("sabotaged", [False, True])
def test_without_the_last_look_a_cancelled_message_would_leave(
    engine: Engine, gateway: Gateway, monkeypatch: pytest.MonkeyPatch, *, sabotaged: bool
) -> None:
    clinic = open_postroom(engine, **NO_LIMITS)
    visit = book(clinic, clinic.patient(), "session", "2030-03-04 09:00").id
    owed = {str(key) for key in heap(clinic, [visit], each=30)}
    real = outbox.turn
    cancelled: list[bool] = []

    def turn(*asked: Any) -> Any:
        _session, _call, _ended, _left, wanted, *_ = asked
        begun = real(*asked)
        return tuple(wanted) if sabotaged and cancelled else begun

    monkeypatch.setattr(outbox, "turn", turn)

    class Canceller:
        """Has the visit cancelled while the first text is on its way, and waits until that has committed."""

        drops_repeats = True

        def __init__(self) -> None:
            self.began: list[tuple[str, bool]] = []
            self.lock = Lock()

        def deliver(self, envelope: Envelope) -> str:
            self.began.append((envelope.message_id, bool(cancelled)))
            with self.lock:
                if not cancelled and envelope.message_id in owed:
                    cancel(clinic, visit, now=now())
                    cancelled.append(True)
            return "p"

    way = Canceller()
    worker = Worker(lambda: Session(engine), {"sms": way, "email": way}, at_once=1)
    worker.tick()
    worker.close()
    late = [key for key, after in way.began if after and key in owed]
    assert bool(late) is sabotaged


def test_a_database_stopped_at_once_and_started_again_costs_no_message(gateway: Gateway) -> None:
    with postgres.embedded() as address, postgres.database(address) as url:
        postgres.make_durable(address, url)
        shown = url.render_as_string(hide_password=False)
        app = create_app(Settings(database_url=shown))
        with app.app_context():
            upgrade(str(MIGRATIONS))
            db.engine.dispose()
        engine = create_engine(url, **engine_options(shown))
        try:
            owed, repeats = _crashed_twice(engine, address, gateway)
        finally:
            engine.dispose()
        assert owed == {"sent": 100}
        assert repeats == []


def _crashed_twice(engine: Engine, address: URL, gateway: Gateway) -> tuple[Counter[str], list[str]]:
    """How a hundred messages ended, and which arrived more than once or never."""
    clinic = open_postroom(engine, **NO_LIMITS)
    visits = [book(clinic, clinic.patient(), "session", f"2030-03-04 {hour}:00").id for hour in ("09", "10")]
    owed = heap(clinic, visits, each=50)
    gateway.delay = 0.02
    sms = open_channel("http", {"url": gateway.url, "token": ""})
    # The server is away for longer than the lease, and back before anybody is thought dead.
    worker = Worker(lambda: Session(engine), {"sms": sms, "email": sms}, lease=timedelta(seconds=0.1))
    ticker = Ticker(worker, seconds=1, afterwards=engine.dispose)
    ticker.start()
    try:
        for share in (20, 60):
            until(lambda share=share: len(gateway.asked) >= share, "nothing arrived")
            postgres.crash(address)
            postgres.start(address)
        until(lambda: _open(clinic) == 0, "not all came to an end")
        assert not ticker.is_stuck(60)
    finally:
        ticker.stop()
    asked = Counter(document["id"] for document in gateway.asked)
    ends = Counter(row.status for row in messages(clinic, Message.id.in_(owed)))
    return ends, [key for key in map(str, owed) if asked[key] != 1]


def _open(clinic: Clinic) -> int:
    return len(messages(clinic, Message.status.in_(("pending", "sending")), Message.due_at <= now()))
