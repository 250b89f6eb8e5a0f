"""Moving everything that a visit takes up by the same span: the same people, rooms and order, at another instant.

Whether anything stands in the way is decided here, under the caller's locks; why it is to move is the caller's affair.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Row, Table, select, update
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.errors import LostRace
from scheduler.models import Occupancy, Resource
from scheduler.services.repacking import repacked
from scheduler.services.sheet import guarded

_ROWS = cast("Table", Occupancy.__table__)


class InTheWay(Exception):
    """The visit cannot be moved so: `detail` says what stands in the way. The savepoint is to be undone."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


def shift(session: Session, call: Call, appointment_id: UUID, delta: timedelta) -> None:
    """Move the visit's occupancies by `delta`, units being numbered anew where they must. Its resources are locked.

    Raises InTheWay when somebody or something is taken or away then; what was written is to be undone by the caller.
    """
    mine = _ROWS.c.organization_id == call.organization_id, _ROWS.c.appointment_id == appointment_id
    rows = session.execute(select(_ROWS).where(*mine).order_by(_ROWS.c.resource_id, _ROWS.c.starts_at)).all()
    ids = {row.resource_id for row in rows}
    known = select(Resource.id, Resource.units, Resource.name, Resource.kind).where(
        Resource.organization_id == call.organization_id, Resource.id.in_(ids)
    )
    resources = {found.id: found for found in session.execute(known)}
    # The guard looks at each row by itself: what moves is out of its sight until it has arrived.
    session.execute(update(_ROWS).where(*mine, _ROWS.c.blocking).values(blocking=False))
    for row in rows:
        start, end, whose = row.starts_at + delta, row.ends_at + delta, resources[row.resource_id]
        unit = row.unit
        if row.role != "patient" and _is_away(session, call, row.resource_id, start, end):
            raise InTheWay(f"{whose.name} is away at its new time.")
        if row.blocking:
            unit = _unit(session, call, row, whose, start, end)
        moved = update(_ROWS).where(*mine, _ROWS.c.id == row.id)
        values = {"starts_at": start, "ends_at": end, "unit": unit, "blocking": row.blocking}
        arriving = moved.values(values)
        guarded(session, partial(session.execute, arriving), [{**row._asdict(), **values}])


def _is_away(session: Session, call: Call, resource_id: UUID, start: datetime, end: datetime) -> bool:
    away = select(_ROWS.c.id).where(*_overlapping(call, resource_id, start, end), _ROWS.c.absence_id.is_not(None))
    return session.execute(away.limit(1)).first() is not None


def _unit(session: Session, call: Call, row: Row[Any], whose: Any, start: datetime, end: datetime) -> int:
    """A unit that is free then: its own, another, or one that numbering anew sets free."""
    blocking = select(_ROWS.c.unit).where(*_overlapping(call, row.resource_id, start, end), _ROWS.c.blocking)
    taken = set(session.scalars(blocking))
    if row.unit not in taken:
        return int(row.unit)
    free = [unit for unit in range(whose.units) if unit not in taken]
    if row.unit < whose.units and free:
        return free[0]
    try:
        if row.unit < whose.units:
            return repacked(session, call, row.resource_id, whose.units, start, end, 1)[1][0]
    except LostRace:
        pass
    who = "The patient" if row.role == "patient" else whose.name
    raise InTheWay(f"{who} is taken at its new time.")


def _overlapping(call: Call, resource_id: UUID, start: datetime, end: datetime) -> tuple[Any, ...]:
    return (
        _ROWS.c.organization_id == call.organization_id,
        _ROWS.c.resource_id == resource_id,
        _ROWS.c.starts_at < end,
        _ROWS.c.ends_at > start,
    )
