"""Groups that have places: which begin in a span with a free one, and which are full. Changes nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Table,
    Text,
    Uuid,
    and_,
    bindparam,
    exists,
    func,
    literal_column,
    or_,
    select,
    union_all,
)
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.errors import LostRace, Reason
from scheduler.core.gathering import OpenGroup, Served
from scheduler.core.lifecycle import LIVE
from scheduler.models import Appointment, Group, GroupPlace, Hold, Occupancy
from scheduler.models.base import UtcDateTime
from scheduler.services.ready import Ready

_GROUPS = cast("Table", Group.__table__)
_PLACES = cast("Table", GroupPlace.__table__)
_TAKEN = cast("Table", Occupancy.__table__)
_VISITS = cast("Table", Appointment.__table__)
_HOLDS = cast("Table", Hold.__table__)


def joinable(session: Session, asked: Mapping[str, Any], left: Collection[UUID | None] = ()) -> list[OpenGroup]:
    """The groups with a free place that begin in the span `asked_for`; in one statement.

    In each of `left` some visit has a place that counts as free; where it is alone, nobody would be left to join.
    """
    session.flush()
    return found_among(_JOINABLE.rows(session, asked), left)


def asked_for(
    call: Call,
    location_id: UUID,
    visit_type: str,
    span: tuple[datetime, datetime],
    *,
    moving: UUID | None = None,
    own_hold: UUID | None = None,
) -> dict[str, Any]:
    """The parameters of `GROUPS`.

    The place of the appointment that moves, or of the caller's own hold, counts as free. A group that is served by
    whoever the appointment that moves takes up is none where nobody would be left in it.
    """
    return {
        "organization": call.organization_id,
        "location": location_id,
        "code": visit_type,
        "first": span[0],
        "past": span[1],
        "moving": moving,
        "own_hold": own_hold,
        "now": call.now,
    }


def found_among(rows: Iterable[Any], left: Collection[UUID | None] = ()) -> list[OpenGroup]:
    """Those with a free place among the rows of `GROUPS`."""
    groups: dict[UUID, tuple[Any, list[Served]]] = {}
    for row in rows:
        served = (row.resource_id, row.role, row.begins, row.ends)
        groups.setdefault(row.id, (row, []))[1].append(served)
    free = {key: row.free + (key in left) for key, (row, _) in groups.items()}
    return [
        OpenGroup(key, row.starts_at, row.ends_at, free[key], row.maximum, tuple(served))
        for key, (row, served) in groups.items()
        if free[key] and not (key in left and free[key] == row.maximum)
    ]


def carried_for_others(session: Session, call: Call, rows: Iterable[Appointment]) -> frozenset[UUID]:
    """Those of the visits that take up the room and the staff of a group which goes on without them.

    No statement is sent where none is in a group.
    """
    grouped = [row.id for row in rows if row.group_id is not None]
    if not grouped:
        return frozenset()
    theirs = _TAKEN.c.organization_id == _PLACES.c.organization_id, _TAKEN.c.appointment_id == _PLACES.c.appointment_id
    found = select(_PLACES.c.appointment_id).where(
        _PLACES.c.organization_id == call.organization_id,
        _PLACES.c.appointment_id.in_(grouped),
        _goes_on(_PLACES, call.now),
        exists().where(*theirs, _TAKEN.c.role != "patient"),
    )
    return frozenset(key for key in session.scalars(found) if key is not None)


def kept_for_others(session: Session, call: Call, hold_id: UUID) -> frozenset[UUID]:
    """The room and the staff that a hold takes up for a group which goes on without it."""
    asked = {"organization": call.organization_id, "moving": None, "own_hold": hold_id, "now": call.now}
    return frozenset(row.resource_id for row in _KEPT.rows(session, asked))


def taken_at(
    session: Session,
    call: Call,
    location_id: UUID,
    visit_type: str,
    start: datetime,
    *,
    own_hold: UUID | None = None,
    wanting: bool = False,
) -> Reason | None:
    """Why no group that begins then has a place: all are taken, some of them perhaps by holds, which end.

    None where one is free and will not do. With `wanting` it may have been given back a moment ago: LostRace, until on
    the last try nobody can.
    """
    held = _HOLDS.alias("held")
    theirs = and_(is_living(call.now, held), held.c.id.is_distinct_from(own_hold))
    wanted = (
        select(
            Group.maximum,
            func.count().filter(is_free(call, own_hold=own_hold)).label("free"),
            func.min(held.c.expires_at).label("until"),
        )
        .join(_PLACES, and_(_PLACES.c.organization_id == Group.organization_id, _PLACES.c.group_id == Group.id))
        .outerjoin(
            held,
            and_(held.c.organization_id == _PLACES.c.organization_id, held.c.id == _PLACES.c.hold_id, theirs),
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
    # The others began with a hold that is over.
    known = [row for row in session.execute(wanted) if row.free < row.maximum]
    if not known or any(row.free for row in known):
        if known and wanting and not call.last_try:
            raise LostRace("A place of the group was given back at the same moment.")
        return None
    most, ends = sum(row.maximum for row in known), [row.until for row in known if row.until is not None]
    detail = f"All {most} places of the group at that time are taken"
    if not ends:
        return Reason("group_full", f"{detail}.", start=start)
    detail += ", some by holds: one may be free once those are over."
    return Reason("group_held", detail, start=start, end=min(ends).astimezone(start.tzinfo))


def is_living(now: Any, holds: FromClause = _HOLDS) -> ColumnElement[bool]:
    """The hold is not over; for a value, or for a parameter."""
    return and_(holds.c.ended_at.is_(None), holds.c.expires_at > now)


def is_free(call: Call, appointment_id: UUID | None = None, own_hold: UUID | None = None) -> ColumnElement[bool]:
    """Nobody has the place, or whoever asks; a hold that is over keeps nothing."""
    return _is_free(call.now, appointment_id, own_hold)


def _is_free(now: Any, appointment_id: Any, own_hold: Any) -> ColumnElement[bool]:
    """The same for values, or for parameters whose values may be None."""
    living = exists().where(
        _HOLDS.c.organization_id == _PLACES.c.organization_id,
        _HOLDS.c.id == _PLACES.c.hold_id,
        is_living(now),
    )
    kept = and_(_PLACES.c.hold_id.is_not(None), living)
    mine = [] if own_hold is None else [_PLACES.c.hold_id == own_hold]
    nobody = and_(_PLACES.c.appointment_id.is_(None), or_(~kept, *mine))
    return nobody if appointment_id is None else or_(nobody, _PLACES.c.appointment_id == appointment_id)


def _goes_on(mine: FromClause, now: Any) -> ColumnElement[bool]:
    """Whether somebody else has a place in the group of that place, and what serves it passes on: `groups.leave`."""
    other, held = _PLACES.alias("other"), _HOLDS.alias("held")
    coming = [literal_column(f"'{each}'", Text()) for each in sorted(LIVE - {"fulfilled"})]
    comes = exists().where(
        _VISITS.c.organization_id == other.c.organization_id,
        _VISITS.c.id == other.c.appointment_id,
        _VISITS.c.status.in_(coming),
    )
    keeps = exists().where(
        held.c.organization_id == other.c.organization_id, held.c.id == other.c.hold_id, is_living(now, held)
    )
    return exists().where(
        other.c.organization_id == mine.c.organization_id,
        other.c.group_id == mine.c.group_id,
        other.c.place != mine.c.place,
        or_(comes, keeps),
    )


def _kept() -> Any:
    """Whom and what the appointment that moves takes up, or the caller's own hold, for a group that goes on without.

    Parameters may be None.
    """
    moving, own_hold = (bindparam(name, type_=Uuid()) for name in ("moving", "own_hold"))
    return union_all(
        *(
            select(_TAKEN.c.resource_id)
            .join_from(_PLACES, _TAKEN, and_(_TAKEN.c.organization_id == _PLACES.c.organization_id, taken == place))
            .where(
                _PLACES.c.organization_id == bindparam("organization"),
                place == whose,
                _TAKEN.c.role != "patient",
                _goes_on(_PLACES, bindparam("now", type_=UtcDateTime())),
            )
            for place, taken, whose in (
                (_PLACES.c.appointment_id, _TAKEN.c.appointment_id, moving),
                (_PLACES.c.hold_id, _TAKEN.c.hold_id, own_hold),
            )
        )
    )


def _staffed() -> Any:
    """Each group that begins in a span with who and what serves it, a row for each.

    That is all that one of its visits takes, or as long as nobody has booked, one of its holds. Parameters may be None:
    nothing equals that.
    """
    moving, now = bindparam("moving", type_=Uuid()), bindparam("now", type_=UtcDateTime())
    place, held = _PLACES.alias("carried"), _HOLDS.alias("held")
    living = exists().where(
        held.c.organization_id == place.c.organization_id, held.c.id == place.c.hold_id, is_living(now, held)
    )
    stays = or_(place.c.appointment_id.is_distinct_from(moving), _goes_on(place, now))
    by_visit = _TAKEN.c.appointment_id == place.c.appointment_id, stays
    by_hold = _TAKEN.c.hold_id == place.c.hold_id, living
    return union_all(
        *(
            select(
                _GROUPS.c.id,
                _GROUPS.c.starts_at,
                _GROUPS.c.ends_at,
                _GROUPS.c.maximum,
                _free_places(now, moving).label("free"),
                _TAKEN.c.resource_id,
                _TAKEN.c.role,
                _TAKEN.c.starts_at.label("begins"),
                _TAKEN.c.ends_at.label("ends"),
            )
            .join_from(
                _GROUPS,
                place,
                and_(place.c.organization_id == _GROUPS.c.organization_id, place.c.group_id == _GROUPS.c.id),
            )
            .join(_TAKEN, and_(_TAKEN.c.organization_id == place.c.organization_id, *owner))
            .where(
                _TAKEN.c.role != "patient",
                _GROUPS.c.organization_id == bindparam("organization"),
                _GROUPS.c.location_id == bindparam("location"),
                _GROUPS.c.visit_type == bindparam("code"),
                _GROUPS.c.status == "open",
                _GROUPS.c.starts_at >= bindparam("first", type_=UtcDateTime()),
                _GROUPS.c.starts_at < bindparam("past", type_=UtcDateTime()),
            )
            for owner in (by_visit, by_hold)
        )
    )


def _free_places(now: Any, moving: Any) -> Any:
    """How many places of the group are free."""
    return (
        select(func.count())
        .select_from(_PLACES)
        .where(
            _PLACES.c.organization_id == _GROUPS.c.organization_id,
            _PLACES.c.group_id == _GROUPS.c.id,
            _is_free(now, moving, bindparam("own_hold", type_=Uuid())),
        )
        .correlate(_GROUPS)
        .scalar_subquery()
    )


GROUPS, KEPT = _staffed(), _kept()
_JOINABLE, _KEPT = Ready(GROUPS), Ready(KEPT)
