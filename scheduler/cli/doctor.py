"""`doctor`: proves the invariants over live data, one line each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from uuid import UUID

import click

from scheduler import create_app, wall_clock
from scheduler.cli.house import expect_schema, house, organization_option, settings
from scheduler.core.call import Call
from scheduler.database import db, snapshot
from scheduler.services import access
from scheduler.services.doctor import Finding, examine


@click.command()
@organization_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def doctor(organization: UUID | None, *, as_json: bool) -> None:
    """Prove the invariants over live data, of every organization unless one is named. Exit 1 when one is broken.

    Reads only, at one moment, and stops nobody.
    """
    expect_schema(create_app(settings()))
    with house():
        broken = tell(organization, as_json=as_json)
    if broken:
        raise SystemExit(1)


def tell(organization: UUID | None, *, as_json: bool, now: datetime | None = None) -> int:
    """Show what the doctor finds as of `now`, or of this moment; how many invariants are broken."""
    broken = 0
    for key, finding in _findings(organization, now):
        broken += bool(finding.count)
        if as_json:
            click.echo(json.dumps({"organization_id": str(key), **vars(finding)}))
            continue
        state = f"BROKEN {finding.count}" if finding.count else "ok"
        click.echo(f"{key}  {finding.key:14} {state:10} {finding.says}")
        for line in finding.shown:
            click.echo(f"    {line}")
        if finding.count > len(finding.shown):
            click.echo(f"    and {finding.count - len(finding.shown)} more")
    return broken


def _findings(wanted: UUID | None, now: datetime | None) -> Iterator[tuple[UUID, Finding]]:
    session = db.session()
    known = [key for key, _ in access.organizations(session)]
    if wanted is not None and wanted not in known:
        raise click.ClickException("There is no such organization.")
    for key in known if wanted is None else [wanted]:
        with snapshot(session):
            call = Call(now=now or wall_clock(), organization_id=key, actor="doctor")
            yield from ((key, finding) for finding in examine(session, call))
