"""By a channel that does not drop repeats, one message is on its way at a time; what hangs holds up nobody for long."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from scheduler.messaging import Envelope
from scheduler.models import Message, new_id
from scheduler.worker import Worker, carriers, carrying, underway
from scheduler.worker.underway import PATIENCE, UnderWay
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
    for module in (carriers, carrying, underway):
        monkeypatch.setattr(module, "PATIENCE", 0.05)
    channel = Tarpit(drops_repeats=False)
    assert deliver(clinic, channel, at_once=8) == channel.taken >= 4, "the first ends when three others have"
    assert channel.most == 2


class Pit(Counter):
    """Keeps the first one until it may go."""

    def __init__(self) -> None:
        super().__init__(drops_repeats=True)
        self.may_go = threading.Event()
        self.ids: list[str] = []

    def deliver(self, envelope: Envelope) -> str:
        self.ids.append(envelope.message_id)
        if len(self.ids) == 1:
            assert self.may_go.wait(60)
        return envelope.message_id


@one_database
def test_what_hangs_last_holds_up_no_claim_and_is_written_down_when_it_ends(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (carriers, carrying, underway):
        monkeypatch.setattr(module, "PATIENCE", 0.05)
    clinic, pit = open_postroom(engine), Pit()
    book(clinic, clinic.patient(), "session", "2030-03-11 09:00")
    worker = Worker(lambda: Session(engine), {"email": pit, "sms": pit}, clock=lambda: clinic.call.now, at_once=2)
    worker.tick()
    book(clinic, clinic.patient(), "session", "2030-03-12 09:00")
    worker.tick()
    (sent,) = messages(clinic, Message.status == "sent")
    (hanging,) = messages(clinic, Message.status == "sending")
    assert pit.ids == [str(hanging.id), str(sent.id)]
    pit.may_go.set()
    worker.close()
    assert {(row.status, row.attempts) for row in messages(clinic, Message.rule == "booked")} == {("sent", 1)}
    assert len(pit.ids) == 2


def test_a_hanging_one_is_not_counted_until_it_ends_and_then_never_again() -> None:
    now = [0.0]
    door = UnderWay({"sms"}, 1, 2, monotonic=lambda: now[0])
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


def test_a_channel_of_which_too_many_hang_has_no_room() -> None:
    now = [0.0]
    door = UnderWay((), 1, 2, monotonic=lambda: now[0])
    keys = [new_id() for _ in range(3)]
    for key in keys[:2]:
        door.begins("sms", key)
    assert (door.stuck(), door.moving(keys[:2])) == ({}, 2)
    now[0] += PATIENCE
    door.begins("email", keys[2])
    assert (door.stuck(), door.moving(keys)) == ({"sms": 0}, 1)
    door.ended(keys[0])
    assert door.stuck() == {}
