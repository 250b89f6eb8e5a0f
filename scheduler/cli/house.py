"""What every command stands on: settings, the application around it, the one transaction, refusals said plainly."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar
from uuid import UUID

import click
from flask import Flask
from flask_migrate import upgrade
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from scheduler import create_app, wall_clock
from scheduler.config import FaultySettings, Settings
from scheduler.core.call import Call
from scheduler.core.errors import Invalid, SchedulingError
from scheduler.core.scopes import SCOPES
from scheduler.database import db, transact
from scheduler.services import access, health

T = TypeVar("T")
_ACTOR = "command line"
_NO_SETTINGS = 2

#: Which organization a command is about.
organization_option = click.option(
    "--organization", type=click.UUID, help="Its id; not needed while there is only one."
)


def settings() -> Settings:
    """Those of the environment; faulty ones end the process."""
    try:
        found = Settings.from_environ()
    except FaultySettings as error:
        click.echo(str(error), err=True)
        sys.exit(_NO_SETTINGS)
    logging.getLogger("scheduler").setLevel(found.log_level)
    return found


def expect_schema(app: Flask) -> None:
    """Refuse to begin on a database that is not this version's: every request would fail."""
    wanted = app.extensions["schema_head"]
    with app.app_context(), said_plainly():
        found = health.pulse(db.session(), wall_clock(), schema=wanted).schema
        db.session.remove()
        db.engine.dispose()  # a worker has an engine of its own: this one's connection would stay open for nothing
    if found != wanted:
        raise click.ClickException("The database is not at this version's schema: run `python -m scheduler migrate`.")


@contextmanager
def house() -> Iterator[None]:
    """The application, for commands that end by themselves: nothing is left open, and refusals are one line."""
    with house_of(settings()):
        yield


@contextmanager
def house_of(chosen: Settings) -> Iterator[None]:
    """The same by other settings than the environment's."""
    with create_app(chosen).app_context(), said_plainly():
        try:
            yield
        finally:
            db.session.remove()
            db.engine.dispose()


def bring_up() -> None:
    """Migrate."""
    upgrade()
    click.echo("The database is up to date.", err=True)


def organization_of(wanted: UUID | None) -> UUID:
    """The organization that is wanted, or the only one that there is."""
    known = access.organizations(db.session())
    if wanted is None and len(known) == 1:
        return known[0][0]
    if wanted in {found for found, _ in known}:
        return wanted
    listed = "".join(f"\n  {found}  {name}" for found, name in known) or " none; `init` makes the first"
    raise click.ClickException(f"Say which organization with --organization. There are:{listed}")


def do(organization_id: UUID, work: Callable[[Session, Call], T], *, dry_run: bool = False) -> T:
    """Run `work` as the operator, in the one transaction."""
    call = Call(now=wall_clock(), organization_id=organization_id, actor=_ACTOR, scopes=frozenset(SCOPES))
    return transact(db.session(), call, work, dry_run=dry_run)


@contextmanager
def said_plainly() -> Iterator[None]:
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
