"""Book-keeping under the locks: numbering units anew, and giving visits other rooms of their pool.

Nobody's time or people change here, and no appointment's revision. The guard looks at each row by itself, so the rows
concerned are set aside (`blocking` false), rewritten, and set back.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Row, Table, select, update
from sqlalchemy.orm import Session

from scheduler.core.availability import Taking
from scheduler.core.bitmap import Timeline
from scheduler.core.call import Call
from scheduler.core.columns import Stay, Stays
from scheduler.core.errors import LostRace
from scheduler.core.packing import Held, connected, repack
from scheduler.core.rooms import RoomPool, rebound
from scheduler.models import Occupancy
from scheduler.services.busy import LONGEST
from scheduler.services.calendars import Loaded
from scheduler.services.sheet import guarded

_ROWS = cast("Table", Occupancy.__table__)

CHANGED = "Someone else booked the same people or room at the same moment."
REBOUND = "The visit was given another room at the same moment."


def is_near(held: Held, start: datetime, end: datetime) -> bool:
    """Whether re-packing around [start, end) looks at it."""
    return held.start < end + LONGEST and start - LONGEST < held.end


def repacked(
    session: Session,
    call: Call,
    resource_id: UUID,
    total: int,
    start: datetime,
    end: datetime,
    wanted: int,
    time_zone: str = "UTC",
) -> tuple[list[Held], list[int]]:
    """Number the resource's units anew around [start, end) so that `wanted` whole ones are free; says which.

    Other visits keep their times and people; only the book-keeping changes. The guard looks at each row by itself, so
    the rows are set aside (`blocking` false), renumbered, and set back. Should it refuse all the same, it does so in
    times of that zone.
    """
    mine = _ROWS.c.organization_id == call.organization_id, _ROWS.c.resource_id == resource_id
    rows = session.execute(
        select(_ROWS).where(
            *mine,
            _ROWS.c.blocking,
            _ROWS.c.unit < total,
            _ROWS.c.starts_at < end + LONGEST,
            _ROWS.c.starts_at > start - 2 * LONGEST,
            _ROWS.c.ends_at > start - LONGEST,
        )
    ).all()
    spans: list[tuple[UUID | int, datetime, datetime]] = [(row.id, row.starts_at, row.ends_at) for row in rows]
    # The newcomer is numbered with the others; plain integers are its keys.
    cluster = connected([*spans, *((ordinal, start, end) for ordinal in range(wanted))], start, end)
    chosen = repack(cluster, total)
    if chosen is None:  # the look before the lock said otherwise
        raise LostRace(CHANGED)
    moving = [row for row in rows if chosen.get(row.id, row.unit) != row.unit]
    ids = [row.id for row in moving]
    session.execute(update(_ROWS).where(*mine, _ROWS.c.id.in_(ids)).values(blocking=False))
    for row in moving:
        session.execute(update(_ROWS).where(*mine, _ROWS.c.id == row.id).values(unit=chosen[row.id]))
    back = update(_ROWS).where(*mine, _ROWS.c.id.in_(ids)).values(blocking=True)
    theirs = [{**row._asdict(), "unit": chosen[row.id]} for row in moving]
    guarded(session, partial(session.execute, back), theirs, time_zone)
    held = [Held(chosen.get(row.id, row.unit), row.starts_at, row.ends_at) for row in rows]
    return held, [chosen[ordinal] for ordinal in range(wanted)]


def rebind(
    session: Session, call: Call, loaded: Loaded, taking: Taking, held: Mapping[UUID, list[Held]], *, fixed: bool
) -> tuple[UUID, dict[UUID, list[Held]]]:
    """Free a room of the taking's pool by moving other visits to other rooms of it: that room, and what is held now.

    All rooms of the pool are locked by the caller. When it is `fixed`, the taking's own room is freed. Raises LostRace
    when no way is found any more.
    """
    timeline = loaded.site.timeline
    start, end = timeline.instant(taking.start), timeline.instant(taking.end)
    rows = _pool_rows(session, call, taking.pool, start, end)
    # What overlaps by an override has a unit beyond the room's own, and stays where it is.
    seated = Stays.of(_stay(row, timeline) for row in rows if row.unit == 0).settled(timeline.slot(call.now))
    away = {room: loaded.site.calendars[room].absent for room in taking.pool}
    pool = RoomPool(taking.pool, lambda: seated, away)
    wanted = taking.resource_id if fixed else None
    chosen = rebound(pool, Stay(None, wanted, taking.start, taking.end, fixed))
    if chosen is None:
        raise LostRace(CHANGED)
    room_of = {row.id: row.resource_id if row.unit else chosen.get(_owner(row), row.resource_id) for row in rows}
    moving = [row for row in rows if room_of[row.id] != row.resource_id]
    mine = _ROWS.c.organization_id == call.organization_id
    ids = [row.id for row in moving]
    session.execute(update(_ROWS).where(mine, _ROWS.c.id.in_(ids)).values(blocking=False))
    for row in moving:
        session.execute(update(_ROWS).where(mine, _ROWS.c.id == row.id).values(resource_id=room_of[row.id]))
    back = update(_ROWS).where(mine, _ROWS.c.id.in_(ids)).values(blocking=True)
    theirs = [{**row._asdict(), "resource_id": room_of[row.id]} for row in moving]
    guarded(session, partial(session.execute, back), theirs, loaded.site.time_zone)
    now = {room: [each for each in held.get(room, ()) if not is_near(each, start, end)] for room in taking.pool}
    for row in rows:
        now[room_of[row.id]].append(Held(row.unit, row.starts_at, row.ends_at))
    return chosen[None], {**held, **now}


def _stay(row: Row[Any], timeline: Timeline) -> Stay:
    first, past = timeline.slot(row.starts_at), timeline.slot_after(row.ends_at)
    return Stay(_owner(row), row.resource_id, first, past, bool(row.fixed))


def _owner(row: Row[Any]) -> UUID:
    return row.appointment_id or row.hold_id  # type: ignore[no-any-return]


def _pool_rows(session: Session, call: Call, rooms: tuple[UUID, ...], start: datetime, end: datetime) -> list[Row[Any]]:
    chosen = select(_ROWS).where(
        _ROWS.c.organization_id == call.organization_id,
        _ROWS.c.resource_id.in_(rooms),
        _ROWS.c.blocking,
        _ROWS.c.starts_at < end + LONGEST,
        _ROWS.c.starts_at > start - 2 * LONGEST,
        _ROWS.c.ends_at > start - LONGEST,
    )
    return list(session.execute(chosen.order_by(_ROWS.c.starts_at)))
