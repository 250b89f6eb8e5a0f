"""By a channel that does not drop repeats, one message is on its way at a time; what hangs holds up nobody for long."""

from __future__ import annotations

import threading
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
    """Knows how many were with it at once, and lets none go before `company` have been."""

    def __init__(self, *, drops_repeats: bool, company: int = 1) -> None:
        self.drops_repeats, self._company = drops_repeats, company
        self.here, self.most, self.taken = 0, 0, 0
        self._enough = threading.Event()
        self._lock = threading.Lock()

    def deliver(self, envelope: Envelope) -> str:
        with self._lock:
            self.here += 1
            self.most = max(self.most, self.here)
            if self.most >= self._company:
                self._enough.set()
        assert self._enough.wait(60)
        with self._lock:
            self.here -= 1
            self.taken += 1
        return envelope.message_id


class Tarpit(Counter):
    """Keeps the first one until three others have been."""

    def deliver(self, envelope: Envelope) -> str:
        with self._lock:
            self.here += 1
            self.most = max(self.most, self.here)
            is_first = self.taken == 0 and self.here == 1
        if is_first:
            assert self._enough.wait(60)
        with self._lock:
            self.here -= 1
            self.taken += 1
            if self.taken >= 3:
                self._enough.set()
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
    channel = Counter(drops_repeats=drops, company=most)
    assert deliver(clinic, channel, at_once=4, at_once_unsafe=allowed) == channel.taken >= 4
    assert channel.most == most


@one_database
def test_what_hangs_holds_up_no_other(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (carrying, unsafe):
        monkeypatch.setattr(module, "PATIENCE", 0.05)
    channel = Tarpit(drops_repeats=False)
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
