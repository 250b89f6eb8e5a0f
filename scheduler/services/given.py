"""Rows that a statement is given as one JSON text, on PostgreSQL: many at the price of one. Writes nothing itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

import orjson
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


def as_text(rows: Sequence[Mapping[str, Any]] | Mapping[Any, Any]) -> str:
    """The rows as that parameter wants them, or what else is told of several by name."""
    return orjson.dumps(rows, _instant, orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_NON_STR_KEYS).decode()


@lru_cache(maxsize=512)
def _instant(value: Any) -> str:
    """Remembered: rows that are written together tell of the same few moments."""
    if isinstance(value, datetime) and value.utcoffset() is not None:
        return value.isoformat()
    msg = f"{type(value).__name__} cannot be written"
    raise TypeError(msg)
