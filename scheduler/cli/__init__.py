"""`python -m scheduler <command>`: what an operator does. Each command calls one service or starts one process."""

from __future__ import annotations

import logging
import sys
from io import TextIOWrapper
from pathlib import Path
from uuid import UUID

import click
from sqlalchemy.orm import Session

from scheduler import create_app
from scheduler.api.docs import openapi_yaml
from scheduler.cli.bringing import bring
from scheduler.cli.doctor import doctor
from scheduler.cli.house import bring_up, do, house, organization_of, organization_option
from scheduler.cli.keeping import backup, restore
from scheduler.cli.keys import keys
from scheduler.cli.planning import plan
from scheduler.cli.serving import run_worker, serve
from scheduler.config import Settings
from scheduler.core.call import Call
from scheduler.core.civil import TZDATA_VERSION
from scheduler.database import db
from scheduler.demo.command import demo
from scheduler.models import new_id
from scheduler.services import access, organizations, zone_rules


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def main() -> None:
    """Regimen: plans, books and reminds. Settings come from the environment, prefix SCHEDULER_."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr)
    if isinstance(sys.stdout, TextIOWrapper):  # nothing that is done fails for a sign that a terminal lacks
        sys.stdout.reconfigure(errors="replace")


for _command in (backup, bring, demo, doctor, keys, plan, restore, run_worker, serve):
    main.add_command(_command)


@main.command()
def migrate() -> None:
    """Bring the database to this version's schema. Safe to repeat, and to start twice at once."""
    with house():
        bring_up()


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

    with house():
        bring_up()
        token = do(new_id(), work)
    click.echo("The admin key, shown only now:", err=True)
    click.echo(token)


@main.command("zone-rules")
@organization_option
def tell_zone_rules(organization: UUID | None) -> None:
    """Tell which release of the zone rules is in force, and how many visits ahead stand by an older one."""
    click.echo(f"In force: {TZDATA_VERSION}")
    with house():
        for key in [organization] if organization else [found for found, _ in access.organizations(db.session())]:
            for lag in do(organization_of(key), zone_rules.lags):
                click.echo(f"{key}  {lag.visits} visits ahead by {lag.release}; a worker lets them follow")


@main.command()
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="A file; without it, standard output.")
def openapi(output: Path | None) -> None:
    """Write the contract, openapi.yaml, from the code. Needs no database and no settings."""
    text = openapi_yaml(create_app(Settings(database_url="sqlite://")))
    if output is None:
        click.echo(text, nl=False)
    else:
        output.write_text(text)
