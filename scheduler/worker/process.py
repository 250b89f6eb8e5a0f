"""A worker with an engine of its own, in a thread or as the whole process. What it does lives in the other modules."""

from __future__ import annotations

import logging
import os
import signal
import threading
from datetime import timedelta

from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from scheduler.config import Settings
from scheduler.database import engine_options, ensure_directory
from scheduler.services.patient_links import Links
from scheduler.worker.clockguard import ClockGuard
from scheduler.worker.delivering import Worker
from scheduler.worker.hands import Clock, wall_clock
from scheduler.worker.letters import channels_of
from scheduler.worker.ticking import Ticker

log = logging.getLogger(__name__)

#: A worker that is told to stop has ended after so many seconds, whatever its providers do.
ENDS_WITHIN = 24.0


def build_ticker(settings: Settings, *, clock: Clock = wall_clock) -> Ticker:
    """A ticker over a worker with an engine and channels of its own, not started."""
    channels = channels_of(settings)
    ensure_directory(settings.database_url)
    options = engine_options(settings.database_url, pool_size=8, connect_seconds=settings.database_connect_seconds)
    # A dead connection is noticed by the transaction that fails on it and is tried again; to ask before each is dear.
    engine = create_engine(settings.database_url, **options | {"pool_pre_ping": False})

    def sessions() -> Session:
        return Session(engine)

    worker = Worker(
        sessions,
        channels,
        clock=clock,
        lease=timedelta(seconds=settings.worker_lease_seconds),
        batch=settings.worker_batch,
        at_once=settings.worker_at_once,
        at_once_unsafe=settings.worker_at_once_unsafe,
        guard=ClockGuard(sessions, clock),
        rates={
            "email": settings.email_per_second,
            "sms": settings.sms_per_second,
            "voice": settings.voice_per_second,
        },
        links=Links.of(settings.public_url, settings.link_key),
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
    if not stopped(ticker, within=ENDS_WITHIN):
        log.critical("a provider does not answer: the worker ends all the same, and nobody knows what became of that")
        logging.shutdown()
        os._exit(70)
    log.info("worker %s has finished", ticker.worker.name)


def stopped(ticker: Ticker, *, within: float) -> bool:
    """Stop it; whether it came to its end in so many seconds. What hangs then keeps no process from ending."""
    ending = threading.Thread(target=ticker.stop, name="ending", daemon=True)
    ending.start()
    ending.join(within)
    return not ending.is_alive()
