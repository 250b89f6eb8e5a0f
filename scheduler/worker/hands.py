"""How anything in a worker touches the database, one short transaction at a time; and how it complains."""

from __future__ import annotations

import logging
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from typing import TypeVar
from uuid import UUID

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, InvalidRequestError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.database import look_afresh, transact

log = logging.getLogger(__name__)

Clock = Callable[[], datetime]
Sessions = Callable[[], Session]
Gate = AbstractContextManager[object]
T = TypeVar("T")


def wall_clock() -> datetime:
    """The present moment, aware UTC."""
    return datetime.now(UTC)


def gate_of(sessions: Sessions) -> Gate:
    """What the threads of one process wait at, so that on SQLite only one of them writes."""
    with sessions() as session:
        # SQLite has one writer. Whoever waits for it in line here does not have to ask again and again there.
        one_writer = session.get_bind().dialect.name == "sqlite"
    return threading.Lock() if one_writer else nullcontext()


class Hands:
    """Transactions of one line of work. On the monotonic clock, `moved_at` tells when something last went forward.

    `failed_at` tells when the database last refused, None for never.
    """

    def __init__(self, sessions: Sessions, clock: Clock, gate: Gate) -> None:
        self._sessions, self._clock, self._gate = sessions, clock, gate
        self.moved_at = time.monotonic()
        self.failed_at: float | None = None

    def look(self, work: Callable[[Session, datetime], T]) -> T:
        """What `work` reads: nothing is kept."""
        with self._noting(), self._sessions() as session:
            look_afresh(session)
            return work(session, self._clock())

    def transact(self, organization_id: UUID, work: Callable[[Session, Call], T]) -> T:
        """Do `work` for one organization, all of it or none."""
        with self._gate, self._noting(), self._sessions() as session:
            look_afresh(session)
            done = transact(session, Call(self._clock(), organization_id, "worker"), work)
        self.moved_at = time.monotonic()
        return done

    @contextmanager
    def _noting(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            if is_away(error):
                self.failed_at = time.monotonic()
            raise


def is_away(error: Exception) -> bool:
    """Whether the database could not be reached, went, or had no time; not that it took offense at what it was told."""
    # The pool says in its own words that a connection which it has just made is gone again.
    is_its = isinstance(error, (DBAPIError, InvalidRequestError, PoolTimeout))
    return is_its and not isinstance(error, (DataError, IntegrityError))


def complain(what: str, error: Exception) -> None:
    """Log where it happened and its type: the text of an exception may hold an address."""
    where = "".join(traceback.format_tb(error.__traceback__))
    log.error("%s: %s\n%s", what, type(error).__name__, where)
