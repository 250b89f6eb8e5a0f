"""`backup` and `restore`: all tables into one file, and back into an empty database."""

from __future__ import annotations

import os
import tempfile
import zipfile
from datetime import timedelta
from pathlib import Path

import click
from alembic.util import CommandError
from flask_migrate import upgrade
from sqlalchemy.orm import Session

from scheduler import create_app, wall_clock
from scheduler.cli.doctor import tell
from scheduler.cli.house import do, expect_schema, house, house_of, settings
from scheduler.config import Settings
from scheduler.core.call import Call
from scheduler.database import db, snapshot, transact
from scheduler.models import new_id
from scheduler.services import access
from scheduler.services import backup as backups
from scheduler.worker import channels_of


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def backup(file: Path) -> None:
    """Write all tables, as they are at one moment, to FILE. Everybody may go on working.

    It holds what the database holds: keep it as safe. Readable by its owner alone.
    """
    if file.exists():
        raise click.ClickException(f"{file} is there already.")
    expect_schema(create_app(settings()))
    part = file.with_name(f"{file.name}.part")
    try:
        with house(), snapshot(db.session()), open(part, "xb", opener=_private) as out:
            manifest = backups.save(db.session(), out, made_at=wall_clock())
            out.flush()
            os.fsync(out.fileno())
        part.rename(file)
    except OSError as error:
        raise click.ClickException(str(error)) from error
    finally:
        part.unlink(missing_ok=True)
    rows = sum(table.rows for table in manifest.tables)
    click.echo(f"{file}: {rows} rows of {len(manifest.tables)} tables.", err=True)


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--check", is_flag=True, help="Touch no database: restore it aside, and let the doctor look at that.")
@click.option(
    "--provider-hours", default=0, show_default=True, type=click.IntRange(0, 168),
    help="For so long every provider drops what it was given before: what fell due since then leaves by itself.",
)  # fmt: skip
def restore(file: Path, *, check: bool, provider_hours: int) -> None:
    """Fill an empty database from FILE, and let the doctor look at it. Exit 1 when an invariant is broken.

    Messages that were due by now do not leave by themselves: they may have left after the backup was made. They are
    `failed` with a reason, and a task asks the staff to look at them.
    """
    found = settings()
    covered = timedelta(hours=provider_hours)
    repeating = sorted(name for name, channel in channels_of(found).items() if not channel.drops_repeats)
    if covered and repeating:
        raise click.ClickException(
            f"By {', '.join(repeating)} a repeat reaches people: --provider-hours is not for these."
        )
    with tempfile.TemporaryDirectory() as aside:
        target = Settings(database_url=f"sqlite:///{aside}/check.db") if check else found
        broken = _restored(file, target, covered)
    if broken:
        raise SystemExit(1)


def _restored(file: Path, target: Settings, covered: timedelta) -> int:
    """Fill the target; how many invariants are broken there, as of when the backup was made."""
    try:
        with zipfile.ZipFile(file) as archive, house_of(target):
            manifest = backups.manifest_of(archive)
            backups.verify(archive, manifest)
            upgrade(revision=manifest.revision)
            now = wall_clock()

            def work(session: Session, _call: Call) -> int:
                backups.load(session, archive, manifest)
                return backups.hold_back(session, now, covered=covered)

            call = Call(now=now, organization_id=new_id(), actor="restore")
            held = transact(db.session(), call, work)
            upgrade()
            for key, _ in access.organizations(db.session()):
                do(key, backups.owe_reviews)
            rows = sum(table.rows for table in manifest.tables)
            click.echo(f"{rows} rows of {manifest.made_at:%Y-%m-%d %H:%M:%S} UTC; {held} messages are held.", err=True)
            return tell(None, as_json=False, now=manifest.made_at)
    except zipfile.BadZipFile as error:
        raise click.ClickException(f"{file} is no backup.") from error
    except CommandError as error:
        raise click.ClickException(f"This version does not know the backup's migration: {error}") from error


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
