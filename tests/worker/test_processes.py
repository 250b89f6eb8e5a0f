"""Real workers in processes of their own: many at once, killed without warning, and raced by cancellations."""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import Engine, func, select, text, update
from sqlalchemy.orm import Session

from scheduler.config import Settings
from scheduler.models import Message
from scheduler.services import booking, opt_outs
from tests.clinic import Clinic
from tests.desk import book
from tests.messaging.sinks import Gateway, sms_gateway
from tests.postroom import cancel, messages, open_postroom
from tests.worker.crew import Crew, heap, now, until
from tests.worker.dying import POINTS, die
from tests.worker.witness import begun_too_late, watch

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

NO_LIMITS = {"quiet": {"from": "00:00", "to": "00:00"}, "caps": {"per_day": None}}
SLOTS = [f"2030-03-{day:02} {hour:02}:00" for day in (4, 5, 6, 7, 8) for hour in range(9, 17)]


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


def number(place: int) -> str:
    return f"+1202555{place:04}"


def visits(clinic: Clinic, count: int) -> list[UUID]:
    """That many visits on the clinic's first days, whose own messages are out of the way; each patient has a phone."""
    booked = []
    for place, slot in enumerate(SLOTS[:count]):
        phone = {"channel": "sms", "value": number(place), "purpose": "any"}
        booked.append(book(clinic, clinic.patient(contacts=[phone]), "session", slot).id)
    with Session(clinic.engine) as session, session.begin():
        session.execute(update(Message).values(status="sent", sent_at=Message.due_at))
    return booked


def cancelled(clinic: Clinic, visit: UUID, _place: int) -> None:
    cancel(clinic, visit, now=now())


def moved(clinic: Clinic, visit: UUID, place: int) -> None:
    later = clinic.at(SLOTS[place]) + timedelta(days=7)
    clinic.do(lambda s, c: booking.reschedule(s, c, visit, later))


def opted_out(clinic: Clinic, _visit: UUID, place: int) -> None:
    clinic.do(lambda s, c: opt_outs.close(s, c, number(place), opt_outs.ALL, "test"), now=now())


ACTS = (cancelled, moved, opted_out)


def open_count(clinic: Clinic) -> int:
    """How many are due, and how many of a heap have not come to an end: one that failed is due again in a minute."""
    counted = Message.rule.like("heap-%") | (Message.due_at <= now())
    with Session(clinic.engine) as session:
        wanted = select(func.count()).where(Message.status.in_(("pending", "sending")), counted)
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


@pytest.mark.slow
@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_all_end_in_time_while_the_provider_hangs(clinic: Clinic, gateway: Gateway, crew: Crew) -> None:
    owed = heap(clinic, visits(clinic, 2), each=10)
    gateway.delay = 60.0
    crew.hire(2)
    until(lambda: gateway.asked, crew)
    began = time.monotonic()
    assert crew.dismiss() == [0, 0]
    assert time.monotonic() - began <= 25
    assert statuses(clinic, owed) == {"pending": 20}, "what had not begun is given back, what hung is tried again"


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


def test_nothing_begins_after_a_cancellation_a_move_or_an_opt_out_has_committed(
    clinic: Clinic, gateway: Gateway, crew: Crew
) -> None:
    booked = visits(clinic, 30)
    owed = heap(clinic, booked, each=20)
    watch(clinic.engine)
    gateway.delay = 0.005
    crew.hire(3)
    until(lambda: len(gateway.asked) > 0, crew)
    committed: dict[UUID, datetime] = {}

    def race(act: Callable[[Clinic, UUID, int], None], places: range) -> None:
        for place in places:
            act(clinic, booked[place], place)
            committed[booked[place]] = now()

    threads = [threading.Thread(target=race, args=(act, range(first, 30, 3))) for first, act in enumerate(ACTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    until(lambda: open_count(clinic) == 0, crew)
    since = {key: committed[booked[place // 20]] for place, key in enumerate(owed)}
    arrived = [document["id"] for document in gateway.asked]
    assert not begun_too_late(clinic, since, arrived)
    rows = messages(clinic, Message.id.in_(owed))
    assert {row.status for row in rows} <= {"sent", "suppressed", "failed"}
    for first, act in enumerate(ACTS):
        ends = {row.status for row in rows if row.appointment_id in booked[first::3]}
        assert ends - {"sent"}, f"{act.__name__} came too late to race anything"
    corrected = {row.appointment_id for row in messages(clinic, Message.kind == "correction")}
    on_their_way = {row.appointment_id for row in rows if row.called_off_at is not None and str(row.id) in arrived}
    assert on_their_way <= corrected, "what was on its way at that moment is corrected"


def test_wherever_a_worker_dies_nothing_is_lost_and_only_what_had_left_comes_again(
    clinic: Clinic, gateway: Gateway, crew: Crew
) -> None:
    owed = heap(clinic, visits(clinic, 1), each=8)
    crew.settings["SCHEDULER_WORKER_BATCH"] = "1"
    for point in POINTS:
        before = len(gateway.asked)
        assert die(crew, point) == -signal.SIGKILL, f"{point}\n{crew.log}"
        assert len(gateway.asked) - before == point.startswith(("between deliver", "between settle")), point
    crew.hire()
    until(lambda: open_count(clinic) == 0, crew)
    assert statuses(clinic, owed) == {"sent": 8}
    arrived = Counter(document["id"] for document in gateway.asked)
    assert set(arrived) == set(map(str, owed)), "none lost, none invented"
    assert arrived.total() - len(arrived) == 2, "those that were accepted and not written down, under the same id"
    said = {(document["id"], document["to"], document["body"]) for document in gateway.asked}
    assert len(said) == len(arrived), "in the same words"


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
