"""The ground that all else stands on: the database's own guards, and that no row points at nothing."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from sqlalchemy import CompoundSelect, Select, String, Table, and_, bindparam, literal, select, text, union_all
from sqlalchemy import cast as as_type
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.models import NO_DOUBLE_BOOKING, Base

_TRIGGERS = ("no_double_booking_insert", "no_double_booking_update", "bounded_insert", "bounded_update")


def guards(session: Session, _call: Call) -> Iterator[str]:
    """Guards that are missing or switched off."""
    if session.get_bind().dialect.name == "sqlite":
        there = set(session.scalars(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")))
        yield from (name for name in _TRIGGERS if name not in there)
        return
    # A sharded database appends a number to the name.
    guard = text("SELECT 1 FROM pg_constraint WHERE contype = 'x' AND convalidated AND conname LIKE :name || '%'")
    if session.execute(guard, {"name": NO_DOUBLE_BOOKING}).first() is None:
        yield NO_DOUBLE_BOOKING


def references(session: Session, call: Call) -> Iterator[str]:
    """Rows that point at rows which are not there, by every foreign key that there is."""
    for wanted in _dangling():
        for row in session.connection().execute(wanted, {"organization": call.organization_id}):
            yield f"{row.whose} {row.key}: {row.name}"


@cache
def _dangling() -> tuple[CompoundSelect[str, str, str], ...]:
    """One statement for each table, made once."""
    tables = [each for each in Base.metadata.sorted_tables if "organization_id" in each.c]
    return tuple(union_all(*_lost(each)) for each in tables if each.foreign_key_constraints)


def _lost(table: Table) -> Iterator[Select[str, str, str]]:
    key = table.primary_key.columns.values()[-1]
    for constraint in sorted(table.foreign_key_constraints, key=lambda each: str(each.name)):
        target = constraint.referred_table.alias("target")
        pairs = [(table.c[each.parent.name], target.c[each.column.name]) for each in constraint.elements]
        mine, theirs = pairs[-1]
        yield (
            select(
                literal(table.name).label("whose"),
                as_type(key, String).label("key"),
                literal(mine.name).label("name"),
            )
            .select_from(table.outerjoin(target, and_(*(one == other for one, other in pairs))))
            .where(table.c.organization_id == bindparam("organization"), theirs.is_(None), mine.is_not(None))
        )
