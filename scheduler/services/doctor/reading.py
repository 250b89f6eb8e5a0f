"""How the doctor reads: in streams, and page by page where each row needs further looks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select
from sqlalchemy.orm import Session

#: So many rows are in memory at once.
AT_ONCE = 500


def stream(session: Session, wanted: Select[Any]) -> Iterator[Row[Any]]:
    """The rows, some at a time."""
    # Through the connection: rows of tables, not objects that a session would remember.
    yield from session.connection().execute(wanted.execution_options(yield_per=AT_ONCE))


def batches(session: Session, wanted: Select[Any], key: ColumnElement[UUID]) -> Iterator[Sequence[UUID]]:
    """The ids that are wanted, in order, some at a time, with nothing open between."""
    last: UUID | None = None
    while True:
        chosen = wanted if last is None else wanted.where(key > last)
        ids = session.connection().execute(chosen.order_by(key).limit(AT_ONCE)).scalars().all()
        if not ids:
            return
        yield ids
        last = ids[-1]


def ids(session: Session, wanted: Select[Any]) -> Iterator[str]:
    """The first column as text: the id of whatever is broken."""
    yield from (str(row[0]) for row in stream(session, wanted))
