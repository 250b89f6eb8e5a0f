"""What a worker asks has no plan that was kept; and the reference that it is measured by leaves the same rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from sqlalchemy import Engine, func, select, text
from sqlalchemy.orm import Session

from bench.heap import Heap
from bench.messages import Void
from bench.unruly import bare_loop
from scheduler.models import Message, MessageAttempt
from scheduler.worker import Worker

LEASE = timedelta(seconds=60)
_OWN = {"id", "message_id", "organization_id", "patient_id", "appointment_id", "rule"}
_TIMES = {"due_at", "expires_at", "created_at"}


@dataclass
class Ground:
    """Where a heap lies, as `bench` wants it: nothing is analyzed, for nothing is timed."""

    engine: Engine
    url: str = field(init=False)

    def __post_init__(self) -> None:
        self.url = self.engine.url.render_as_string(hide_password=False)

    def analyze(self) -> None: ...


@pytest.fixture
def heap(engine: Engine) -> Heap:
    return Heap(Ground(engine))  # type: ignore[arg-type] # as much of a database as it asks for


@pytest.mark.parametrize("each", [1, 20])
def test_each_patient_is_owed_as_many_as_wanted(engine: Engine, each: int) -> None:
    heap = Heap(Ground(engine), each=each)  # type: ignore[arg-type]
    heap.grow(30)
    with engine.connect() as connection:
        owed = connection.execute(
            select(Message.patient_id, func.count()).where(Message.status == "pending").group_by("patient_id")
        )
        assert sorted((count for _, count in owed), reverse=True) == ([1] * 30 if each == 1 else [20, 10])


def at_work(heap: Heap) -> Worker:
    return Worker(lambda: Session(heap.engine), {"sms": Void(), "email": Void()}, lease=LEASE, batch=10)


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
def test_what_a_worker_asks_is_planned_anew_whatever_server_answers(heap: Heap) -> None:
    heap.grow(70)
    prepared = text("SELECT count(*) FROM pg_prepared_statements")
    asks = text("SELECT id FROM messages WHERE attempts > 99")
    heap.engine.dispose()  # what prepared the ground had connections of its own
    worker = at_work(heap)
    worker.tick()
    assert (
        worker.look(lambda session, _now: [session.execute(asks) for _ in range(9)] and session.scalar(prepared)) == 0
    )
    organization = worker.look(lambda session, _now: session.scalars(select(Message.organization_id)).first())
    assert organization is not None
    assert worker.transact(organization, lambda session, _call: session.scalar(prepared)) == 0
    worker.close()
    heap.engine.dispose()
    with heap.engine.connect() as connection:  # where nobody says so, it is kept
        for _ in range(9):
            connection.execute(asks)
        assert connection.scalar(prepared)


def test_the_reference_leaves_the_rows_of_the_product(heap: Heap) -> None:
    heap.grow(20)
    worker = at_work(heap)
    assert worker.tick() == 20
    worker.close()
    ours = rows(heap)
    heap.grow(20)
    with bare_loop(heap.engine, "same", 10, 4, LEASE) as step:
        assert [step(), step(), step()] == [10, 10, 0]
    both = rows(heap)
    assert len(ours) == 1, "the product leaves all alike"
    assert both == ours, "and so does the reference"


def rows(heap: Heap) -> set[str]:
    """How what was sent is left behind: who and when is each row's own, the rest is told."""
    joined = select(Message, MessageAttempt).join(
        MessageAttempt,
        (MessageAttempt.organization_id == Message.organization_id) & (MessageAttempt.message_id == Message.id),
        isouter=True,
    )
    with Session(heap.engine) as session:
        return {
            f"{told(message)} {attempt and told(attempt)}"
            for message, attempt in session.execute(joined.where(Message.status != "suppressed"))
        }


def told(row: Message | MessageAttempt) -> dict[str, object]:
    found: dict[str, object] = {}
    for column in row.__table__.c:
        value = getattr(row, column.name)
        if column.name in _OWN | _TIMES:
            continue
        if column.name == "body":
            value = value and sorted(value)
        elif column.name in {"provider_id", "sent_to"} or column.name.endswith("_at"):
            value = value is not None
        found[column.name] = value
    return found
