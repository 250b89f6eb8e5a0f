"""Real workers in processes of their own: many at once, killed without warning, and raced by cancellations."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import Engine, func, select, text, update
from sqlalchemy.orm import Session

from scheduler.config import Settings
from scheduler.models import Message
from scheduler.services import booking
from tests.clinic import Clinic
from tests.desk import book
from tests.messaging.sinks import Gateway, sms_gateway
from tests.postroom import messages, open_postroom
from tests.worker.crew import Crew, heap, now, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

NO_LIMITS = {"quiet": {"from": "00:00", "to": "00:00"}, "caps": {"per_day": None}}
HOURS = ("09:00", "10:00", "11:00", "12:00", "13:00", "14:00", "15:00", "16:00")


@pytest.fixture
def clinic(engine: Engine) -> Clinic:
    return open_postroom(engine, **NO_LIMITS)


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with sms_gateway() as opened:
        yield opened


@pytest.fixture
def crew(settings: Settings, gateway: Gateway, tmp_path: Path) -> Iterator[Crew]:
    with Crew(settings.database_url, gateway.url, tmp_path) as hired:
        yield hired


def visits(clinic: Clinic, count: int) -> list[UUID]:
    """That many visits on the clinic's first days, whose own messages are out of the way."""
    slots = [f"2030-03-{day:02} {hour}" for day in (4, 5, 6, 7, 8) for hour in HOURS]
    booked = [book(clinic, clinic.patient(), "session", slot).id for slot in slots[:count]]
    with Session(clinic.engine) as session, session.begin():
        session.execute(update(Message).values(status="sent", sent_at=Message.due_at))
    return booked


def open_count(clinic: Clinic) -> int:
    with Session(clinic.engine) as session:
        wanted = select(func.count()).where(Message.status.in_(("pending", "sending")), Message.due_at <= now())
        return session.scalar(wanted) or 0


def statuses(clinic: Clinic, owed: list[UUID]) -> Counter[str]:
    return Counter(row.status for row in messages(clinic, Message.id.in_(owed)))


def test_four_workers_deliver_a_thousand_messages_once_each(clinic: Clinic, gateway: Gateway, crew: Crew) -> None:
    owed = heap(clinic, visits(clinic, 10), each=100)
    crew.hire(4)
    until(lambda: open_count(clinic) == 0, crew)
    assert statuses(clinic, owed) == {"sent": 1000}
    assert Counter(document["id"] for document in gateway.asked) == Counter(map(str, owed))
    assert crew.dismiss() == [0, 0, 0, 0]
    assert "Error" not in crew.log


def test_workers_that_are_killed_lose_nothing_and_repeat_only_under_the_same_id(
    clinic: Clinic, gateway: Gateway, crew: Crew
) -> None:
    owed = heap(clinic, visits(clinic, 5), each=50)
    gateway.delay = 0.02  # so that the killer always finds something on its way
    crew.settings["SCHEDULER_WORKER_BATCH"] = "40"
    crew.hire(2)
    kills = 0
    for share in (30, 80, 130):
        until(lambda share=share: len(gateway.asked) >= share, crew)
        kills += crew.kill_one_at_work()
        crew.hire()
    until(lambda: open_count(clinic) == 0, crew)
    assert kills == 3
    assert statuses(clinic, owed) == {"sent": 250}
    arrived = Counter(document["id"] for document in gateway.asked)
    assert set(arrived) == set(map(str, owed)), "none lost, none invented"
    assert arrived.total() - len(arrived) <= kills, "each death repeats the one that was on its way, at most"
    keys = {
        (document["id"], headers["Idempotency-Key"])
        for document, headers in zip(gateway.asked, gateway.headers, strict=True)
    }
    assert len(keys) == len(arrived)
    bodies = {(document["id"], document["to"]) for document in gateway.asked}
    assert len(bodies) == len(arrived), "a repeat goes to the same number"


def test_no_delivery_begins_after_a_cancellation_has_committed(clinic: Clinic, gateway: Gateway, crew: Crew) -> None:
    booked = visits(clinic, 20)
    owed = heap(clinic, booked, each=25)
    gateway.delay = 0.005
    crew.hire(2)
    until(lambda: len(gateway.asked) > 0, crew)
    committed: dict[UUID, float] = {}

    def cancel(mine: list[UUID]) -> None:
        for key in mine:
            clinic.do(lambda s, c, key=key: booking.cancel(s, c, key, reason="ill", by="patient"), now=now())
            committed[key] = time.monotonic()

    threads = [threading.Thread(target=cancel, args=(booked[place::2],)) for place in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    until(lambda: open_count(clinic) == 0, crew)
    arrived = dict(zip((UUID(document["id"]) for document in gateway.asked), gateway.times, strict=True))
    rows = messages(clinic, Message.id.in_(owed))
    corrected = {row.appointment_id for row in messages(clinic, Message.kind == "correction")}
    stopped = [row for row in rows if row.status == "suppressed"]
    assert len(committed) == 20
    assert stopped, "the cancellations came too late to race anything"
    assert not arrived.keys() & {row.id for row in stopped if row.attempts == 0}
    for row in rows:
        if row.id in arrived and arrived[row.id] > committed[row.appointment_id]:
            assert row.appointment_id in corrected, "what was on its way at that moment is corrected"
        if row.status == "sent":
            assert row.id in arrived
    assert {row.status for row in rows} <= {"sent", "suppressed"}


def test_a_worker_told_to_stop_finishes_what_is_in_hand_and_gives_back_the_rest(
    clinic: Clinic, gateway: Gateway, crew: Crew
) -> None:
    owed = heap(clinic, visits(clinic, 4), each=100)
    gateway.delay = 0.05
    crew.hire()
    until(lambda: len(gateway.asked) > 0, crew)
    assert crew.dismiss() == [0]
    left = statuses(clinic, owed)
    assert left["sending"] == 0, "nothing waits for a lease to run out"
    assert left["pending"] > 0
    assert left["sent"] == len(gateway.asked) == len({document["id"] for document in gateway.asked})
    gateway.delay = 0
    crew.hire()
    until(lambda: open_count(clinic) == 0, crew)
    assert Counter(document["id"] for document in gateway.asked) == Counter(map(str, owed))


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
def test_a_database_that_drops_every_connection_costs_no_message(clinic: Clinic, gateway: Gateway, crew: Crew) -> None:
    owed = heap(clinic, visits(clinic, 4), each=100)
    gateway.delay = 0.01
    connected = "FROM pg_stat_activity WHERE datname = current_database()"
    with clinic.engine.connect() as killer:
        ours = killer.scalars(text(f"SELECT pid {connected}")).all()
        cut = text(f"SELECT pg_terminate_backend(pid) {connected} AND pid <> ALL(:ours)")
        crew.hire(2)
        until(lambda: len(gateway.asked) > 0, crew)
        for _ in range(20):
            killer.execute(cut, {"ours": ours})
            killer.rollback()
            time.sleep(0.1)
    until(lambda: open_count(clinic) == 0, crew)
    assert statuses(clinic, owed) == {"sent": 400}
    arrived = Counter(document["id"] for document in gateway.asked)
    assert arrived == Counter(map(str, owed)), "none lost, and none repeated: both workers lived"
    assert crew.dismiss() == [0, 0], "both are alive to the end"
