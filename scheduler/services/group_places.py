"""Groups that have places: which begin in a span with a free one, and which are full. Changes nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import ColumnElement, Table, and_, exists, func, or_, select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.errors import Reason
from scheduler.models import Group, GroupPlace, Hold, Occupancy

_PLACES = cast("Table", GroupPlace.__table__)
_HOLDS = cast("Table", Hold.__table__)

#: (resource, selector, start, end) of who and what serves.
Served = tuple[UUID, str, datetime, datetime]


@dataclass(frozen=True)
class OpenGroup:
    """A group that has room for one more, and who serves it."""

    id: UUID
    starts_at: datetime
    free: int
    maximum: int
    served: tuple[Served, ...] = ()


def joinable(
    session: Session,
    call: Call,
    location_id: UUID,
    visit_type: str,
    span: tuple[datetime, datetime],
    *,
    moving: UUID | None = None,
    own_hold: UUID | None = None,
) -> list[OpenGroup]:
    """The groups with a free place that begin in the span, the fullest last; in one statement.

    The place of the appointment that moves, or of the caller's own hold, counts as free. A group that is served by
    whoever the appointment that moves takes up is none: there would be nobody left in it.
    """
    free = (
        select(func.count())
        .select_from(GroupPlace)
        .where(
            GroupPlace.organization_id == Group.organization_id,
            GroupPlace.group_id == Group.id,
            is_free(call, moving, own_hold),
        )
        .correlate(Group)
        .scalar_subquery()
    )
    rows = session.execute(
        _staffed(free, moving)
        .where(
            Group.organization_id == call.organization_id,
            Group.location_id == location_id,
            Group.visit_type == visit_type,
            Group.status == "open",
            Group.starts_at >= span[0],
            Group.starts_at < span[1],
        )
        .order_by(Group.id)
    )
    found: dict[UUID, OpenGroup] = {}
    for row in rows:
        known = found.get(row.id) or OpenGroup(row.id, row.starts_at, row.free, row.maximum)
        served = (row.resource_id, row.role, row.begins, row.ends)
        found[row.id] = replace(known, served=(*known.served, served))
    return sorted((each for each in found.values() if each.free), key=lambda each: (-each.free, each.id))


def taken_at(
    session: Session, call: Call, location_id: UUID, visit_type: str, start: datetime, *, own_hold: UUID | None = None
) -> Reason | None:
    """Why no group that begins then has a place: it is full, or somebody holds the time to begin it."""
    most = _full_at(session, call, location_id, visit_type, start, own_hold)
    if most is not None:
        return Reason("group_full", f"All {most} places of the group at that time are taken.", start=start)
    until = _kept_until(session, call, location_id, visit_type, start, own_hold)
    if until is None:
        return None
    detail = "Somebody holds this time to begin a group with: its other places can be had once they have booked."
    return Reason("group_held", detail, start=start, end=until.astimezone(start.tzinfo))


def _full_at(
    session: Session, call: Call, location_id: UUID, visit_type: str, start: datetime, own_hold: UUID | None
) -> int | None:
    """How many places the groups that begin then have, when there are such groups and none has a free one."""
    wanted = (
        select(Group.id, Group.maximum, func.count().filter(is_free(call, own_hold=own_hold)).label("free"))
        .join(
            GroupPlace,
            and_(GroupPlace.organization_id == Group.organization_id, GroupPlace.group_id == Group.id),
        )
        .where(
            Group.organization_id == call.organization_id,
            Group.location_id == location_id,
            Group.visit_type == visit_type,
            Group.status == "open",
            Group.starts_at == start,
        )
        .group_by(Group.id, Group.maximum)
    )
    known = session.execute(wanted).all()
    return None if not known or any(row.free for row in known) else sum(row.maximum for row in known)


def _kept_until(
    session: Session, call: Call, location_id: UUID, visit_type: str, start: datetime, own_hold: UUID | None
) -> datetime | None:
    """Until when somebody else may hold that start to begin a group; None when nobody does."""
    wanted = select(func.max(_HOLDS.c.expires_at)).where(
        _HOLDS.c.organization_id == call.organization_id,
        _HOLDS.c.location_id == location_id,
        _HOLDS.c.visit_type == visit_type,
        _HOLDS.c.starts_at == start,
        _HOLDS.c.ended_at.is_(None),
        _HOLDS.c.expires_at > call.now,
    )
    if own_hold is not None:
        wanted = wanted.where(_HOLDS.c.id != own_hold)
    until: datetime | None = session.execute(wanted).scalar()
    return until


def is_free(call: Call, appointment_id: UUID | None = None, own_hold: UUID | None = None) -> ColumnElement[bool]:
    """Nobody has the place, or whoever asks; a hold that is over keeps nothing."""
    living = exists().where(
        _HOLDS.c.organization_id == _PLACES.c.organization_id,
        _HOLDS.c.id == _PLACES.c.hold_id,
        _HOLDS.c.ended_at.is_(None),
        _HOLDS.c.expires_at > call.now,
    )
    kept = and_(_PLACES.c.hold_id.is_not(None), living)
    mine = [] if own_hold is None else [_PLACES.c.hold_id == own_hold]
    nobody = and_(_PLACES.c.appointment_id.is_(None), or_(~kept, *mine))
    return nobody if appointment_id is None else or_(nobody, _PLACES.c.appointment_id == appointment_id)


def _staffed(free: ColumnElement[int], moving: UUID | None) -> Any:
    """Each group with who and what serves it, a row for each: whatever one of its visits takes up."""
    carried = and_(
        GroupPlace.organization_id == Group.organization_id,
        GroupPlace.group_id == Group.id,
        GroupPlace.appointment_id.is_not(None),
    )
    taken = and_(
        Occupancy.organization_id == GroupPlace.organization_id,
        Occupancy.appointment_id == GroupPlace.appointment_id,
        Occupancy.role != "patient",
        *([] if moving is None else [Occupancy.appointment_id != moving]),
    )
    return (
        select(
            Group.id,
            Group.starts_at,
            Group.maximum,
            free.label("free"),
            Occupancy.resource_id,
            Occupancy.role,
            Occupancy.starts_at.label("begins"),
            Occupancy.ends_at.label("ends"),
        )
        .join(GroupPlace, carried)
        .join(Occupancy, taken)
    )
