"""`python -m scheduler <command>`: what an operator does. Each command calls one service or starts one process."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, TypeVar
from uuid import UUID

import click
from flask import Flask
from flask_migrate import upgrade
from rich.console import Console
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from scheduler import create_app, settle_down, terminal, wall_clock, worker
from scheduler.api.docs import openapi_yaml
from scheduler.api.rehearsal import rehearse
from scheduler.config import FaultySettings, Settings
from scheduler.core.call import Call
from scheduler.core.civil import TZDATA_VERSION
from scheduler.core.errors import Invalid, SchedulingError
from scheduler.core.scopes import BUNDLES, SCOPES
from scheduler.database import db, transact
from scheduler.demo.command import demo
from scheduler.models import new_id
from scheduler.services import (
    access,
    health,
    jobs,
    organizations,
    plan_batches,
    planning,
    plans,
    timelines,
    zone_rules,
)
from scheduler.services.plans import OfferedPlan

T = TypeVar("T")
_ACTOR = "command line"
_NO_SETTINGS = 2


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def main() -> None:
    """Regimen: plans, books and reminds. Settings come from the environment, prefix SCHEDULER_."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr)


main.add_command(demo)


@main.command()
def migrate() -> None:
    """Bring the database to this version's schema. Safe to repeat, and to start twice at once."""
    with _house():
        _migrate()


@main.command()
@click.option("--name", required=True, help="The organization's name.")
@click.option("--sender-name", default=organizations.NEUTRAL_SENDER, show_default=True, help="What patients read.")
@click.option("--locale", default="en", show_default=True, help="The language of messages by default.")
def init(name: str, sender_name: str, locale: str) -> None:
    """Make the first organization and its admin key, on an empty database."""

    def work(session: Session, call: Call) -> str:
        if access.organizations(session):
            msg = "This database has an organization already; `keys create` makes further keys."
            raise click.ClickException(msg)
        organizations.create(session, call, name=name, sender_name=sender_name, default_locale=locale)
        session.flush()
        return access.create_key(session, call, name="admin", scopes=["admin"])[1]

    with _house():
        _migrate()
        token = _do(new_id(), work)
    click.echo("The admin key, shown only now:", err=True)
    click.echo(token)


@main.group()
def keys() -> None:
    """Make, end and list API keys."""


_organization = click.option("--organization", type=click.UUID, help="Its id; not needed while there is only one.")


@keys.command("create")
@_organization
@click.option("--name", required=True, help="What the audit trail calls it.")
@click.option("--scope", "scopes", multiple=True, required=True, help=f"A scope, or one of {', '.join(BUNDLES)}.")
@click.option("--days", type=click.IntRange(1, 3650), help="How long it is good; without it, until revoked.")
def create_key(organization: UUID | None, name: str, scopes: tuple[str, ...], days: int | None) -> None:
    """Make a key and print it."""

    def work(session: Session, call: Call) -> str:
        until = None if days is None else call.now + timedelta(days=days)
        return access.create_key(session, call, name=name, scopes=scopes, expires_at=until)[1]

    with _house():
        click.echo(_do(_organization_id(organization), work))


@keys.command("list")
@_organization
def list_keys(organization: UUID | None) -> None:
    """List keys: id, state, name, scopes."""

    def work(session: Session, call: Call) -> list[str]:
        lines, cursor = [], None
        while True:
            page = access.list_keys(session, call, limit=200, cursor=cursor)
            for row in page.items:
                over = row.expires_at is not None and row.expires_at <= call.now
                state = "revoked" if row.revoked_at is not None else "expired" if over else "live"
                scopes = "admin" if set(row.scopes) == SCOPES.keys() else " ".join(row.scopes)
                lines.append(f"{row.id}  {state:7}  {row.name}  {scopes}")
            cursor = page.next_cursor
            if cursor is None:
                return lines

    with _house():
        for line in _do(_organization_id(organization), work):
            click.echo(line)


@keys.command("revoke")
@_organization
@click.argument("key_id", type=click.UUID)
def revoke_key(organization: UUID | None, key_id: UUID) -> None:
    """End a key at once."""
    with _house():
        _do(_organization_id(organization), lambda session, call: access.revoke_key(session, call, key_id).id)
    click.echo(f"{key_id} is revoked.")


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65_535))
@click.option("--threads", default=8, show_default=True, type=click.IntRange(1, 100))
@click.option("--worker/--no-worker", "with_worker", default=None, help="By default with one on SQLite.")
def serve(host: str, port: int, threads: int, *, with_worker: bool | None) -> None:
    """Serve the API from this one process, by default with a worker in it when the database is SQLite.

    Production runs `gunicorn wsgi:app` and any number of `python -m scheduler worker`.
    """
    from waitress import serve as wait  # type: ignore[import-untyped]

    settings = _settings()
    app = create_app(settings)
    _expect_schema(app)
    inside = settings.database_url.startswith("sqlite") if with_worker is None else with_worker
    # Waitress ends well on SystemExit, which is what a service manager's signal becomes.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    with _worker_beside(settings) if inside else nullcontext():
        click.echo(f"http://{host}:{port}/docs", err=True)
        rehearse(app)
        settle_down()
        wait(app, host=host, port=port, threads=threads, ident=None)


@main.command("worker")
def run_worker() -> None:
    """Deliver what is due, until SIGTERM. Any number may run."""
    settings = _settings()
    _expect_schema(create_app(settings))
    settle_down()
    with _said_plainly():
        worker.run_worker(settings)


@main.command("zone-rules")
@_organization
def tell_zone_rules(organization: UUID | None) -> None:
    """Tell which release of the zone rules is in force, and how many visits ahead stand by an older one."""
    click.echo(f"In force: {TZDATA_VERSION}")
    with _house():
        for key in [organization] if organization else [found for found, _ in access.organizations(db.session())]:
            for lag in _do(_organization_id(key), zone_rules.lags):
                click.echo(f"{key}  {lag.visits} visits ahead by {lag.release}; a worker lets them follow")


@main.command()
@_organization
@click.argument("course_ids", nargs=-1, required=True, type=click.UUID, metavar="COURSE_ID...")
@click.option("--alternatives", default=1, show_default=True, type=click.IntRange(1, 5), help="How many plans.")
@click.option("--through", default="next_gate", show_default=True, type=click.Choice(["next_gate", "all"]))
@click.option("--seconds", default=30, show_default=True, type=click.IntRange(1, 600), help="For several courses.")
@click.option("--book", "token", help="Book the plan of that token instead of making plans.")
def plan(
    organization: UUID | None,
    course_ids: tuple[UUID, ...],
    alternatives: int,
    through: Literal["next_gate", "all"],
    seconds: int,
    token: str | None,
) -> None:
    """Plan a course, or book a plan, and show its timeline. Several courses are planned together, as a job."""
    with _house():
        owner, console = _organization_id(organization), Console()
        if len(course_ids) > 1:
            _plan_together(console, owner, course_ids, through, seconds)
            return
        course_id = course_ids[0]
        if token is not None:
            booked = token
            _do(owner, lambda session, call: [view.id for view in plans.book(session, call, course_id, booked)])
        else:

            def work(session: Session, call: Call) -> list[OfferedPlan]:
                desk, found = planning.make_plans(session, call, course_id, count=alternatives, through=through)
                return plans.keep(session, call, desk, found, _settings().plan_minutes)

            terminal.show_plans(console, _do(owner, work))
        terminal.show_timeline(console, _do(owner, lambda s, call: timelines.of_course(s, call, course_id)))


def _plan_together(
    console: Console, owner: UUID, course_ids: tuple[UUID, ...], through: Literal["next_gate", "all"], seconds: int
) -> None:
    """Ask for the job, lend it a hand of this process, and show how far it is until it is over."""

    def ask(session: Session, call: Call) -> UUID:
        asked = plan_batches.ask(session, call, course_ids, through=through, seconds=seconds, seed=0, rounds=10_000)
        return asked.id

    def look(session: Session, call: Call) -> Mapping[str, Any]:
        row = jobs.get(session, call, job_id)
        return {"status": row.status, "progress": row.progress / 1000, "step": row.step, "result": row.result}

    job_id = _do(owner, ask)
    ticker = worker.build_ticker(_settings())
    helper = threading.Thread(target=ticker.worker.jobs.run_due, daemon=True)
    helper.start()
    ended = terminal.watch(console, lambda: _do(owner, look))
    helper.join()
    ticker.worker.close()
    result = ended["result"] or {"courses": (), "placed": 0, "one_by_one": None}
    for line in result["courses"]:
        said = line["plan_token"] or line["code"].replace("_", " ")
        console.print(f"{line['course_id']}  {said}", highlight=False, markup=False, soft_wrap=True)
    console.print(f"{ended['status']}: {result['placed']} of {len(course_ids)} courses have a place.", highlight=False)


@main.command()
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="A file; without it, standard output.")
def openapi(output: Path | None) -> None:
    """Write the contract, openapi.yaml, from the code. Needs no database and no settings."""
    text = openapi_yaml(create_app(Settings(database_url="sqlite://")))
    if output is None:
        click.echo(text, nl=False)
    else:
        output.write_text(text)


def _settings() -> Settings:
    try:
        settings = Settings.from_environ()
    except FaultySettings as error:
        click.echo(str(error), err=True)
        sys.exit(_NO_SETTINGS)
    logging.getLogger("scheduler").setLevel(settings.log_level)
    return settings


def _expect_schema(app: Flask) -> None:
    """Refuse to begin on a database that is not this version's: every request would fail."""
    wanted = app.extensions["schema_head"]
    with app.app_context(), _said_plainly():
        found = health.pulse(db.session(), wall_clock(), schema=wanted).schema
        db.session.remove()
        db.engine.dispose()  # a worker has an engine of its own: this one's connection would stay open for nothing
    if found != wanted:
        raise click.ClickException("The database is not at this version's schema: run `python -m scheduler migrate`.")


@contextmanager
def _worker_beside(settings: Settings) -> Iterator[None]:
    with _said_plainly():
        ticker = worker.start_in_thread(settings)
    try:
        yield
    finally:
        ticker.stop()


@contextmanager
def _house() -> Iterator[None]:
    """The application, for commands that end by themselves: nothing is left open, and refusals are one line."""
    with create_app(_settings()).app_context(), _said_plainly():
        try:
            yield
        finally:
            db.session.remove()
            db.engine.dispose()


def _migrate() -> None:
    upgrade()
    click.echo("The database is up to date.", err=True)


def _organization_id(wanted: UUID | None) -> UUID:
    known = access.organizations(db.session())
    if wanted is None and len(known) == 1:
        return known[0][0]
    if wanted in {found for found, _ in known}:
        return wanted
    listed = "".join(f"\n  {found}  {name}" for found, name in known) or " none; `init` makes the first"
    raise click.ClickException(f"Say which organization with --organization. There are:{listed}")


def _do(organization_id: UUID, work: Callable[[Session, Call], T]) -> T:
    """Run `work` as the operator, in the one transaction."""
    call = Call(now=wall_clock(), organization_id=organization_id, actor=_ACTOR, scopes=frozenset(SCOPES))
    return transact(db.session(), call, work)


@contextmanager
def _said_plainly() -> Iterator[None]:
    """Turn a refusal, or a database that is not there, into one line on standard error."""
    try:
        yield
    except Invalid as error:
        raise click.ClickException("\n".join(fault.detail for fault in error.faults)) from error
    except SchedulingError as error:
        raise click.ClickException(error.detail) from error
    except ValueError as error:  # settings of a channel that make no sense together
        raise click.ClickException(str(error)) from error
    except SQLAlchemyError as error:
        said = str(getattr(error, "orig", error)).splitlines()[0]
        raise click.ClickException(f"{said} (has `migrate` been run?)") from error
