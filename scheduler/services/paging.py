"""Keyset pages: a cursor names the last row seen, so that nothing is skipped or shown twice while rows come and go."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from sqlalchemy import Column, Select, literal, tuple_
from sqlalchemy.orm import InstrumentedAttribute, Session

from scheduler.core.call import Call
from scheduler.core.errors import Fault, Invalid
from scheduler.models.base import UtcDateTime

T = TypeVar("T")
#: What a collection is ordered by: attributes of an entity, or columns of a table.
Key = InstrumentedAttribute[Any] | Column[Any]

_READERS: dict[type, Any] = {
    UUID: UUID,
    datetime: datetime.fromisoformat,
    date: date.fromisoformat,
    str: str,
    int: int,
}


@dataclass(frozen=True)
class Page(Generic[T]):
    """One stretch of a collection; `next_cursor` is None on the last."""

    items: Sequence[T]
    next_cursor: str | None = None


def page(
    session: Session,
    call: Call,
    wanted: Select[T],
    keys: Sequence[Key],
    *,
    limit: int,
    cursor: str | None = None,
    descending: bool = False,
) -> Page[T]:
    """The rows of `wanted` (entities, or a table's rows) in the order of `keys`, after the row that `cursor` names.

    `keys` must be columns of either, not null, and unique together: end them with the id. Raises `Invalid`
    (`bad_cursor`) for a cursor that another organization or another collection gave out, or nobody did.
    """
    if cursor is not None:
        bound = tuple_(*(literal(value, key.type) for key, value in zip(keys, _read(call, keys, cursor), strict=True)))
        wanted = wanted.where(tuple_(*keys) < bound if descending else tuple_(*keys) > bound)
    ordered = wanted.order_by(*(key.desc() if descending else key.asc() for key in keys)).limit(limit + 1)
    of_entities = isinstance(keys[0], InstrumentedAttribute)
    rows: Any = session.scalars(ordered).unique().all() if of_entities else session.execute(ordered).all()
    if len(rows) <= limit:
        return Page(rows)
    return Page(rows[:limit], _write(call, keys, rows[limit - 1]))


def _write(call: Call, keys: Sequence[Key], row: Any) -> str:
    values = [getattr(row, key.key) for key in keys]
    plain = [value.isoformat() if isinstance(value, (datetime, date)) else value for value in values]
    plain = [str(value) if isinstance(value, UUID) else value for value in plain]
    text = json.dumps([str(call.organization_id), _collection(keys), plain], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _read(call: Call, keys: Sequence[Key], cursor: str) -> list[Any]:
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        organization, collection, values = json.loads(text)
        if organization != str(call.organization_id) or collection != _collection(keys):
            raise ValueError  # noqa: TRY301 - one way out for whatever is wrong
        return [_value(key, value) for key, value in zip(keys, values, strict=True)]
    except (binascii.Error, ValueError, TypeError, RecursionError) as error:
        raise Invalid([Fault("/cursor", "bad_cursor", "This cursor was not given out for this collection.")]) from error


def _value(key: Key, value: Any) -> Any:
    kind = datetime if isinstance(key.type, UtcDateTime) else key.type.python_type
    if not isinstance(value, int if kind is int else str) or "\0" in str(value):
        raise TypeError
    str(value).encode()  # half a character is a ValueError here, and the driver's business nowhere
    found = _READERS[kind](value)
    if isinstance(found, datetime) and found.utcoffset() is None:
        raise ValueError
    if isinstance(found, int) and not -(2**31) <= found < 2**31:
        raise ValueError
    return found


def _collection(keys: Sequence[Key]) -> str:
    first = keys[0]
    table = first.class_.__tablename__ if isinstance(first, InstrumentedAttribute) else first.table.name
    return ".".join([table, *(key.key for key in keys)])
