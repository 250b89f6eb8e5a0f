"""New rows of several tables, gathered and written down at once: one statement on PostgreSQL. What they say is others'.

A statement costs a process more than the rows in it, so that a booking, its occupancies, its messages and its audit
event go to the database together. Foreign keys are checked when the statement ends; the guard looks at each row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any, NamedTuple, TypeVar, cast

from sqlalchemy import Insert, Table, insert, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, make_transient_to_detached
from sqlalchemy.orm.attributes import manager_of_class

from scheduler.core.errors import LostRace
from scheduler.models import NO_DOUBLE_BOOKING, Base, Occupancy
from scheduler.services.collisions import collision
from scheduler.services.given import as_text, given
from scheduler.services.ready import Ready

Row = TypeVar("Row", bound=Base)

_OCCUPANCIES = cast("Table", Occupancy.__table__)


class _Part(NamedTuple):
    """Rows of one table that have the same columns; `once` leaves out what is there already."""

    table: Table
    columns: tuple[str, ...]
    once: bool


class Sheet:
    """Rows that wait to be written in the order in which they came; nobody can read them until they are put down."""

    def __init__(self) -> None:
        self._parts: dict[_Part, list[Mapping[str, Any]]] = {}
        self._new: list[Base] = []
        #: In whose offset a refusal tells its times.
        self.time_zone = "UTC"

    def add(self, table: Table, rows: Sequence[Mapping[str, Any]], *, once: bool = False) -> None:
        """Rows of one table, alike in their columns; no default is filled in."""
        if rows:
            self._parts.setdefault(_Part(table, tuple(rows[0]), once), []).extend(rows)

    def add_new(self, row: Base) -> None:
        """A new object with its defaults; from when it is put down on, it is the session's like any other."""
        values = vars(row)
        constants, made = _defaults(type(row))
        own = {**constants, **{name: value for name, value in values.items() if name in constants}}
        own |= {name: make() for name, make in made.items() if name not in values}
        values.update(own)
        self.add(cast("Table", row.__table__), [own])
        self._new.append(row)

    def put_down(self, session: Session) -> None:
        """Write all that waits. Raises SlotTaken or LostRace; nothing of the transaction may be kept then."""
        if self._parts:
            taking = [row for part, rows in self._parts.items() if part.table is _OCCUPANCIES for row in rows]
            guarded(session, lambda: self._write(session), taking, self.time_zone)
        for row in self._new:
            make_transient_to_detached(row)
            session.add(row)
        self._parts, self._new = {}, []

    def _write(self, session: Session) -> None:
        if session.get_bind().dialect.name == "postgresql":
            rows = as_text({f"rows_{place}": each for place, each in enumerate(self._parts.values())})
            _together(tuple(self._parts)).rows(session, {"rows": rows})
            return
        for part, each in self._parts.items():
            session.execute(_one_by_one(part), each)


def unwritten(of: type[Row], **values: Any) -> Row:
    """A new object with these values, for a sheet: nobody keeps count of what is set before it is written."""
    made: Row = manager_of_class(of).new_instance()
    vars(made).update(values)
    return made


def guarded(
    session: Session,
    act: Callable[[], object],
    taking: Sequence[Mapping[str, Any]] = (),
    time_zone: str = "UTC",
) -> None:
    """Run a write; the names of two guards, and only those, become SlotTaken and LostRace.

    `taking` are the rows of occupancies in it, and the zone is that of the times in a refusal.
    """
    try:
        act()
        session.flush()
    except IntegrityError as error:
        said = str(error.orig)
        # A sharded database appends a number to the constraint's name.
        if NO_DOUBLE_BOOKING in said:
            raise collision(session, error, [row for row in taking if row["blocking"]], time_zone) from error
        if "live_session" in said or "appointments.course_session_id" in said:
            detail = "That session of the course has just been booked."
            raise LostRace(detail) from error
        raise


@cache
def _together(parts: tuple[_Part, ...]) -> Ready:
    """One statement that writes all the parts, from one JSON text."""
    *others, last = [_part(place, part) for place, part in enumerate(parts)]
    return Ready(last.add_cte(*(other.cte(f"part_{place}") for place, other in enumerate(others))))


def _part(place: int, part: _Part) -> Insert:
    rows = given(f"rows_{place}", {name: part.table.c[name].type for name in part.columns}, among="rows")
    chosen = select(text("*")).select_from(rows)  # short: psycopg takes a statement of over 4096 characters apart anew
    made = postgresql.insert(part.table).from_select(list(part.columns), chosen, include_defaults=False)
    return made.on_conflict_do_nothing() if part.once else made


@cache
def _one_by_one(part: _Part) -> Insert:
    return sqlite.insert(part.table).on_conflict_do_nothing() if part.once else insert(part.table)


@cache
def _defaults(of: type[Base]) -> tuple[Mapping[str, Any], Mapping[str, Callable[[], Any]]]:
    """What stands in each column of a mapped class when nothing was said; and what makes it, where it is made."""
    constants: dict[str, Any] = {}
    made: dict[str, Callable[[], Any]] = {}
    for each in cast("Table", of.__table__).columns:
        default: Any = each.default
        is_made = default is not None and default.is_callable
        constants[each.key] = None if default is None or is_made else default.arg
        if is_made:
            made[each.key] = partial(default.arg, None)
    return constants, made
