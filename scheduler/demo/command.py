"""`python -m scheduler demo`: a database of its own, the clinic, the story, and then an API to play with."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event

import click
from flask import Flask
from flask_migrate import upgrade
from rich.console import Console
from sqlalchemy import create_engine, inspect, select
from sqlalchemy.orm import Session

from scheduler import create_app, wall_clock
from scheduler.config import FaultySettings, Settings
from scheduler.database import db, engine_options
from scheduler.demo.chapters import Chapters
from scheduler.demo.clock import StoryClock
from scheduler.demo.desk import served
from scheduler.demo.screen import Screen
from scheduler.demo.seed import Seeded, seed
from scheduler.models import Organization
from scheduler.services.patient_links import Links
from scheduler.worker import Ticker, Worker, channels_of

DATABASE = Path("var/demo.db")
VARIABLES = Path("var/demo.env")


@click.command()
@click.option("--port", default=0, help="Where to serve; by default any free port.", type=click.IntRange(0, 65_535))
@click.option("--exit", "leave", is_flag=True, help="End when the story is told.")
@click.option("--today", type=click.DateTime(["%Y-%m-%d"]), help="Play as if it were that day, at noon UTC.")
def demo(port: int, leave: bool, today: datetime | None) -> None:  # noqa: FBT001 - click hands options over like this
    """Show the main job on this machine, without a network: a clinic, a course, its messages."""
    now = wall_clock() if today is None else today.replace(hour=12, tzinfo=UTC)
    clock = StoryClock(now.replace(second=0, microsecond=0))
    try:
        play(_settings(), clock, Screen(Console()), port=port, leave=leave)
    except OSError as error:
        raise click.ClickException(str(error)) from error


def play(settings: Settings, clock: StoryClock, screen: Screen, *, port: int = 0, leave: bool = True) -> Chapters:
    """Seed, tell the story, and serve until Ctrl-C unless told to `leave`. Returns the story as it went.

    Whatever the settings say, messages become files: none ever leaves this machine.
    """
    settings = replace(settings, email_channel="file", sms_channel="file", rate_limit_per_minute=0)
    app = create_app(settings, clock=clock)
    try:
        with served(app, port) as url, _worker(settings, clock) as worker:
            screen.chapter("A clinic", f"It is {clock():%A %d %B %Y}, and everybody in this story is invented.")
            seeded = _seeded(app, clock, screen)
            screen.clinic(seeded)
            told = Chapters(seeded, url, clock, worker, screen, settings.outbox_dir).tell()
            if not leave:
                _stay(told, Ticker(worker, seconds=settings.worker_tick_seconds, clock=clock))
            return told
    finally:
        with app.app_context():
            db.session.remove()
            db.engine.dispose()


def _settings() -> Settings:
    """The environment's, with a database of its own unless one is named there."""
    try:
        found = Settings.from_environ()
    except FaultySettings as error:
        raise click.ClickException(str(error)) from error
    if found.database_url == Settings().database_url:  # nobody chose one
        _remove_own_database()
        return replace(found, database_url=f"sqlite:///{DATABASE}")
    return found


def _remove_own_database() -> None:
    """Every telling begins anew; what the last one left behind is of no use to anybody."""
    for suffix in ("", "-wal", "-shm"):
        DATABASE.with_name(DATABASE.name + suffix).unlink(missing_ok=True)


def _seeded(app: Flask, clock: StoryClock, screen: Screen) -> Seeded:
    with app.app_context():
        _refuse_real_data()
        upgrade()
        with screen.progress() as progress:
            return seed(db.session(), clock(), progress)


def _refuse_real_data() -> None:
    """A clock that runs ahead sends what is owed, to whomever: only inventions may be owed anything."""
    if inspect(db.engine).has_table(Organization.__tablename__):
        real = db.session.scalars(select(Organization.name).where(Organization.demonstration.is_(False))).first()
        db.session.rollback()
        if real is not None:
            msg = f"{real!r} in this database is no demonstration. Choose another SCHEDULER_DATABASE_URL, or none."
            raise click.ClickException(msg)


@contextmanager
def _worker(settings: Settings, clock: StoryClock) -> Iterator[Worker]:
    engine = create_engine(settings.database_url, **engine_options(settings.database_url))
    lease = timedelta(seconds=settings.worker_lease_seconds)
    links = Links.of(settings.public_url, settings.link_key)
    worker = Worker(lambda: Session(engine), channels_of(settings), clock=clock, lease=lease, links=links)
    try:
        yield worker
    finally:
        worker.close()
        engine.dispose()


def _stay(told: Chapters, ticker: Ticker) -> None:
    """Serve, with the worker at its work and the clock at its usual pace, until somebody interrupts."""
    VARIABLES.parent.mkdir(exist_ok=True)
    VARIABLES.touch(mode=0o600)
    VARIABLES.write_text("".join(f"{name}={value}\n" for name, value in told.variables().items()))
    told.invite(str(VARIABLES))
    told.clock.run()
    ticker.start()
    for name in (signal.SIGINT, signal.SIGTERM):  # a shell has what it starts in the background ignore the first
        signal.signal(name, signal.default_int_handler)
    try:
        Event().wait()
    except KeyboardInterrupt:
        told.screen.say("Stopped.")
    finally:
        ticker.stop()
        VARIABLES.unlink()
