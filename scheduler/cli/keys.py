"""`keys`: make, end and list API keys."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import click
from sqlalchemy.orm import Session

from scheduler.cli.house import do, house, organization_of, organization_option
from scheduler.core.call import Call
from scheduler.core.scopes import BUNDLES, SCOPES
from scheduler.services import access


@click.group()
def keys() -> None:
    """Make, end and list API keys."""


@keys.command("create")
@organization_option
@click.option("--name", required=True, help="What the audit trail calls it.")
@click.option("--scope", "scopes", multiple=True, required=True, help=f"A scope, or one of {', '.join(BUNDLES)}.")
@click.option("--days", type=click.IntRange(1, 3650), help="How long it is good; without it, until revoked.")
def create_key(organization: UUID | None, name: str, scopes: tuple[str, ...], days: int | None) -> None:
    """Make a key and print it."""

    def work(session: Session, call: Call) -> str:
        until = None if days is None else call.now + timedelta(days=days)
        return access.create_key(session, call, name=name, scopes=scopes, expires_at=until)[1]

    with house():
        click.echo(do(organization_of(organization), work))


@keys.command("list")
@organization_option
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

    with house():
        for line in do(organization_of(organization), work):
            click.echo(line)


@keys.command("revoke")
@organization_option
@click.argument("key_id", type=click.UUID)
def revoke_key(organization: UUID | None, key_id: UUID) -> None:
    """End a key at once."""
    with house():
        do(organization_of(organization), lambda session, call: access.revoke_key(session, call, key_id).id)
    click.echo(f"{key_id} is revoked.")
