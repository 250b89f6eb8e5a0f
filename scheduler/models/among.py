"""Conditions that each database says in its own words: a column holds one of many values, a list of objects a code.

Of many values there is one text of the statement, and so one plan, however many they are.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any, Self

from sqlalchemy import Boolean, ColumnElement, Dialect, String, Uuid, bindparam, literal
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine, UserDefinedType


class _Ids(UserDefinedType[str]):
    """Ids for PostgreSQL as one text: the driver would look at each whether it needs quotes."""

    cache_ok = True
    render_bind_cast = True

    def get_col_spec(self, **_more: Any) -> str:
        """What the text is read as."""
        return "UUID[]"


class _Values(TypeDecorator[Collection[Any]]):
    """UUIDs or texts: an array on PostgreSQL, the text of a JSON list on SQLite."""

    impl = String
    cache_ok = True

    def __init__(self, *, of_ids: bool) -> None:
        super().__init__()
        self.of_ids = of_ids

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """The array, or the text."""
        if dialect.name == "sqlite":
            return dialect.type_descriptor(String())
        return _Ids() if self.of_ids else dialect.type_descriptor(ARRAY(String()))

    def process_bind_param(self, value: Collection[Any] | None, dialect: Dialect) -> Any:
        """As the database takes it: an id is its 32 digits, among which there is nothing that JSON would escape."""
        if not self.of_ids:
            return json.dumps(list(value or ())) if dialect.name == "sqlite" else list(value or ())
        digits = [each.hex for each in value or ()]
        if dialect.name != "sqlite":
            return f"{{{','.join(digits)}}}"
        return '["' + '","'.join(digits) + '"]' if digits else "[]"


class _Condition(FunctionElement[bool]):
    """A condition as it is written: for SQLite others would put `= 1` behind it, of which no index knows anything."""

    type = Boolean()

    def self_group(self, against: Any = None) -> Self:  # noqa: ARG002 - SQLAlchemy's word
        """As it is."""
        return self


class among(_Condition):  # noqa: N801 - it reads as the condition that it is
    """`among(column, "name")`: the column holds one of the values of that parameter."""

    inherit_cache = True

    def __init__(self, column: ColumnElement[Any] | InstrumentedAttribute[Any], name: str) -> None:
        super().__init__(column, bindparam(name, type_=_Values(of_ids=isinstance(column.type, Uuid))))


@compiles(among)
def _among(element: among, compiler: SQLCompiler, **more: Any) -> str:
    column, values = (compiler.process(each, **more) for each in element.clauses)
    return f"{column} = ANY ({values})"


@compiles(among, "sqlite")
def _sqlite_among(element: among, compiler: SQLCompiler, **more: Any) -> str:
    column, values = (compiler.process(each, **more) for each in element.clauses)
    return f"{column} IN (SELECT value FROM json_each({values}))"  # noqa: S608 - compiled, not said by anybody


class codes(_Condition):  # noqa: N801 - it reads as the condition that it is
    """`codes(column, "nurse")`: one of the objects in that JSON list has this `code`."""

    inherit_cache = True

    def __init__(self, column: ColumnElement[Any], code: str) -> None:
        super().__init__(column, literal(code, String()))


@compiles(codes)
def _codes(element: codes, compiler: SQLCompiler, **more: Any) -> str:
    column, code = (compiler.process(each, **more) for each in element.clauses)
    return f"{column} @> jsonb_build_array(jsonb_build_object('code', {code}))"


@compiles(codes, "sqlite")
def _sqlite_codes(element: codes, compiler: SQLCompiler, **more: Any) -> str:
    column, code = (compiler.process(each, **more) for each in element.clauses)
    held = f"SELECT value ->> '$.code' FROM json_each({column})"  # noqa: S608 - compiled, not said by anybody
    return f"{code} IN ({held})"
