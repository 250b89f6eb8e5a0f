"""Rows that a statement is given as one JSON text, on PostgreSQL: many at the price of one. Writes nothing itself."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    JSON,
    ColumnElement,
    String,
    TableValuedAlias,
    Text,
    bindparam,
    cast,
    column,
    func,
    literal_column,
)
from sqlalchemy.types import TypeEngine


def given(name: str, columns: Mapping[str, TypeEngine[Any]], *, among: str | None = None) -> TableValuedAlias:
    """The rows of the parameter of that name, as a table with these columns; `among`: it holds several such by name."""
    rows: ColumnElement[Any] = cast(bindparam(among or name, type_=String()), JSON())
    if among is not None:
        rows = rows.op("->", return_type=JSON())(literal_column(f"'{name}'", Text()))
    return (
        func.json_to_recordset(rows)
        .table_valued(*(column(key, kind) for key, kind in columns.items()), name=f"given_{name}")
        .render_derived(with_types=True)
    )


def as_text(rows: Sequence[Mapping[str, Any]] | Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """The rows as that parameter wants them, or several such by name."""
    return _encode(rows)


@lru_cache(maxsize=512)
def _plain(value: Any) -> str:
    """Remembered: rows that are written together tell of the same few things."""
    if isinstance(value, UUID):
        return value.int.to_bytes(16).hex()  # several times as fast as with hyphens
    if isinstance(value, datetime) and value.utcoffset() is not None:
        return value.isoformat()
    msg = f"{type(value).__name__} cannot be written"
    raise TypeError(msg)


_encode = json.JSONEncoder(default=_plain, ensure_ascii=False, separators=(",", ":"), check_circular=False).encode
