"""Saving: every table, as it is at one moment, while everybody goes on working."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterator
from datetime import datetime
from typing import IO, Any

from sqlalchemy import Table, text
from sqlalchemy.orm import Session

from scheduler.models import Base, WorkerHeartbeat
from scheduler.services.backup.manifest import NAME, Manifest, Saved
from scheduler.services.backup.text import kind_of, line

#: The pulse of processes that are not restored with the tables.
_LEFT_OUT = frozenset({WorkerHeartbeat.__tablename__})
_AT_ONCE = 1000
#: What is most of a backup repeats itself: the fastest way finds most of that.
_EFFORT = 1


def save(session: Session, out: IO[bytes], *, made_at: datetime) -> Manifest:
    """Write a backup. The session must stand at one moment (`database.snapshot`)."""
    revision = session.scalar(text("SELECT version_num FROM alembic_version")) or ""
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=_EFFORT) as archive:
        tables = [table for table in Base.metadata.sorted_tables if table.name not in _LEFT_OUT]
        manifest = Manifest(made_at, revision, tuple(_save(session, archive, table) for table in tables))
        archive.writestr(NAME, json.dumps(manifest.document(), indent=1))
    return manifest


def _save(session: Session, archive: zipfile.ZipFile, table: Table) -> Saved:
    columns = tuple((column.name, kind_of(column)) for column in table.columns)
    digest, rows = hashlib.sha256(), 0
    with archive.open(Saved(table.name, columns, 0, "").member, "w", force_zip64=True) as member:
        for block in _blocks(session, table, [kind for _, kind in columns]):
            member.write(block)
            digest.update(block)
            rows += block.count(b"\n")
    return Saved(table.name, columns, rows, digest.hexdigest())


def _blocks(session: Session, table: Table, kinds: list[str]) -> Iterator[bytes]:
    # Names of our own tables; the driver itself, for what no statement of SQLAlchemy's says.
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    wanted = f'SELECT {names} FROM "{table.name}"'  # noqa: S608
    driver: Any = session.connection().connection.driver_connection
    cursor = driver.cursor()
    try:
        if session.get_bind().dialect.name == "sqlite":
            cursor.execute(wanted)
            while rows := cursor.fetchmany(_AT_ONCE):
                yield "".join(line(row, kinds) for row in rows).encode()
            return
        session.execute(text("SET LOCAL datestyle = 'ISO'"))
        session.execute(text("SET LOCAL timezone = 'UTC'"))
        with cursor.copy(f"COPY ({wanted}) TO STDOUT (ENCODING 'UTF8')") as copy:
            yield from (bytes(block) for block in copy)
    finally:
        cursor.close()
