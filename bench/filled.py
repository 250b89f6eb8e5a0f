"""Clinics with so many stored occupancies, which a folder may keep: filling one takes minutes. Measures nothing."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL, create_engine, make_url, text
from sqlalchemy.pool import NullPool

from bench.clinic import Clinic, Size
from bench.databases import Database, postgresql, server, sqlite
from bench.history import History


@contextmanager
def filled(name: str, size: Size, *, window: int, stored: int, keep: Path | None = None) -> Iterator[Clinic]:
    """A clinic of that size whose next `window` days are filled, then its past, on a database of its own.

    With `keep` it is a copy of one that was filled before, or is kept for the next time: SQLite's in that folder, and
    PostgreSQL's on the server that TEST_DATABASE_URL lends, as no other outlives the run.
    """
    if keep is None:
        with _server(name) as address, _database(address) as database:
            yield _made(database, size, window, stored)
        return
    keep.mkdir(parents=True, exist_ok=True)
    known = keep / f"{name}_{size.resources}_{window}_{stored}"
    with _server(name) as address:
        source = _lasting(address, known)
        if not known.exists():
            clinic = _made(Database(source), size, window, stored)
            clinic.database.engine.dispose()
            known.write_bytes(pickle.dumps({key: it for key, it in vars(clinic).items() if key != "database"}))
        with _database(address, source) as database:
            yield Clinic.again(database, pickle.loads(known.read_bytes()))  # noqa: S301 - a file that this wrote itself


def _made(database: Database, size: Size, window: int, stored: int) -> Clinic:
    clinic = Clinic(database, size)
    History(clinic, window=window).grow(stored)
    return clinic


@contextmanager
def _server(name: str) -> Iterator[URL | None]:
    if name == "postgresql":
        with server() as address:
            yield address
    else:
        yield None


@contextmanager
def _database(address: URL | None, source: URL | None = None) -> Iterator[Database]:
    with sqlite(source) if address is None else postgresql(address, source) as database:
        yield database


def _lasting(address: URL | None, known: Path) -> URL:
    """The database of that name, which outlives the run; made anew unless it is known to be filled."""
    if address is None:
        file = known.with_suffix(".db")
        if not known.exists():
            file.unlink(missing_ok=True)
        return URL.create("sqlite", database=str(file))
    lasting = make_url(address).set(database=f"regimen_kept_{known.name}")
    if not known.exists():
        engine = create_engine(address, isolation_level="AUTOCOMMIT", poolclass=NullPool)
        with engine.connect() as connection:
            connection.execute(text(f'DROP DATABASE IF EXISTS "{lasting.database}"'))
            connection.execute(text(f'CREATE DATABASE "{lasting.database}"'))
    return lasting
