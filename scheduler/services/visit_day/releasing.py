"""Giving back the time of a visit that does not take place or does not go on. Who may then have it is elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Row, Table, and_, delete, select, update
from sqlalchemy.orm import Session

from scheduler.core.bitmap import Timeline
from scheduler.core.call import Call
from scheduler.core.errors import LostRace
from scheduler.core.visit import VisitType
from scheduler.models import Appointment, Occupancy, Resource
from scheduler.services import groups, openings
from scheduler.services.busy import Left
from scheduler.services.catalog import visit_kind
from scheduler.services.locks import bump_calendars, lock_resources
from scheduler.services.occupying import release, resources_of
from scheduler.services.repacking import REBOUND

_ROWS = cast("Table", Occupancy.__table__)
_RESOURCES = cast("Table", Resource.__table__)


def give_back(session: Session, call: Call, row: Appointment) -> None:
    """Free everything that the visit takes up. Its appointment is locked by the caller."""
    groups.leave(session, call, row)
    ids = lock_own(session, call, row.id)
    release(session, call, row.id, ids)
    openings.note(session, call, row.location_id, row.starts_at, row.ends_at)
    bump_calendars(session, call, ids, locked=True)


def cut_short(session: Session, call: Call, row: Appointment, kind: VisitType, at: datetime) -> None:
    """Free what is left of the visit from `at` on, up to the grid; what turns over afterwards still gets its time."""
    groups.hand_over(session, call, row)
    ids = lock_own(session, call, row.id)
    shorten(session, call, row, kind, at)
    bump_calendars(session, call, ids, locked=True)


def shorten(session: Session, call: Call, row: Appointment, kind: VisitType, at: datetime) -> None:
    """The same for a visit that carries no group, where the caller has locked all that it takes up and bumps it."""
    mine = _ROWS.c.organization_id == call.organization_id, _ROWS.c.appointment_id == row.id
    for held, end in _shortened(session, call, row, kind, at):
        if end <= held.starts_at:
            session.execute(delete(_ROWS).where(*mine, _ROWS.c.id == held.id))
        elif end < held.ends_at:
            session.execute(update(_ROWS).where(*mine, _ROWS.c.id == held.id).values(ends_at=end))


def left_of(session: Session, call: Call, rows: Iterable[Appointment], at: datetime) -> list[Left]:
    """What `shorten` would leave of these visits."""
    return [
        Left(row.id, held.resource_id, held.unit, held.starts_at, end)
        for row in rows
        for kind in [visit_kind(session, call, row.visit_type).visit]
        for held, end in _shortened(session, call, row, kind, at)
        if held.blocking and held.starts_at < end
    ]


def _shortened(
    session: Session, call: Call, row: Appointment, kind: VisitType, at: datetime
) -> list[tuple[Row[Any], datetime]]:
    """Everything that the visit takes up, and when that ends if the visit does at `at`."""
    after = (segment for segment, start, _ in kind.offsets() if start >= kind.minutes)
    trailing = {need.selector for segment in after for need in segment.needs}
    stop = _on_grid(at)
    mine = _ROWS.c.organization_id == call.organization_id, _ROWS.c.appointment_id == row.id
    whose = and_(_RESOURCES.c.organization_id == _ROWS.c.organization_id, _RESOURCES.c.id == _ROWS.c.resource_id)
    found = []
    for held in session.execute(select(_ROWS, _RESOURCES.c.buffer_after_minutes).join(_RESOURCES, whose).where(*mine)):
        turnover = (kind.trail_minutes if held.role in trailing else 0) + held.buffer_after_minutes
        end = min(stop + timedelta(minutes=turnover if row.starts_at < stop else 0), held.ends_at)
        found.append((held, end))
    return found


def keep_rooms(session: Session, call: Call, row: Appointment, *, taken: bool) -> None:
    """The patient sits in these very rooms (`taken`), or does not any more: then others may be given instead."""
    pinned = {pin["selector"] for pin in row.pins}
    rooms = _own_rooms(session, call, row.id)
    if not rooms:
        return
    lock_resources(session, call, set(rooms.values()))
    if _own_rooms(session, call, row.id) != rooms:
        raise LostRace(REBOUND)
    for key in rooms:
        selector, occupancy_id = key
        fixed = taken or selector in pinned
        mine = _ROWS.c.organization_id == call.organization_id, _ROWS.c.id == occupancy_id
        session.execute(update(_ROWS).where(*mine).values(fixed=fixed))
    bump_calendars(session, call, set(rooms.values()), locked=True)


def lock_own(session: Session, call: Call, appointment_id: UUID) -> set[UUID]:
    """Lock everyone and everything that the visit takes up. Raises LostRace when that changed at the same moment."""
    ids = resources_of(session, call, appointment_id)
    lock_resources(session, call, ids)
    if resources_of(session, call, appointment_id) != ids:
        raise LostRace(REBOUND)
    return ids


def _own_rooms(session: Session, call: Call, appointment_id: UUID) -> dict[tuple[str, UUID], UUID]:
    """(selector, occupancy) to the room, for every room that the visit takes up."""
    rows = session.execute(
        select(_ROWS.c.id, _ROWS.c.role, _ROWS.c.resource_id).where(
            _ROWS.c.organization_id == call.organization_id,
            _ROWS.c.appointment_id == appointment_id,
            _ROWS.c.blocking,
            _ROWS.c.role.startswith("room:"),
        )
    )
    return {(row.role, row.id): row.resource_id for row in rows}


def _on_grid(at: datetime) -> datetime:
    """The first instant of the grid at or after `at`."""
    timeline = Timeline.covering(at, at)
    return timeline.instant(timeline.slot_after(at))
