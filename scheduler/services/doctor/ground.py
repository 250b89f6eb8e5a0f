"""The ground that all else stands on: the database's own guards, and that no row points at nothing."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import ForeignKeyConstraint, Table, and_, select, text
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.models import NO_DOUBLE_BOOKING, Base
from scheduler.services.doctor.reading import stream

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
    for table in Base.metadata.sorted_tables:
        if "organization_id" in table.c:
            for constraint in sorted(table.foreign_key_constraints, key=lambda each: str(each.name)):
                yield from _dangling(session, call, table, constraint)


def _dangling(session: Session, call: Call, table: Table, constraint: ForeignKeyConstraint) -> Iterator[str]:
    target = constraint.referred_table.alias("target")
    pairs = [(table.c[each.parent.name], target.c[each.column.name]) for each in constraint.elements]
    keys = [table.c[column.name] for column in table.primary_key if column.name != "organization_id"]
    wanted = (
        select(*keys)
        .select_from(table.outerjoin(target, and_(*(mine == theirs for mine, theirs in pairs))))
        .where(
            table.c.organization_id == call.organization_id,
            pairs[-1][1].is_(None),
            *(mine.is_not(None) for mine, _ in pairs),
        )
    )
    for row in stream(session, wanted):
        yield f"{table.name} {' '.join(map(str, row))}: {pairs[-1][0].name}"
