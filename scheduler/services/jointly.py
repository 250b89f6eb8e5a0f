"""Selects of different shapes, sent as one statement. What they select is their own concern."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any

from sqlalchemy import Select, String, Text, literal_column, null, select, union_all
from sqlalchemy import cast as as_type
from sqlalchemy.orm import Session
from sqlalchemy.types import TypeEngine

from scheduler.services.ready import Ready

#: From a row of all to the row of one part.
_Cut = Callable[[Any], Any]


class Jointly:
    """Parts that are asked together, of one moment on both databases: each row belongs to one, and has its columns.

    A column of the whole is used by all parts that have one of its type. The order of a part's rows is lost.
    """

    def __init__(self, **parts: Select[Any]) -> None:
        columns = {name: list(part.selected_columns) for name, part in parts.items()}
        kinds: list[TypeEngine[Any]] = []
        places = {name: [*_places(kinds, each)] for name, each in columns.items()}
        self._ready = Ready(
            union_all(
                *(
                    select(*_in_places(name, list(part.subquery(name).c), places[name], kinds))
                    for name, part in parts.items()
                )
            )
        )
        self._cuts = {name: _cut([str(column.key) for column in columns[name]], at) for name, at in places.items()}

    def rows(self, session: Session, values: Mapping[str, Any]) -> dict[str, list[Any]]:
        """The rows of each part, given a value for each parameter of any."""
        found: dict[str, list[Any]] = {name: [] for name in self._cuts}
        for row in self._ready.rows(session, values):
            found[row[0]].append(self._cuts[row[0]](row))
        return found


def _kind(column: Any) -> TypeEngine[Any]:
    """As what a column goes along with others: texts of all lengths are alike."""
    return Text() if isinstance(column.type, String) else column.type


def _places(kinds: list[TypeEngine[Any]], columns: Sequence[Any]) -> list[int]:
    """Where each column goes among all of these kinds, to which what is missing is added."""
    taken: list[int] = []
    for column in columns:
        kind = _kind(column)
        free = (at for at, each in enumerate(kinds) if type(each) is type(kind) and at not in taken)
        place = next(free, len(kinds))
        if place == len(kinds):
            kinds.append(kind)
        taken.append(place)
    return taken


def _in_places(name: str, columns: Sequence[Any], places: Sequence[int], kinds: Sequence[TypeEngine[Any]]) -> list[Any]:
    its = dict(zip(places, columns, strict=True))
    of_all = [
        as_type(its.get(place, null()), kind) if place not in its or isinstance(kind, Text) else its[place]
        for place, kind in enumerate(kinds)
    ]
    named = [column.label(f"column_{place}") for place, column in enumerate(of_all)]
    return [literal_column(f"'{name}'", Text()).label("part"), *named]


def _cut(names: Sequence[str], places: Sequence[int]) -> _Cut:
    kind: Any = namedtuple("Row", names)  # type: ignore[misc] # noqa: PYI024 - the part knows them
    make = kind._make
    if len(places) == 1:
        return lambda row: make((row[places[0] + 1],))
    picked = itemgetter(*(place + 1 for place in places))
    return lambda row: make(picked(row))
