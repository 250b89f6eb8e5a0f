"""Databases to measure on: a real PostgreSQL of this run's own, or SQLite files, migrated as in an installation."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from flask_migrate import upgrade
from sqlalchemy import URL, Engine, create_engine, text

from scheduler import MIGRATIONS, create_app
from scheduler.config import Settings
from scheduler.database import db, engine_options
from tests.plumbing import postgres


class Database:
    """A migrated database, and an engine to it as the product builds one."""

    def __init__(self, url: URL) -> None:
        self.url = url.render_as_string(hide_password=False)
        app = create_app(Settings(database_url=self.url))
        with app.app_context():
            upgrade(str(MIGRATIONS))
            db.engine.dispose()

    @cached_property
    def engine(self) -> Engine:
        """Made when first asked for."""
        return create_engine(self.url, **engine_options(self.url))

    @property
    def dialect(self) -> str:
        """`postgresql` or `sqlite`."""
        return self.engine.dialect.name

    def analyze(self) -> None:
        """Let the database look at what it holds, as its own housekeeping would in time."""
        with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            if self.dialect == "sqlite":
                connection.execute(text("ANALYZE"))
                return
            connection.execute(text("SET statement_timeout = 0"))
            connection.execute(text("VACUUM ANALYZE"))
            connection.execute(text("RESET statement_timeout"))


@contextmanager
def server() -> Iterator[URL]:
    """A PostgreSQL in which databases can be made; it never waits for the disk, for product and reference alike."""
    with postgres.server() as address:
        yield address


@contextmanager
def postgresql(address: URL, source: URL | None = None) -> Iterator[Database]:
    """A database of its own on that server, a copy of `source` if that is given."""
    with postgres.database(address, source) as url:
        made = Database(url)
        yield made
        made.engine.dispose()


@contextmanager
def sqlite(source: URL | None = None) -> Iterator[Database]:
    """A file of its own, as durable as in an installation (`synchronous=FULL`), a copy of `source` if given."""
    with tempfile.TemporaryDirectory(prefix="regimen-bench-") as folder:
        file = Path(folder) / "bench.db"
        if source is not None:
            shutil.copyfile(str(source.database), file)
        made = Database(URL.create("sqlite", database=str(file)))
        yield made
        made.engine.dispose()
