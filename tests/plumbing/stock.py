"""Databases of PostgreSQL that are lent to one test after another: emptying one is cheaper than making one.

The next test can't tell it from a fresh copy of the template. Where that would take more than emptying tables, because
a test changed the schema or the statistics, the database is dropped.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from sqlalchemy import URL, Connection, create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from scheduler.models import Base
from tests.plumbing import postgres

#: How many tests one database serves: deleted rows stay on its pages, so it grows.
LOANS = 30
#: Whoever is still connected goes, and the call waits until it has gone.
_CUT_OFF = text(
    "SELECT count(pg_terminate_backend(pid, 30000)) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
)
#: Children first.
_EMPTY = text("; ".join(f'DELETE FROM "{table.name}"' for table in reversed(Base.metadata.sorted_tables)))
#: What a test may not leave changed: relations, columns, constraints, triggers, functions, settings, statistics, and
#: the revision, which is a row of no model.
_SHAPE = text("""
    SELECT md5(string_agg(line, ';' ORDER BY line)) FROM (
        SELECT concat_ws(' ', oid, relname, relkind, reltuples < 0) FROM pg_class
         WHERE relnamespace = 'public'::regnamespace
        UNION ALL SELECT concat_ws(' ', attrelid, attname, atttypid, attnotnull, attisdropped, atthasdef)
          FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid WHERE relnamespace = 'public'::regnamespace
        UNION ALL SELECT concat_ws(' ', oid, conname, convalidated) FROM pg_constraint
        UNION ALL SELECT concat_ws(' ', oid, tgname, tgenabled) FROM pg_trigger
        UNION ALL SELECT concat_ws(' ', oid, proname, md5(prosrc)) FROM pg_proc
         WHERE pronamespace = 'public'::regnamespace
        UNION ALL SELECT concat_ws(' ', setdatabase, setconfig) FROM pg_db_role_setting
        UNION ALL SELECT version_num FROM alembic_version
    ) AS all_lines(line)
""")


@dataclass
class _Kept:
    """One database, a connection that stays open to it, and its shape when it was new."""

    url: URL
    connection: Connection
    shape: str
    upkeep: ExitStack
    loans: int = 0

    def is_as_new(self) -> bool:
        """Empty it, and say whether it may be lent again."""
        self.connection.execute(_CUT_OFF)
        self.loans += 1
        try:
            if self.loans >= LOANS or _shape(self.connection) != self.shape:
                return False
            self.connection.execute(_EMPTY)
        except DBAPIError:  # a table is no longer there
            return False
        return True


@dataclass
class Stock:
    """All that were made from one template."""

    address: URL
    template: URL
    idle: list[_Kept] = field(default_factory=list)

    @contextmanager
    def lent(self) -> Iterator[URL]:
        """A database as the template is, for as long as the block lasts."""
        kept = self.idle.pop() if self.idle else self._made()
        with ExitStack() as unless_kept:
            unless_kept.push(kept.upkeep)
            yield kept.url
            if kept.is_as_new():
                self.idle.append(kept)
                unless_kept.pop_all()

    def close(self) -> None:
        """Drop them."""
        while self.idle:
            self.idle.pop().upkeep.close()

    def _made(self) -> _Kept:
        with ExitStack() as upkeep:
            url = upkeep.enter_context(postgres.database(self.address, self.template))
            engine = create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
            connection = upkeep.enter_context(engine.connect())
            return _Kept(url, connection, _shape(connection), upkeep.pop_all())


def _shape(connection: Connection) -> str:
    return str(connection.execute(_SHAPE).scalar_one())
