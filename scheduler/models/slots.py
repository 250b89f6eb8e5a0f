"""Instants counted in five-minute slots since 1970, by the database. What a slot is for is known in core/bitmap."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Integer
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from scheduler.core.bitmap import SLOT_MINUTES

_SECONDS = SLOT_MINUTES * 60
_MICROSECONDS = _SECONDS * 1_000_000


class slot_of(FunctionElement[int]):  # noqa: N801 - it reads as the function that it is
    """The slot that an instant lies in."""

    type = Integer()
    inherit_cache = True


class slot_after(FunctionElement[int]):  # noqa: N801 - the same
    """The first slot that begins at or after an instant."""

    type = Integer()
    inherit_cache = True


def _argument(element: FunctionElement[int]) -> ColumnElement[Any]:
    [argument] = element.clauses
    return argument


@compiles(slot_of)
def _slot_of(element: slot_of, compiler: SQLCompiler, **more: Any) -> str:
    instant = compiler.process(_argument(element), **more)
    return f"CAST(floor(date_part('epoch', {instant}) / {_SECONDS}) AS INTEGER)"


@compiles(slot_after)
def _slot_after(element: slot_after, compiler: SQLCompiler, **more: Any) -> str:
    instant = compiler.process(_argument(element), **more)
    return f"CAST(ceil(date_part('epoch', {instant}) / {_SECONDS}) AS INTEGER)"


# On SQLite an instant is whole microseconds since 1970.
@compiles(slot_of, "sqlite")
def _sqlite_slot_of(element: slot_of, compiler: SQLCompiler, **more: Any) -> str:
    return f"({compiler.process(_argument(element), **more)} / {_MICROSECONDS})"


@compiles(slot_after, "sqlite")
def _sqlite_slot_after(element: slot_after, compiler: SQLCompiler, **more: Any) -> str:
    return f"(({compiler.process(_argument(element), **more)} + {_MICROSECONDS - 1}) / {_MICROSECONDS})"
