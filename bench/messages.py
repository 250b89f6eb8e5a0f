"""Messages per second with many pending, beside the same loop in bare SQL, in turns; and how late a trickle is.

The bare loops know no rules and write no words. `same`: the product's claims and marks, statement by statement; it
reads and takes as many, renews leases, re-reads the visits and records the attempts of as many at a time in the same
transaction that marks the last ones. `batch`: marks a whole claim in one statement, which
keeps neither promise: what is cancelled meanwhile leaves all the same, and a death repeats the whole claim.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Engine, create_engine, func, select, update
from sqlalchemy.orm import Session

from bench.databases import Database, postgresql, server, sqlite
from bench.heap import Heap
from bench.report import Sheet, extent, spread, table
from bench.unruly import bare_loop
from scheduler import settle_down
from scheduler.database import engine_options
from scheduler.messaging import Envelope
from scheduler.models import Message
from scheduler.services import outbox
from scheduler.worker import AT_ONCE, Ticker, Worker, wall_clock
from scheduler.worker.carriers import MOST_EACH

ABOUT = (
    "messages per second (10,000 to 1,000,000 due) beside the same claim-and-mark loop in bare SQL; lateness at 50/s"
)
BATCH, LEASE = 200, timedelta(seconds=60)
#: As many as the product lets begin together where deliveries are over at once.
TOGETHER = AT_ONCE * MOST_EACH
MANNER = BATCH, TOGETHER, LEASE
Side = Literal["product", "same", "batch"]
SIDES: tuple[Side, ...] = ("product", "same", "batch")


def flags(parser: argparse.ArgumentParser) -> None:
    """The long form is `--pending 10000 100000 1000000 --seconds 10 --rounds 3 --trickle 60`."""
    parser.add_argument("--pending", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--databases", nargs="+", choices=["postgresql", "sqlite"], default=["postgresql", "sqlite"])
    parser.add_argument("--seconds", type=float, default=4.0, help="of each turn, at most")
    parser.add_argument("--rounds", type=int, default=2, help="turns of each side")
    parser.add_argument("--trickle", type=float, default=20.0, help="seconds at 50 messages a second; 0: none")
    parser.add_argument("--each", type=int, default=20, help="messages to a patient; the trickle has 20")
    parser.add_argument("--short", action="store_true", help="10,000 pending, one turn each, 10 seconds of trickle")


def run(chosen: argparse.Namespace) -> None:
    """Measure each database at each length of the queue with each number of workers, then the trickle."""
    if chosen.short:
        chosen.pending, chosen.rounds, chosen.trickle, chosen.seconds = [10_000], 1, 10.0, 3.0
    header = ["database", "pending", "workers", "product/s", "same/s", "batch/s", "product : same", "product : batch"]
    rates, late = Sheet(header), []
    for name in chosen.databases:
        for pending in chosen.pending:
            with ExitStack() as stack:
                heap = Heap(_made(name, stack), each=chosen.each)
                heap.grow(pending)
                for workers in chosen.workers:
                    turns = [
                        [_turn(heap, side, workers, chosen.seconds) for side in SIDES] for _ in range(chosen.rounds)
                    ]
                    rates.add([name, f"{pending:,}", workers, *_shown(turns)])
        if chosen.trickle:
            with ExitStack() as stack:
                late.append([name, *_trickle(Heap(_made(name, stack)), chosen.trickle)])
    if late:
        print()
        table(["database", "messages", "late p50 / p95 / p99 s", "most s"], late)


def _made(name: str, stack: ExitStack) -> Database:
    if name == "sqlite":
        return stack.enter_context(sqlite())
    return stack.enter_context(postgresql(stack.enter_context(server())))


def _shown(turns: list[list[float]]) -> list[str]:
    product, same, batch = zip(*turns, strict=True)
    return [
        *(extent(rates, 0) for rates in (product, same, batch)),
        *(extent([a / b for a, b in zip(product, other, strict=True)]) for other in (same, batch)),
    ]


@dataclass(frozen=True)
class Shift:
    """What one process is told: where, for how long, and which side it is on."""

    url: str
    side: Side
    seconds: float


def _round(heap: Heap, workers: int, seconds: float) -> list[float]:
    return [_turn(heap, side, workers, seconds) for side in SIDES]


def _turn(heap: Heap, side: Side, workers: int, seconds: float) -> float:
    """Messages a second of all workers together; afterwards the queue is as long as before."""
    context = multiprocessing.get_context("spawn")
    ready, start, counts = context.Semaphore(0), context.Event(), context.Queue()
    shift = Shift(heap.url, side, seconds)
    hands = [context.Process(target=_work, args=(shift, ready, start, counts)) for _ in range(workers)]
    for hand in hands:
        hand.start()
    for _ in hands:
        ready.acquire()
    start.set()
    did: list[tuple[int, float]] = [counts.get() for _ in hands]
    for hand in hands:
        hand.join()
    heap.refill()
    return sum(count for count, _ in did) / max(took for _, took in did)


def _work(shift: Shift, ready: Any, start: Any, counts: Any) -> None:
    engine = create_engine(shift.url, **engine_options(shift.url))
    with product_loop(engine) if shift.side == "product" else bare_loop(engine, shift.side, *MANNER) as step:
        step()  # statements are made, tables are read
        settle_down()  # as a worker does, and here both sides
        ready.release()
        start.wait()
        count, began = 0, time.perf_counter()
        while time.perf_counter() - began < shift.seconds and (taken := step()):
            count += taken
        counts.put((count, time.perf_counter() - began))
    engine.dispose()


class Void:
    """A provider that takes everything at once, and knows by its id what it has."""

    drops_repeats = True

    def deliver(self, envelope: Envelope) -> str:
        """Taken."""
        return envelope.message_id


@contextmanager
def product_loop(engine: Engine) -> Iterator[Callable[[], int]]:
    """One claim of the product's worker and its deliveries, over a channel that costs nothing."""
    worker = Worker(lambda: Session(engine), {"sms": Void(), "email": Void()}, lease=LEASE, batch=BATCH)

    def step() -> int:
        return sum(worker.serve(organization_id) for organization_id in worker.look(outbox.organizations_due))

    yield step
    worker.close()


def _trickle(heap: Heap, seconds: float) -> list[str]:
    """One worker as in an installation, while a message falls due every 20 ms."""
    count = int(seconds * 50)
    heap.grow(count)
    first = datetime.now(UTC) + timedelta(seconds=8)
    with heap.engine.begin() as connection:
        keys = connection.scalars(select(Message.id).order_by(Message.id)).all()
        for place, key in enumerate(keys):
            due = first + timedelta(milliseconds=20) * place
            connection.execute(update(Message).where(Message.id == key).values(due_at=due))
    engine = create_engine(heap.url, **engine_options(heap.url))
    worker = Worker(lambda: Session(engine), {"sms": Void(), "email": Void()}, lease=LEASE, batch=BATCH)
    ticker = Ticker(worker, seconds=5, clock=wall_clock, afterwards=engine.dispose)
    ticker.start()
    end = first + timedelta(seconds=seconds + 60)
    open_ = select(func.count()).select_from(Message).where(Message.status.in_(("pending", "sending")))
    while datetime.now(UTC) < end:
        time.sleep(1)
        with heap.engine.connect() as connection:
            if not connection.scalar(open_):
                break
    ticker.stop()
    with heap.engine.connect() as connection:
        rows = connection.execute(select(Message.due_at, Message.sent_at).where(Message.status == "sent")).all()
    late = [(row.sent_at - row.due_at).total_seconds() for row in rows]
    return [f"{len(rows):,} of {count:,}", spread(late, 2), f"{max(late):.2f}"]
