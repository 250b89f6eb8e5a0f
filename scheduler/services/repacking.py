"""Book-keeping under the locks: numbering units anew, and giving visits other rooms of their pool.

Nobody's time or people change here, and no appointment's revision. The guard looks at each row by itself, so the rows
concerned are set aside (`blocking` false), rewritten, and set back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
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
from scheduler.core.intervals import Span
from scheduler.core.packing import Held, connected, repack
from scheduler.core.rooms import RoomPool, rebound
from scheduler.models import Absence, Occupancy
from scheduler.services.busy import LONGEST
from scheduler.services.calendars import Loaded
from scheduler.services.collisions import why_taken
from scheduler.services.sheet import guarded

_ROWS = cast("Table", Occupancy.__table__)

CHANGED = "Someone else booked the same people or room at the same moment."
REBOUND = "The visit was given another room at the same moment."

#: How often a look is widened, by a day or two each time: that nothing is free for so long is no clinic's day.
_WIDER = 30


@dataclass(frozen=True)
class Near:
    """What was looked at: all that is taken in [first, past), and so all that hangs together with the visit."""

    first: datetime
    past: datetime
    rows: Sequence[Row[Any]]

    def without(self, held: Iterable[Held]) -> list[Held]:
        """Those that were not looked at."""
        return [each for each in held if each.end <= self.first or self.past <= each.start]


def repacked(
    session: Session,
    call: Call,
    resource_id: UUID,
    total: int,
    start: datetime,
    end: datetime,
    wanted: int,
    *,
    held: Sequence[Held] = (),
    time_zone: str = "UTC",
) -> tuple[list[Held], list[int]]:
    """Number the units anew so that `wanted` whole ones are free in [start, end): what is held now, and these.

    What was `held` stands where nothing was looked at. Other visits keep their times and people; only the book-keeping
    changes. The guard looks at each row by itself, so the rows are set aside (`blocking` false), renumbered, and set
    back. Should it refuse all the same, it does so in times of that zone.
    """
    mine = _ROWS.c.organization_id == call.organization_id, _ROWS.c.resource_id == resource_id
    near = _near(session, call, [resource_id], start, end)
    rows = [row for row in near.rows if row.unit < total]  # extra units are numbered by themselves
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
    now = [Held(chosen.get(row.id, row.unit), row.starts_at, row.ends_at) for row in near.rows]
    return [*near.without(held), *now], [chosen[ordinal] for ordinal in range(wanted)]


def rebind(
    session: Session, call: Call, loaded: Loaded, taking: Taking, held: Mapping[UUID, list[Held]], *, fixed: bool
) -> tuple[UUID, dict[UUID, list[Held]]]:
    """Free a room of the taking's pool by moving other visits to other rooms of it: that room, and what is held now.

    All rooms of the pool are locked by the caller. When it is `fixed`, the taking's own room is freed. Raises LostRace
    when no way is found any more.
    """
    start, end = loaded.site.timeline.instant(taking.start), loaded.site.timeline.instant(taking.end)
    sight = _Sight(session, call, loaded, taking.pool)
    around = Timeline.covering(start - LONGEST, end + LONGEST)
    wanted = taking.resource_id if fixed else None
    chosen = rebound(sight.pool(around), Stay(None, wanted, around.slot(start), around.slot_after(end), fixed))
    near = sight.near
    rows = near.rows
    if chosen is None:
        raise LostRace(CHANGED, reason=why_taken(taking.selector, wanted, start, end, loaded.site.time_zone))
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
    now = {room: near.without(held.get(room, ())) for room in taking.pool}
    for row in rows:
        now[room_of[row.id]].append(Held(row.unit, row.starts_at, row.ends_at))
    return chosen[None], {**held, **now}


@dataclass
class _Sight:
    """The rooms of a pool as they are now, however far one looks."""

    session: Session
    call: Call
    loaded: Loaded
    rooms: tuple[UUID, ...]
    #: What was looked at last.
    near: Near = field(init=False)

    def pool(self, timeline: Timeline) -> RoomPool:
        """As they are over a timeline."""
        rows = _taken(self.session, self.call, self.rooms, timeline.origin, timeline.end)
        self.near = Near(timeline.origin, timeline.end, rows)
        # What overlaps by an override has a unit beyond the room's own, and stays where it is.
        own = Stays.of(_stay(row, timeline) for row in rows if row.unit == 0)
        seated = own.settled(timeline.slot(self.call.now))

        def farther(days: int) -> tuple[RoomPool, int]:
            wide = timeline.wider(days)
            return self.pool(wide), -timeline.slot(wide.origin)

        return RoomPool(self.rooms, lambda: seated, self._away(timeline), slots=timeline.slots, farther=farther)

    def _away(self, timeline: Timeline) -> dict[UUID, int]:
        """When each of the rooms is not to be had."""
        known = self.loaded.site.timeline
        if known.origin <= timeline.origin and timeline.end <= known.end:
            since = known.slot(timeline.origin)
            return {room: self.loaded.site.calendars[room].absent >> since for room in self.rooms}
        return _away(self.session, self.call, self.rooms, timeline)


def _stay(row: Row[Any], timeline: Timeline) -> Stay:
    first, past = timeline.slot(row.starts_at), timeline.slot_after(row.ends_at)
    return Stay(_owner(row), row.resource_id, first, past, bool(row.fixed))


def _owner(row: Row[Any]) -> UUID:
    return row.appointment_id or row.hold_id  # type: ignore[no-any-return]


def _near(session: Session, call: Call, ids: Sequence[UUID], start: datetime, end: datetime) -> Near:
    """What these resources have taken around [start, end), as far as it hangs together with that, and some more.

    Where visits overlap each other for days, those at the edge of a look would be given what others have beyond it.
    """
    first, past = start - LONGEST, end + LONGEST
    for _ in range(_WIDER):
        rows = _taken(session, call, ids, first, past)
        cluster = connected([(row.id, row.starts_at, row.ends_at) for row in rows], start, end)
        low, high = min((each[1] for each in cluster), default=start), max((each[2] for each in cluster), default=end)
        if first <= low and high <= past:
            break
        first, past = min(first, low - LONGEST), max(past, high + LONGEST)
    return Near(first, past, rows)


def _taken(session: Session, call: Call, ids: Sequence[UUID], first: datetime, past: datetime) -> Sequence[Row[Any]]:
    """What these resources have taken in [first, past)."""
    return session.execute(
        select(_ROWS)
        .where(
            _ROWS.c.organization_id == call.organization_id,
            _ROWS.c.resource_id.in_(ids),
            _ROWS.c.blocking,
            _ROWS.c.starts_at < past,
            _ROWS.c.starts_at > first - LONGEST,
            _ROWS.c.ends_at > first,
        )
        .order_by(_ROWS.c.starts_at)
    ).all()


def _away(session: Session, call: Call, rooms: Sequence[UUID], timeline: Timeline) -> dict[UUID, int]:
    """When each of the rooms is not to be had."""
    wanted = select(Absence.resource_id, Absence.starts_at, Absence.ends_at).where(
        Absence.organization_id == call.organization_id,
        Absence.resource_id.in_(rooms),
        Absence.ends_at > timeline.origin,
        Absence.starts_at < timeline.end,
    )
    spans: dict[UUID, list[Span]] = {room: [] for room in rooms}
    for row in session.execute(wanted):
        spans[row.resource_id].append(Span(row.starts_at, row.ends_at))
    return {room: timeline.touched(each) for room, each in spans.items()}
