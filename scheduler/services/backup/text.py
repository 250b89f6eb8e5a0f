"""The text of a row, which is PostgreSQL's own for COPY: a line a row, tabs between, a mark for nothing.

PostgreSQL writes and reads it itself. For SQLite it is made here of what lies in the file, and turned back.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, Boolean, Column, Date, Integer, String, Uuid

from scheduler.models.base import UtcDateTime

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NOTHING = "\\N"
_ESCAPED = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}
_RAW = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_TO_ESCAPE = re.compile(r"[\\\t\n\r]")
_ESCAPES = re.compile(r"\\(.)", re.DOTALL)
_KINDS: tuple[tuple[type, str], ...] = (
    (UtcDateTime, "instant"), (Uuid, "id"), (Boolean, "truth"), (Date, "day"), (JSON, "document"), (Integer, "number"),
    (String, "text"),
)  # fmt: skip


def kind_of(column: Column[Any]) -> str:
    """What kind of values the column holds."""
    return next(kind for known, kind in _KINDS if isinstance(column.type, known))


def line(values: Sequence[Any], kinds: Sequence[str]) -> str:
    """A row of SQLite's as text."""
    return "\t".join(map(_written, values, kinds)) + "\n"


def row(text: str, kinds: Sequence[str]) -> list[Any]:
    """The same back."""
    return [
        _READ[kind](_unescaped(part)) if part != _NOTHING else None
        for part, kind in zip(text.split("\t"), kinds, strict=True)
    ]


def _written(value: Any, kind: str) -> str:
    if value is None:
        return _NOTHING
    if kind == "id":
        return str(UUID(value))
    if kind == "instant":
        return (_EPOCH + timedelta(microseconds=value)).isoformat(" ")
    if kind == "truth":
        return "t" if value else "f"
    return _TO_ESCAPE.sub(lambda found: _ESCAPED[found.group()], str(value))


def _unescaped(text: str) -> str:
    return _ESCAPES.sub(lambda found: _RAW.get(found.group(1), found.group(1)), text) if "\\" in text else text


def _instant(text: str) -> int:
    return (datetime.fromisoformat(text) - _EPOCH) // timedelta(microseconds=1)


_READ: dict[str, Callable[[str], Any]] = {
    "id": lambda text: UUID(text).hex,
    "instant": _instant,
    "truth": lambda text: text == "t",
    "number": int,
    "day": str,
    "document": str,
    "text": str,
}
