"""The engine's manners per dialect, and the one place that ends a transaction. Knows no rule of the clinic."""

from __future__ import annotations

import logging
import random
import select
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import orjson
from flask_sqlalchemy import SQLAlchemy
from flask_sqlalchemy.session import Session as FlaskSession
from sqlalchemy import Connection, Engine, Executable, event, make_url, text
from sqlalchemy.exc import DBAPIError, DisconnectionError, OperationalError
from sqlalchemy.orm import Session, SessionTransaction

from scheduler.core.call import Call
from scheduler.core.errors import LostRace, SlotTaken
from scheduler.models import NO_DOUBLE_BOOKING, Base

T = TypeVar("T")

log = logging.getLogger(__name__)


class _Session(FlaskSession):
    """A session that asks once which engine is its own, and not for each statement: there is but one."""

    _own: Engine | Connection | None = None

    _at_hand: tuple[SessionTransaction | None, Connection] | None = None

    def connection(self, bind_arguments: Any = None, execution_options: Any = None) -> Connection:
        """The transaction's connection: every statement asks for it."""
        at_hand = self._at_hand
        if at_hand is None or at_hand[0] is not self._transaction or execution_options or not self.is_active:
            found = super().connection(bind_arguments, execution_options)
            at_hand = self._at_hand = self._transaction, found
        return at_hand[1]

    def execute(self, statement: Executable, params: Any = None, **more: Any) -> Any:
        """Send a statement about tables straight to the connection: what a session adds is for mapped classes."""
        if more or statement._propagate_attrs:  # noqa: SLF001 - no public word for "about mapped classes"
            return super().execute(statement, params, **more)
        return self.connection().execute(statement, params)

    def get_bind(self, *_args: Any, bind: Engine | Connection | None = None, **_more: Any) -> Engine | Connection:
        """The application's engine."""
        if self._own is None:
            self._own = super().get_bind()
        return bind or self._own


db = SQLAlchemy(metadata=Base.metadata, session_options={"class_": _Session})

#: How often a transaction is begun before its failure is the caller's. The last try locks every candidate.
TRIES = 6

#: Under which name a connection knows that it is only looked with: the driver begins no transaction then.
_LOOKS = "looks"

#: serialization failure, deadlock, lock timeout: the transaction did nothing and may simply be tried again.
_TRY_AGAIN = {"40001", "40P01", "55P03"}

_SQLITE_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",  # an acknowledged booking survives a power cut
    "PRAGMA foreign_keys=ON",
    "PRAGMA busy_timeout=30000",
)
_POSTGRESQL_OPTIONS = (
    "-c statement_timeout=15000 -c lock_timeout=5000 -c idle_in_transaction_session_timeout=30000 -c timezone=UTC"
)


def engine_options(url: str, *, pool_size: int = 8, connect_seconds: int = 10) -> dict[str, Any]:
    """Keyword arguments of `create_engine` for that URL: time-outs, pool, and no parameters in error texts."""
    if make_url(url).get_backend_name() == "sqlite":
        return {"hide_parameters": True, "json_deserializer": orjson.loads}
    return {
        "hide_parameters": True,
        "pool_size": pool_size,
        "max_overflow": pool_size,
        "pool_recycle": 1800,
        "json_deserializer": orjson.loads,
        # Without it a server that accepts and never answers is waited for, by psycopg's own patience, two minutes.
        "connect_args": {"options": _POSTGRESQL_OPTIONS, "connect_timeout": connect_seconds},
    }


def ensure_directory(url: str) -> None:
    """Make the folder of a SQLite file, so that an empty checkout can start."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite" and parsed.database and parsed.database != ":memory:":
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)


@event.listens_for(Engine, "connect")
def _on_connect(connection: Any, _record: Any) -> None:
    if isinstance(connection, sqlite3.Connection):
        connection.isolation_level = None  # pysqlite must not begin or commit by itself: `_on_begin` does
        for pragma in _SQLITE_PRAGMAS:
            connection.execute(pragma)


@event.listens_for(Engine, "checkout")
def _on_checkout(connection: Any, record: Any, _proxy: Any) -> None:
    """Have the pool replace a connection that the server has closed, without asking the server each time."""
    if not isinstance(connection, sqlite3.Connection):
        if record.info.pop(_LOOKS, False):  # the last who had it
            connection.autocommit = False
        waiting = select.poll()
        waiting.register(connection.fileno(), select.POLLIN)
        if waiting.poll(0):  # an idle server has nothing to say but that it goes
            raise DisconnectionError


@event.listens_for(Engine, "begin")
def _on_begin(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(connection.get_execution_options().get("sqlite_begin", "BEGIN"))


def look(session: Session) -> None:
    """Let what is read from here on, until `transact` begins, need no transaction on PostgreSQL.

    There each statement has a snapshot of its own anyway. What is saved are the BEGIN and the ROLLBACK, and with the
    ROLLBACK all the plans that the server keeps for the connection: psycopg gives them up then.
    """
    if session.get_bind().dialect.name == "postgresql" and not session.in_transaction():
        connection = session.connection()
        connection.info[_LOOKS] = True
        _driver(connection).autocommit = True


def look_afresh(session: Session) -> None:
    """The same, and on PostgreSQL let what this connection asks be planned each time, for the values that it asks with.

    For who lives long and asks for many rows at once: a plan that was made when tables were small, or for any values,
    goes on to read all that there is when they are large. Nothing is prepared, so that there is nothing to keep: what a
    server was told to do for a session is lost behind a pooler that hands out transactions.
    """
    look(session)
    if session.get_bind().dialect.name == "postgresql":
        _driver(session.connection()).prepare_threshold = None


def pause(session: Session) -> None:
    """Let no transaction wait for somebody slow: the database would end it. A `look` on PostgreSQL has none."""
    if not (session.in_transaction() and _LOOKS in session.connection().info):
        session.rollback()


def _begin(session: Session) -> None:
    """Leave what was read before, authentication say: it must not pin an old snapshot."""
    connection = session.connection() if session.in_transaction() else None
    if connection is not None and connection.info.pop(_LOOKS, False):
        _driver(connection).autocommit = False  # the transaction begins with the next statement
        return
    session.rollback()
    if session.get_bind().dialect.name == "sqlite":
        session.connection(execution_options={"sqlite_begin": "BEGIN IMMEDIATE"})


def _driver(connection: Connection) -> Any:
    return connection.connection.dbapi_connection


@contextmanager
def snapshot(session: Session) -> Iterator[None]:
    """Let all that is read inside be of one moment, however long it takes. Nothing is written, and nobody waits."""
    session.rollback()
    if session.get_bind().dialect.name == "postgresql":
        session.connection(execution_options={"isolation_level": "REPEATABLE READ", "postgresql_readonly": True})
        for patience in ("statement_timeout", "idle_in_transaction_session_timeout"):
            session.execute(text(f"SET LOCAL {patience} = 0"))
    try:
        yield
    finally:
        session.rollback()


@contextmanager
def _transaction(session: Session, *, keep: bool) -> Iterator[None]:
    """All of it or none of it; none of it either when `keep` is false (a dry run)."""
    _begin(session)
    session.expire_all()
    try:
        yield
        session.flush()
        if keep:
            session.commit()
    finally:
        session.rollback()


def transact(session: Session, call: Call, work: Callable[[Session, Call], T], *, dry_run: bool = False) -> T:
    """Run `work` in one transaction and commit it: the only caller of commit().

    `work` must be repeatable: it is run again when it lost a race, on a serialization failure or deadlock, up to TRIES
    times, the last time with `call.last_try`. What it returns must not need the session any more. With
    `dry_run` everything is done and nothing kept.

    Whom the guard refuses looked before somebody else wrote: the next look says why, or finds another way. On a last
    try nobody else can have written, so that law and guard contradict each other then: that is a fault of ours.
    """
    for attempt in range(1, TRIES + 1):
        last = attempt == TRIES
        try:
            with _transaction(session, keep=not dry_run):
                return work(session, replace(call, last_try=True) if last else call)
        except (LostRace, SlotTaken) as lost:
            if last:
                if isinstance(lost, SlotTaken):
                    log.exception("what the calendar allowed was refused by the guard, %s", NO_DOUBLE_BOOKING)
                raise
        except DBAPIError as error:
            if last or not _may_try_again(error):
                raise
        time.sleep(random.uniform(0.002, 0.02) * attempt)  # noqa: S311 - jitter, not a secret
    raise AssertionError  # pragma: no cover - the last try returned or raised


def is_overloaded(error: DBAPIError) -> bool:
    """Whether the database asks for patience (locked, timed out, restarting) rather than reporting a fault."""
    if error.connection_invalidated or _sqlstate(error) in _TRY_AGAIN | {"57014", "57P01", "57P03", "53300"}:
        return True
    return isinstance(error, OperationalError) and "database is locked" in str(error.orig)


def _may_try_again(error: DBAPIError) -> bool:
    return _sqlstate(error) in _TRY_AGAIN


def _sqlstate(error: DBAPIError) -> str | None:
    return getattr(error.orig, "sqlstate", None)
