"""Reading a backup: whether the file is whole, and its rows back into tables that are empty."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from itertools import islice
from typing import Any

from sqlalchemy import inspect, text
from sqlalchemy.orm import Session

from scheduler.models import Organization
from scheduler.services.backup.manifest import NAME, Faulty, Manifest, Saved
from scheduler.services.backup.text import row

_AT_ONCE = 1000
_BLOCK = 1 << 20


def manifest_of(archive: zipfile.ZipFile) -> Manifest:
    """What the backup says of itself. Raises Faulty."""
    try:
        return Manifest.of(json.loads(archive.read(NAME)))
    except (KeyError, ValueError, zipfile.BadZipFile) as error:
        raise error if isinstance(error, Faulty) else Faulty("The file has no manifest: it is no backup.") from error


def verify(archive: zipfile.ZipFile, manifest: Manifest) -> None:
    """Read all of it once. Raises Faulty unless each table has the rows and the text that were written."""
    for table in manifest.tables:
        digest, rows = hashlib.sha256(), 0
        try:
            with archive.open(table.member) as member:
                while block := member.read(_BLOCK):
                    digest.update(block)
                    rows += block.count(b"\n")
        except (KeyError, OSError, zipfile.BadZipFile) as error:
            msg = f"{table.name}: it cannot be read to its end."
            raise Faulty(msg) from error
        if (rows, digest.hexdigest()) != (table.rows, table.sha256):
            msg = f"{table.name}: its rows are not those that were saved."
            raise Faulty(msg)


def load(session: Session, archive: zipfile.ZipFile, manifest: Manifest) -> None:
    """Fill the tables. Raises Faulty unless they are empty, and those that the backup knows."""
    there = session.scalar(text("SELECT version_num FROM alembic_version"))
    if there != manifest.revision:
        raise Faulty("The database is not at the migration of the backup.")
    if session.query(Organization.id).first() is not None:
        raise Faulty("The database is not empty: a backup goes into one that nobody has used yet.")
    known = inspect(session.connection())
    names = set(known.get_table_names())
    for table in manifest.tables:
        columns = {each["name"] for each in known.get_columns(table.name)} if table.name in names else set()
        if not {name for name, _ in table.columns} <= columns:
            msg = f"{table.name}: the database has no such table, or not these columns."
            raise Faulty(msg)
    if session.get_bind().dialect.name == "sqlite":
        session.execute(text("PRAGMA defer_foreign_keys = ON"))  # a message may point at one that comes later
        fill = _insert
    else:
        session.execute(text("SET LOCAL statement_timeout = 0"))
        fill = _copy
    for table in manifest.tables:
        fill(session, archive, table)


def _copy(session: Session, archive: zipfile.ZipFile, table: Saved) -> None:
    driver: Any = session.connection().connection.driver_connection
    names = ", ".join(f'"{name}"' for name, _ in table.columns)
    with (
        driver.cursor() as cursor,
        archive.open(table.member) as member,
        cursor.copy(f"COPY \"{table.name}\" ({names}) FROM STDIN (ENCODING 'UTF8')") as copy,
    ):
        while block := member.read(_BLOCK):
            copy.write(block)


def _insert(session: Session, archive: zipfile.ZipFile, table: Saved) -> None:
    driver: Any = session.connection().connection.driver_connection
    names, kinds = ", ".join(f'"{name}"' for name, _ in table.columns), [kind for _, kind in table.columns]
    places = ", ".join("?" * len(kinds))
    into = f'INSERT INTO "{table.name}" ({names}) VALUES ({places})'  # noqa: S608 - names that the database has
    with archive.open(table.member) as member:
        lines = iter(io.TextIOWrapper(member, "utf-8", newline="\n"))
        while some := list(islice(lines, _AT_ONCE)):
            driver.executemany(into, [row(each[:-1], kinds) for each in some])
