"""By a channel that does not drop repeats, one message is on its way at a time; what hangs holds up nobody for long."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from scheduler.messaging import Envelope
from scheduler.models import Message, new_id
from scheduler.worker import Worker, carrying, unsafe
from scheduler.worker.unsafe import PATIENCE, Unsafe
from tests.clinic import Clinic
from tests.desk import book
from tests.postroom import hurry, messages, open_postroom

#: No database has a part in it.
one_database = pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)


class Counter:
    """Knows how many were with it at once. The first one to `hold` stays until `gate` is open."""

    def __init__(self, *, drops_repeats: bool) -> None:
        self.drops_repeats = drops_repeats
        self.here, self.most, self.taken = 0, 0, 0
        self.gate = threading.Event()
        self.gate.set()
        self.lock = threading.Lock()

    def deliver(self, envelope: Envelope) -> str:
        with self.lock:
            self.here += 1
            self.most = max(self.most, self.here)
            hangs = self.taken == 0 and self.here == 1 and not self.gate.is_set()
        if hangs:
            assert self.gate.wait(60)
        else:
            time.sleep(0.005)  # so that others could begin meanwhile, if they might
        with self.lock:
            self.here -= 1
            self.taken += 1
            if self.taken >= 3:
                self.gate.set()
        return envelope.message_id


@pytest.fixture
def clinic(engine: Engine) -> Iterator[Clinic]:
    made = open_postroom(engine)
    for hour in ("09", "10", "11", "12"):
        book(made, made.patient(), "session", f"2030-03-11 {hour}:00")
    hurry(made, made.call.now)
    return made


def deliver(clinic: Clinic, channel: Counter, **more: int) -> int:
    worker = Worker(
        lambda: Session(clinic.engine), {"email": channel, "sms": channel}, clock=lambda: clinic.call.now, **more
    )
    worker.tick()
    worker.close()
    return len(messages(clinic, Message.status == "sent", Message.channel != "task"))


@one_database
@pytest.mark.parametrize(("drops", "allowed", "most"), [(False, 1, 1), (False, 2, 2), (True, 1, 4)])
def test_so_many_are_on_their_way_as_may_arrive_twice(clinic: Clinic, *, drops: bool, allowed: int, most: int) -> None:
    channel = Counter(drops_repeats=drops)
    assert deliver(clinic, channel, at_once=8, at_once_unsafe=allowed) == channel.taken >= 4
    assert channel.most >= most if drops else channel.most == most


@one_database
def test_what_hangs_holds_up_no_other(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (carrying, unsafe):
        monkeypatch.setattr(module, "PATIENCE", 0.05)
    channel = Counter(drops_repeats=False)
    channel.gate.clear()
    assert deliver(clinic, channel, at_once=8) == channel.taken >= 4, "the first ends when three others have"
    assert channel.most == 2


def test_a_hanging_one_is_not_counted_until_it_ends_and_then_never_again() -> None:
    now = [0.0]
    door = Unsafe({"sms"}, 1, monotonic=lambda: now[0])
    first, second = new_id(), new_id()
    assert (door.holds("sms"), door.holds("email"), door.room()) == (True, False, 1)
    door.begins("email", new_id())
    assert door.room() == 1
    door.begins("sms", first)
    assert door.room() == 0
    now[0] += PATIENCE
    assert door.room() == 1
    door.begins("sms", second)
    assert door.room() == 0
    door.ended(second)
    assert door.room() == 1
    door.ended(first)
    assert door.room() == 1
