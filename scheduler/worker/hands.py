"""How anything in a worker touches the database, one short transaction at a time; and how it complains."""

from __future__ import annotations

import logging
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from typing import TypeVar
from uuid import UUID

from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.database import transact

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
    """Transactions of one line of work. `moved_at` tells, on the monotonic clock, when something last went forward."""

    def __init__(self, sessions: Sessions, clock: Clock, gate: Gate) -> None:
        self._sessions, self._clock, self._gate = sessions, clock, gate
        self.moved_at = time.monotonic()

    def look(self, work: Callable[[Session, datetime], T]) -> T:
        """What `work` reads: nothing is kept."""
        with self._sessions() as session:
            return work(session, self._clock())

    def transact(self, organization_id: UUID, work: Callable[[Session, Call], T]) -> T:
        """Do `work` for one organization, all of it or none."""
        with self._gate, self._sessions() as session:
            done = transact(session, Call(self._clock(), organization_id, "worker"), work)
        self.moved_at = time.monotonic()
        return done


def complain(what: str, error: Exception) -> None:
    """Log where it happened and its type: the text of an exception may hold an address."""
    where = "".join(traceback.format_tb(error.__traceback__))
    log.error("%s: %s\n%s", what, type(error).__name__, where)
