"""Statements that nearly every request and every claim asks, worked out once: they go straight to the driver's cursor.

It is a cursor of the session's own connection: the same transaction, the same errors, the same listeners. What is left
out is what SQLAlchemy finds out anew each time: which text, which parameters, what kind of result.
"""

from __future__ import annotations

import re
from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any
from uuid import UUID, SafeUUID

import orjson
from sqlalchemy import ARRAY, JSON, ColumnElement, Connection, Dialect, Uuid
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeEngine

from scheduler.models.base import UtcDateTime

#: What a value goes through on its way to the driver.
_Process = Callable[[Any], Any]
#: What all values of a column go through on their way back, at once: a call for each would cost more than its work.
_Column = Callable[[Sequence[Any]], Sequence[Any]]
#: Under which name a connection keeps its cursors.
_CURSORS = "ready"
#: Of an id nobody knows how it was made. To ask the enumeration each time costs as much as to make the id.
_UNKNOWN = SafeUUID.unknown
#: An id lets nobody set what it holds, but by the slots' own hands.
_set_int, _set_is_safe = (UUID.__dict__[slot].__set__ for slot in ("int", "is_safe"))
#: A parameter in the words of SQLAlchemy's dialect, or a per cent sign.
_PARAMETER = re.compile(r"%\((\w+)\)s|%%")


class unseen(FunctionElement[Any]):  # noqa: N801 - it reads as the function that it is
    """A parameter whose value PostgreSQL does not see when it plans, so that one plan serves all values.

    It weighs a plan for any values against plans for the very ones, each time, and where many rows are stored the days
    or people asked for are always fewer than it would guess: a booking's statements were planned anew for each. It can
    be said only where the plan is to be the same for any values, and never of what a partial index is about.
    """

    inherit_cache = True

    def __init__(self, parameter: ColumnElement[Any]) -> None:
        super().__init__(parameter)
        self.type = parameter.type


@compiles(unseen)
def _plain(element: unseen, compiler: SQLCompiler, **more: Any) -> str:
    return compiler.process(element.clauses, **more)


@compiles(unseen, "postgresql")
def _by_itself(element: unseen, compiler: SQLCompiler, **more: Any) -> str:
    """A subquery of its own. With its type, or `ANY` would look for rows in it instead of an array."""
    kind = compiler.dialect.type_compiler_instance.process(element.type)
    return f"(SELECT {compiler.process(element.clauses, **more)})::{kind}"


class Ready:
    """One such statement: a SELECT, or a change with or without RETURNING.

    On PostgreSQL its text must not hang on how many values a parameter has: it takes one array instead of a list for
    IN. On SQLite one whose text does is a statement like any other.
    """

    def __init__(self, statement: Any, *, in_bytes: bool = False, into: Callable[..., Any] | None = None) -> None:
        """With `in_bytes` PostgreSQL sends its values as it has them: for a statement that tells of many in bytes.

        `into` makes a row of its values, in the order of the columns; else it is a tuple that has their names.
        """
        self._statement = statement
        self._in_bytes, self._into = in_bytes, into
        self._told: _Told | None = None

    def rows(self, session: Session, values: Mapping[str, Any]) -> Sequence[Any]:
        """Execute it with a value for each parameter; the rows that it returns, by the names of its columns."""
        connection = session.connection()
        if self._told is None or self._told.dialect is not connection.dialect:
            told = _Told if connection.dialect.name == "postgresql" else _ToldToSqlite
            self._told = told(self._statement, connection.dialect, in_bytes=self._in_bytes, into=self._into)
        return self._told.rows(connection, values)


class _Told:
    """A statement in the words of a database, PostgreSQL's as they stand here, and what its values go through."""

    def __init__(self, statement: Any, dialect: Dialect, *, in_bytes: bool, into: Callable[..., Any] | None) -> None:
        self.dialect = dialect
        self._in_bytes = in_bytes
        self._statement, compiled = statement, statement.compile(dialect=dialect)
        self._is_open = bool(compiled.post_compile_params)
        self._text = str(compiled)
        binds = compiled.binds.items()
        self._constants = {name: each.value for name, each in binds if not each.required}
        outward = {name: _outward(each.type, dialect) for name, each in binds}
        self._outward = [(name, process) for name, process in outward.items() if process]
        self._prepare(compiled)
        columns = statement.exported_columns
        self._returns = bool(columns)
        inward = [_inward(each.type, dialect) for each in columns]
        self._inward = [(place, process) for place, process in enumerate(inward) if process]
        self._into = into
        self._rows_of = _named(columns.keys()) if into is None else lambda found: list(map(into, *found))

    def _prepare(self, _compiled: Any) -> None:
        """Write it as the server wants it, so that the driver has nothing to look for in it."""
        if self._is_open:
            msg = "the text of this statement hangs on its parameters"
            raise TypeError(msg)
        asked = dict.fromkeys(name for name in _PARAMETER.findall(self._text) if name)
        places = {name: f"${place}" for place, name in enumerate(asked, start=1)}
        self._raw: Any = _PARAMETER.sub(lambda found: places[found[1]] if found[1] else "%", self._text).encode()
        self._asked = tuple(asked)

    def rows(self, connection: Connection, values: Mapping[str, Any]) -> Sequence[Any]:
        sent = {**self._constants, **values}
        for name, process in self._outward:
            sent[name] = process(sent[name])
        cursor, told = self._cursor(connection), [sent[name] for name in self._asked]
        listening = connection.engine.dispatch
        shown = self._shown(told) if listening.before_cursor_execute or listening.after_cursor_execute else None
        if listening.before_cursor_execute:
            listening.before_cursor_execute(connection, cursor, self._text, shown, None, False)  # noqa: FBT003
        try:
            rows = self._executed(cursor, told)
        except connection.dialect.loaded_dbapi.Error as error:
            # What SQLAlchemy does with an error of its own: says it in its words, and lets go of a broken connection.
            connection._handle_dbapi_exception(error, self._text, None, None, None)  # noqa: SLF001 - no public word
        if listening.after_cursor_execute:
            listening.after_cursor_execute(connection, cursor, self._text, shown, None, False)  # noqa: FBT003
        return rows

    def _shown(self, told: Sequence[Any]) -> Any:
        """The values as `_text` has its parameters."""
        return dict(zip(self._asked, told, strict=True))

    def _executed(self, cursor: Any, values: list[Any]) -> Sequence[Any]:
        cursor.execute(self._raw, values, binary=self._in_bytes)
        return self._read(cursor)

    def _read(self, cursor: Any) -> Sequence[Any]:
        """The rows that came, read column by column: one process does for all that stands in one."""
        came = cursor.fetchall() if self._returns else ()
        if not came:
            return ()
        columns: list[Sequence[Any]] = list(zip(*came, strict=True))
        for place, process in self._inward:
            columns[place] = process(columns[place])
        return self._rows_of(columns)

    def _cursor(self, connection: Connection) -> Any:
        """Its own cursor of the driver's connection, which keeps what it has learned of parameters and columns."""
        kept = connection.info.setdefault(_CURSORS, {})
        if self not in kept:
            cursor: Any = self.dialect.loaded_dbapi.RawCursor(connection.connection.dbapi_connection)
            cursor.row_factory = lambda _cursor: tuple
            kept[self] = cursor
        return kept[self]


class _ToldToSqlite(_Told):
    """The same in SQLite's words. Its driver keeps statements by itself; a cursor that is kept would hold one open."""

    def _prepare(self, compiled: Any) -> None:
        self._raw, self._asked = self._text, tuple(compiled.positiontup)

    def rows(self, connection: Connection, values: Mapping[str, Any]) -> Sequence[Any]:
        if not self._is_open:
            return super().rows(connection, values)
        result = connection.execute(self._statement, values)
        found = result.all() if result.returns_rows else ()
        return found if self._into is None else [self._into(*row) for row in found]

    def _shown(self, told: Sequence[Any]) -> Any:
        return tuple(told)

    def _executed(self, cursor: Any, values: list[Any]) -> Sequence[Any]:
        cursor.execute(self._raw, values)
        return self._read(cursor)

    def _cursor(self, connection: Connection) -> Any:
        return connection.connection.cursor()


def _outward(kind: TypeEngine[Any], dialect: Dialect) -> _Process | None:
    """What a value of that kind goes through. Ids are written down here: the driver asks each what it is."""
    if isinstance(kind, Uuid):
        return lambda key: None if key is None else f"{key.int:032x}"
    if isinstance(kind, ARRAY) and isinstance(kind.item_type, Uuid):
        return lambda ids: "{" + ",".join([f"{each.int:032x}" for each in ids]) + "}"
    return kind.dialect_impl(dialect).bind_processor(dialect)


def _inward(kind: TypeEngine[Any], dialect: Dialect) -> _Column | None:
    """What the values of a column of that kind go through on their way back."""
    if isinstance(kind, UtcDateTime):
        return kind.column_processor(dialect)
    if dialect.name == "sqlite":
        if isinstance(kind, Uuid):
            return _ids_of
        if isinstance(kind, JSON):
            return partial(_each, orjson.loads)  # as `database` would have it, without being asked what it reads
    process = kind.dialect_impl(dialect).result_processor(dialect, None)
    return partial(_each, process) if process else None


def _each(process: _Process, column: Sequence[Any]) -> Sequence[Any]:
    return [None if value is None else process(value) for value in column]


def _ids_of(column: Sequence[str | None]) -> Sequence[UUID | None]:
    return [None if digits is None else _id_of(digits) for digits in column]


@lru_cache(maxsize=4096)
def _id_of(digits: str) -> UUID:
    """What `UUID(digits)` makes, at half its price: it would look for hyphens, braces and other ways to write one.

    Remembered: rows that are read together name each other, and two that are one object need not be compared.
    """
    made = object.__new__(UUID)
    _set_int(made, int(digits, 16))
    _set_is_safe(made, _UNKNOWN)
    return made


def _named(names: Iterable[str]) -> Callable[[Sequence[Sequence[Any]]], list[Any]]:
    """What makes of columns the rows, each a tuple that has its values by the names of the columns."""
    kind: Any = namedtuple("Row", names, rename=True)  # type: ignore[misc] # noqa: PYI024 - the statement knows them
    make = partial(tuple.__new__, kind)  # its own `__new__`, which is written in Python, would count the values too
    return lambda columns: list(map(make, zip(*columns, strict=True)))
