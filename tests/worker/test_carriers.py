"""How many deliveries begin together, that none leaves long after the last look, and how ends are heard of."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from scheduler.messaging import Envelope
from scheduler.models import Message, MessageAttempt
from scheduler.worker import Worker, carrying
from scheduler.worker.carriers import FRESH, MOMENT, MOST_EACH, Arrivals, Carriers, Pace, is_fresh
from scheduler.worker.clockguard import seconds_since_boot
from tests.desk import book
from tests.postroom import hurry, messages, open_postroom
from tests.worker.crew import until


def test_all_jobs_are_done_before_the_carriers_go() -> None:
    carriers, done = Carriers(3), list[int]()
    for number in range(20):
        carriers.give(lambda number=number: done.append(number))  # type: ignore[misc]
    carriers.close()
    assert sorted(done) == list(range(20))


def test_a_job_that_hangs_holds_up_no_other() -> None:
    carriers, go, done = Carriers(2), threading.Event(), threading.Event()
    carriers.give(lambda: go.wait(60) and None)
    carriers.give(done.set)
    assert done.wait(60)
    go.set()
    carriers.close()


def test_who_hangs_is_relieved_and_goes_when_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scheduler.worker.carriers.PATIENCE", 0)
    carriers, go, begun, done = Carriers(1), threading.Event(), threading.Event(), threading.Event()

    def hang() -> None:
        begun.set()
        assert go.wait(60)

    carriers.give(hang)
    assert begun.wait(60)
    carriers._jobs.put(done.set)  # behind it
    carriers.relieve()
    assert done.wait(60)
    threads = list(carriers._threads)
    assert len(threads) == 2
    go.set()
    until(lambda: sum(each.is_alive() for each in threads) == 1, "one to go")
    carriers.close()
    assert not any(each.is_alive() for each in threads)


def test_whoever_waits_has_all_that_ended_and_no_more_than_patience() -> None:
    arrivals = Arrivals[int]()
    assert arrivals.take(1, 0) == []
    for number in range(3):
        threading.Thread(target=arrivals.put, args=[number]).start()
    assert sorted(arrivals.take(3, 60)) == [0, 1, 2]
    arrivals.put(3)
    assert arrivals.take(2, 0.01) == [3]


def test_so_many_begin_as_are_taken_up_within_a_moment() -> None:
    pace = Pace(4)
    assert pace.room == 4, "nothing is known yet"
    for _ in range(10):
        pace.note([MOMENT / 2.5] * 4, smooth=True)
    assert pace.room == 8
    for _ in range(20):
        pace.note([0.0] * 8, smooth=True)
    assert pace.room == 4 * MOST_EACH
    pace.note([0.0] * 8, smooth=False)
    assert pace.room == 4, "a channel that fails is met one by one"
    pace.note([60.0], smooth=True)
    assert pace.room == 4


def test_an_old_look_is_not_fresh() -> None:
    assert is_fresh(seconds_since_boot() + 60)  # however slowly this runs
    assert not is_fresh(seconds_since_boot() - 2 * FRESH)


class Taker:
    """Takes everything."""

    drops_repeats = True

    def __init__(self) -> None:
        self.taken: list[str] = []

    def deliver(self, envelope: Envelope) -> str:
        self.taken.append(envelope.message_id)
        return "yes"


def test_what_was_looked_at_too_long_ago_is_looked_at_again(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    clinic = open_postroom(engine)
    book(clinic, clinic.patient(), "session", "2030-03-11 09:00")
    hurry(clinic, clinic.call.now)
    asked: list[float] = []

    def is_fresh(looked_at: float) -> bool:
        asked.append(looked_at)
        return len(asked) > 1

    monkeypatch.setattr(carrying, "is_fresh", is_fresh)
    way = Taker()
    worker = Worker(
        lambda: Session(engine),
        {"email": way, "sms": way},
        clock=lambda: clinic.call.now + timedelta(seconds=1),
        at_once=1,
    )
    worker.tick()
    worker.close()
    sent = messages(clinic, Message.status == "sent", Message.channel != "task")
    assert sorted(way.taken) == sorted(str(row.id) for row in sent) != []
    assert len(asked) == len(sent) + 1
    assert {row.attempts for row in sent} == {1}, "it is the same attempt"
    with Session(engine) as session:
        outcomes = session.scalars(select(MessageAttempt.outcome)).all()
    assert outcomes == ["accepted"] * len(sent)
