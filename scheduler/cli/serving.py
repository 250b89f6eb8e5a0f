"""`serve` and `worker`: the processes that go on until they are told to end."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import click

from scheduler import create_app, settle_down, worker
from scheduler.api.rehearsal import rehearse
from scheduler.cli.house import expect_schema, said_plainly, settings
from scheduler.config import Settings


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65_535))
@click.option("--threads", default=8, show_default=True, type=click.IntRange(1, 100))
@click.option("--worker/--no-worker", "with_worker", default=None, help="By default with one on SQLite.")
def serve(host: str, port: int, threads: int, *, with_worker: bool | None) -> None:
    """Serve the API from this one process, by default with a worker in it when the database is SQLite.

    Production runs `gunicorn wsgi:app` and any number of `python -m scheduler worker`.
    """
    from waitress import serve as wait  # type: ignore[import-untyped]

    found = settings()
    app = create_app(found)
    expect_schema(app)
    inside = found.database_url.startswith("sqlite") if with_worker is None else with_worker
    # Waitress ends well on SystemExit, which is what a service manager's signal becomes.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    with _worker_beside(found) if inside else nullcontext():
        click.echo(f"http://{host}:{port}/docs", err=True)
        rehearse(app)
        settle_down()
        wait(app, host=host, port=port, threads=threads, ident=None)


@click.command("worker")
def run_worker() -> None:
    """Deliver what is due, until SIGTERM. Any number may run."""
    found = settings()
    expect_schema(create_app(found))
    settle_down()
    with said_plainly():
        worker.run_worker(found)


@contextmanager
def _worker_beside(settings: Settings) -> Iterator[None]:
    with said_plainly():
        ticker = worker.start_in_thread(settings)
    try:
        yield
    finally:
        ticker.stop()
