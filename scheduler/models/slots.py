"""Aggregates that say of many rows in one value when they are and whose. What reads them is `services/lines`.

PostgreSQL says it in bytes, as it keeps and sends such values anyway: to write thousands of instants down as numbers
costs more than to find them. SQLite has no bytes to put together and says it in digits.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from scheduler.core.bitmap import SLOT_MINUTES

_MICROSECONDS = SLOT_MINUTES * 60 * 1_000_000


class runs_of(FunctionElement[Any]):  # noqa: N801 - it reads as the function that it is
    """Which unit is taken and when, by the columns of unit, start and end; perhaps another of instants. Not of NULL.

    In bytes: the unit in four, and each instant in eight, as microseconds since 2000; all big-endian. In digits, with
    commas between: unit, the slots since 1970 that the run touches, first and past; and microseconds since then.
    """

    inherit_cache = True


class ids_of(FunctionElement[Any]):  # noqa: N801 - the same
    """The ids that are not NULL, one after the other: sixteen bytes each, or 32 hexadecimal digits."""

    inherit_cache = True


@compiles(runs_of, "postgresql")
def _runs_in_bytes(element: runs_of, compiler: SQLCompiler, **more: Any) -> str:
    unit, *instants = (compiler.process(each, **more) for each in element.clauses)
    told = [f"int4send({unit})", *(f"timestamptz_send({each})" for each in instants)]
    return f"string_agg({' || '.join(told)}, '')"


@compiles(ids_of, "postgresql")
def _ids_in_bytes(element: ids_of, compiler: SQLCompiler, **more: Any) -> str:
    return f"string_agg(uuid_send({compiler.process(element.clauses, **more)}), '')"


# On SQLite an instant is whole microseconds since 1970, and an id 32 digits.
@compiles(runs_of, "sqlite")
def _runs_in_digits(element: runs_of, compiler: SQLCompiler, **more: Any) -> str:
    unit, starts, ends, *instants = (compiler.process(each, **more) for each in element.clauses)
    told = [unit, f"({starts} / {_MICROSECONDS})", f"(({ends} + {_MICROSECONDS - 1}) / {_MICROSECONDS})", *instants]
    between = " || ',' || "
    return f"group_concat({between.join(told)}, ',')"


@compiles(ids_of, "sqlite")
def _ids_in_digits(element: ids_of, compiler: SQLCompiler, **more: Any) -> str:
    return f"group_concat({compiler.process(element.clauses, **more)}, '')"
