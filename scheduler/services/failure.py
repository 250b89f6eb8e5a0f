"""What a failed statement means to whoever asked. Knows the database's words for it, and no status code."""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolExhausted
from sqlalchemy.orm.exc import StaleDataError

from scheduler.core.errors import AlreadyExists, SchedulingError, StaleRevision

_UNIQUE_VIOLATION = "23505"


def refusal(error: Exception) -> SchedulingError | None:
    """The refusal that a failed write amounts to, or None when it is a fault of ours.

    A backstop for races: the service looked before the other request had committed, and the database saw it.
    """
    if isinstance(error, StaleDataError):
        return StaleRevision("Somebody changed this in the meantime.")
    if isinstance(error, IntegrityError) and _is_duplicate(error):
        return AlreadyExists("Something with this key exists already.")
    return None


def of_database(error: Exception) -> DBAPIError | None:
    """The same error when the database driver reported it, else None."""
    return error if isinstance(error, DBAPIError) else None


def is_out_of_reach(error: Exception) -> bool:
    """Whether there is no database to speak to at the moment, or no connection to spare."""
    if isinstance(error, PoolExhausted):
        return True
    # psycopg reports what the server said with an SQLSTATE; without one, no server answered.
    return isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", "") is None


def _is_duplicate(error: IntegrityError) -> bool:
    return getattr(error.orig, "sqlstate", None) == _UNIQUE_VIOLATION or "UNIQUE constraint failed" in str(error.orig)
