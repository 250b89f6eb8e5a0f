"""The one long-running process: claims what is due, delivers it, writes down how it went. Alone knows APScheduler.

APScheduler keeps the time and owns nothing: every message is a row, so a worker may die at any moment, and any number
of them may run, in any process. No transaction is open while a provider is slow.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, timedelta
from functools import partial
from queue import Empty, SimpleQueue
from typing import TypeVar
from uuid import UUID, uuid4

from apscheduler.schedulers.background import BackgroundScheduler
from sqlalchemy import create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from scheduler.config import Settings
from scheduler.core.call import Call
from scheduler.core.civil import zone
from scheduler.database import engine_options, ensure_directory, transact
from scheduler.messaging import Channel, DeliveryError, Envelope, open_channel
from scheduler.messaging.facts import Facts, Line
from scheduler.messaging.render import Text, render
from scheduler.services import access, idempotency, outbox, waitlist
from scheduler.services.outbox import Letter, Outcome

log = logging.getLogger(__name__)

Clock = Callable[[], datetime]
T = TypeVar("T")

#: Messages that one worker has on their way at once, so that one slow answer does not hold up the rest.
CARRIERS = 4

#: How long a worker that cannot reach the database holds on to what it knows before it lets the lease run out.
_PATIENCE = (0.2, 1.0, 5.0)

_NOBODY = UUID(int=0)


def wall_clock() -> datetime:
    """The present moment, aware UTC."""
    return datetime.now(UTC)


class Worker:
    """One worker: `tick()` delivers everything that is due. `channels` maps `email` and `sms` to ways out.

    `sessions` makes database sessions, `lease` is how long a claimed message stays with a worker that went silent.
    """

    def __init__(
        self,
        sessions: Callable[[], Session],
        channels: Mapping[str, Channel],
        *,
        clock: Clock = wall_clock,
        lease: timedelta = timedelta(seconds=60),
        batch: int = 200,
    ) -> None:
        self.name = f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}"
        self._sessions, self._channels, self._clock = sessions, channels, clock
        self._lease, self._batch = lease, batch
        with sessions() as session:
            # SQLite has one writer. Whoever waits for it in line here does not have to ask again and again there.
            one_writer = session.get_bind().dialect.name == "sqlite"
        self._gate: AbstractContextManager[object] = threading.Lock() if one_writer else nullcontext()
        self._stopping = threading.Event()
        self._carriers = ThreadPoolExecutor(CARRIERS, thread_name_prefix="carrier")
        #: On the monotonic clock, when something last went forward.
        self.moved_at = time.monotonic()

    def tick(self) -> int:
        """Deliver what is due, of every organization in turn, until nothing is. Returns how many rows were taken."""
        taken = 0
        while not self._stopping.is_set():
            in_round = sum(self._serve(organization_id) for organization_id in self._due())
            if not in_round:
                break
            taken += in_round
        self._offer_freed_time()
        self._transact(_NOBODY, lambda session, call: outbox.beat(session, call, self.name))
        return taken

    def tidy(self) -> None:
        """Throw away what nobody may ask for any more."""
        with self._sessions() as session:
            everyone = access.organizations(session)
        for organization_id, _ in everyone:
            self._transact(organization_id, lambda s, call: idempotency.forget(s, call.organization_id, call.now))

    def next_due(self) -> datetime | None:
        """When the next message falls due that is not due yet."""
        with self._sessions() as session:
            return outbox.next_due(session, self._clock())

    def stop(self) -> None:
        """Begin nothing more. What is on its way is finished by the tick that runs."""
        self._stopping.set()

    def close(self) -> None:
        """Wait for what is on its way."""
        self._carriers.shutdown(wait=True)

    def _offer_freed_time(self) -> None:
        """Offer what has become free to who waits for it. A fault here is not the other organizations'."""
        with self._sessions() as session:
            due = waitlist.organizations_due(session, self._clock())
        for organization_id in due:
            try:
                while not self._stopping.is_set() and self._transact(organization_id, waitlist.sweep):
                    pass
            except Exception as error:  # noqa: BLE001 - the next organization and the next tick go on
                _complain(f"the waitlist of organization {organization_id} could not be served", error)

    def _due(self) -> list[UUID]:
        with self._sessions() as session:
            return outbox.organizations_due(session, self._clock())

    def _serve(self, organization_id: UUID) -> int:
        """Claim one batch of one organization and deliver it. A fault here is not the other organizations'."""
        if self._stopping.is_set():
            return 0
        token = uuid4()
        try:
            claimed = self._transact(
                organization_id,
                lambda session, call: outbox.claim(session, call, limit=self._batch, lease=self._lease, token=token),
            )
            for message_id, why in claimed.broken:
                log.error("message %s could not be prepared: %s", message_id, why)
            self._deliver_all(organization_id, claimed.letters)
        except Exception as error:  # noqa: BLE001 - the next organization and the next tick go on
            _complain(f"organization {organization_id} could not be served", error)
            return 0
        return claimed.taken

    def _deliver_all(self, organization_id: UUID, letters: tuple[Letter, ...]) -> None:
        waiting: SimpleQueue[Letter] = SimpleQueue()
        for letter in letters:
            waiting.put(letter)
        carriers = [
            self._carriers.submit(self._carry, organization_id, waiting) for _ in range(min(CARRIERS, len(letters)))
        ]
        wait(carriers)
        left = list(iter(partial(_next, waiting), None))
        if left:
            self._transact(organization_id, lambda session, _: outbox.release(session, left))
        for carrier in carriers:
            carrier.result()

    def _carry(self, organization_id: UUID, waiting: SimpleQueue[Letter]) -> None:
        """Deliver one letter after the other. One transaction settles the last and begins the next."""
        outcome: Outcome | None = None
        while True:
            letter = None if self._stopping.is_set() else _next(waiting)
            if letter is None and outcome is None:
                return
            may_begin = self._turn(organization_id, outcome, letter)
            outcome = self._deliver(letter) if letter is not None and may_begin else None

    def _turn(self, organization_id: UUID, outcome: Outcome | None, letter: Letter | None) -> bool:
        def work(session: Session, call: Call) -> bool:
            if outcome is not None:
                outbox.settle(session, call, outcome)
            return letter is not None and outbox.begin_delivery(session, call, letter, self._lease)

        for pause in (*_PATIENCE, None):
            try:
                return self._transact(organization_id, work)
            except DBAPIError as error:
                _complain("the outcome of a delivery could not be written", error)
                if pause is None:
                    break
                time.sleep(pause)
        return False

    def _deliver(self, letter: Letter) -> Outcome:
        """Deliver, with no transaction open. Whatever goes wrong is this message's alone."""
        try:
            text, envelope = write_letter(letter, self._clock())
        except Exception as error:  # noqa: BLE001
            _complain(f"message {letter.id} could not be written", error)
            return Outcome(letter, f"It could not be written: {type(error).__name__}.")
        try:
            provider_id = self._channels[letter.channel].deliver(envelope)
        except DeliveryError as error:
            return Outcome(letter, error.detail, permanent=error.permanent)
        except Exception as error:  # noqa: BLE001
            _complain(f"message {letter.id} met a broken channel", error)
            return Outcome(letter, f"The channel broke: {type(error).__name__}.")
        return Outcome(letter, provider_id=provider_id, subject=text.subject, body=text.body, locale=text.locale)

    def _transact(self, organization_id: UUID, work: Callable[[Session, Call], T]) -> T:
        with self._gate, self._sessions() as session:
            done = transact(session, Call(self._clock(), organization_id, "worker"), work)
        self.moved_at = time.monotonic()
        return done


class Ticker:
    """Lets a worker tick at intervals, and once more when the next message falls due; never two ticks at once.

    `afterwards` is called when the last tick is over.
    """

    def __init__(
        self, worker: Worker, *, seconds: float, clock: Clock = wall_clock, afterwards: Callable[[], None] | None = None
    ) -> None:
        self.worker = worker
        self._afterwards = afterwards
        self._interval, self._clock = timedelta(seconds=seconds), clock
        self._lock = threading.Lock()
        self._scheduler = BackgroundScheduler(timezone=UTC)
        self._seen = time.monotonic()

    def start(self) -> None:
        """Tick now, and from now on."""
        seconds = self._interval.total_seconds()
        self._add(self._run, "tick", "interval", seconds=seconds, next_run_time=wall_clock())
        self._add(partial(self._guarded, self.worker.tidy), "tidy", "interval", hours=1)
        self._scheduler.start()

    def stop(self) -> None:
        """Finish the work in hand, then end."""
        self.worker.stop()
        self._scheduler.shutdown(wait=False)
        with self._lock:
            self.worker.close()
            if self._afterwards is not None:
                self._afterwards()

    def is_stuck(self, after: float) -> bool:
        """Whether neither a tick nor a message has come to its end for `after` seconds."""
        return time.monotonic() - max(self._seen, self.worker.moved_at) > after

    def _run(self) -> None:
        self._guarded(self.worker.tick)
        self._guarded(self._sharpen)

    def _guarded(self, work: Callable[[], object]) -> None:
        """Work under the lock. Whatever becomes of it, APScheduler's thread must live to see the next tick."""
        with self._lock:
            try:
                work()
            except Exception as error:  # noqa: BLE001
                _complain("a tick failed", error)
            self._seen = time.monotonic()

    def _sharpen(self) -> None:
        """Add a tick for the next due time if the interval would come later."""
        due = self.worker.next_due()
        ahead = self._interval if due is None else due - self._clock()
        if ahead < self._interval:
            self._add(self._run, "next due", "date", run_date=wall_clock() + ahead)

    def _add(self, work: Callable[[], object], name: str, trigger: str, **when: object) -> None:
        self._scheduler.add_job(
            work,
            trigger,
            id=name,
            replace_existing=True,
            coalesce=True,
            max_instances=1,
            misfire_grace_time=None,
            **when,
        )


def channels_of(settings: Settings) -> dict[str, Channel]:
    """The ways out that the settings choose for e-mail and SMS. Raises ValueError when their settings make no sense."""
    options: dict[str, dict[str, object]] = {
        "console": {},
        "file": {"folder": settings.outbox_dir},
        "smtp": {
            "host": settings.smtp_host,
            "sender": settings.smtp_from,
            "port": settings.smtp_port,
            "user": settings.smtp_user,
            "password": settings.smtp_password,
            "starttls": settings.smtp_starttls,
        },
        "http": {"url": settings.sms_http_url, "token": settings.sms_http_token},
    }
    chosen = {"email": settings.email_channel, "sms": settings.sms_channel}
    return {name: open_channel(channel, options[channel]) for name, channel in chosen.items()}


def write_letter(letter: Letter, now: datetime) -> tuple[Text, Envelope]:
    """The letter in words, and ready to go. `now` decides whether it says "tomorrow" or "in 5 hours"."""
    site = zone(letter.time_zone)

    def before(minutes: int | None) -> datetime | None:
        return (letter.about - timedelta(minutes=minutes)).astimezone(site) if minutes else None

    facts = Facts(
        now=now,
        sender_name=letter.sender_name,
        phone=letter.phone,
        recipient_zone=letter.recipient_zone,
        starts_at=letter.about.astimezone(site),
        visit=letter.visit,
        location=letter.location,
        address=letter.address,
        arrive_at=before(letter.arrive_early_minutes),
        food_until=before(letter.solids_minutes),
        liquids_until=before(letter.clear_liquids_minutes),
        alcohol_until=before(letter.alcohol_minutes),
        ride=letter.escort,
        previous_starts_at=letter.previous and letter.previous.astimezone(site),
        visits=tuple(Line(stop.starts_at.astimezone(site), stop.visit) for stop in letter.stops),
    )
    text = render(letter.kind, letter.channel, facts, letter.locales)
    return text, Envelope(
        message_id=str(letter.id),
        sender_name=text.sender,
        to=letter.to,
        channel=letter.channel,
        subject=text.subject,
        body=text.body,
        locale=text.locale,
    )


def build_ticker(settings: Settings, *, clock: Clock = wall_clock) -> Ticker:
    """A ticker over a worker with an engine and channels of its own, not started."""
    channels = channels_of(settings)
    ensure_directory(settings.database_url)
    options = engine_options(settings.database_url, pool_size=CARRIERS + 2)
    # A dead connection is noticed by the transaction that fails on it and is tried again; to ask before each is dear.
    engine = create_engine(settings.database_url, **options | {"pool_pre_ping": False})
    worker = Worker(
        lambda: Session(engine),
        channels,
        clock=clock,
        lease=timedelta(seconds=settings.worker_lease_seconds),
        batch=settings.worker_batch,
    )
    return Ticker(worker, seconds=settings.worker_tick_seconds, clock=clock, afterwards=engine.dispose)


def start_in_thread(settings: Settings, *, clock: Clock = wall_clock) -> Ticker:
    """Start a worker beside whatever else this process does; the caller stops it. Not before a fork."""
    ticker = build_ticker(settings, clock=clock)
    ticker.start()
    return ticker


def run_worker(settings: Settings, *, clock: Clock = wall_clock) -> None:
    """Work until SIGTERM or SIGINT, then finish what is in hand. A worker that hangs ends itself, to be replaced."""
    told_to_stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: told_to_stop.set())
    ticker = build_ticker(settings, clock=clock)
    patience = max(120.0, 12.0 * settings.worker_tick_seconds)
    ticker.start()
    log.info("worker %s is at work", ticker.worker.name)
    while not told_to_stop.wait(1):
        if ticker.is_stuck(patience):
            log.critical("nothing has gone forward for %.0f seconds: the worker gives up", patience)
            logging.shutdown()
            os._exit(70)  # a thread hangs: an orderly end would wait for it
    ticker.stop()
    log.info("worker %s has finished", ticker.worker.name)


def _next(waiting: SimpleQueue[Letter]) -> Letter | None:
    try:
        return waiting.get_nowait()
    except Empty:
        return None


def _complain(what: str, error: Exception) -> None:
    """Log where it happened and its type: the text of an exception may hold an address."""
    where = "".join(traceback.format_tb(error.__traceback__))
    log.error("%s: %s\n%s", what, type(error).__name__, where)
