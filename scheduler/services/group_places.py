"""Groups that have places: which begin in a span with a free one, and which are full. Changes nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from operator import or_ as either
from typing import Any, cast
from uuid import UUID

from sqlalchemy import ColumnElement, FromClause, Table, Uuid, and_, bindparam, exists, func, or_, select, union_all
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.demand import Demand, Thread
from scheduler.core.errors import Reason
from scheduler.core.site import Site
from scheduler.models import Group, GroupPlace, Hold, Occupancy
from scheduler.models.base import UtcDateTime
from scheduler.services.ready import Ready

_GROUPS = cast("Table", Group.__table__)
_PLACES = cast("Table", GroupPlace.__table__)
_TAKEN = cast("Table", Occupancy.__table__)
_HOLDS = cast("Table", Hold.__table__)

#: (resource, selector, start, end) of who and what serves.
Served = tuple[UUID, str, datetime, datetime]


@dataclass(frozen=True)
class OpenGroup:
    """A group that has room for one more, and who serves it."""

    id: UUID
    starts_at: datetime
    ends_at: datetime
    free: int
    maximum: int
    served: tuple[Served, ...] = ()


def joinable(session: Session, asked: Mapping[str, Any]) -> list[OpenGroup]:
    """The groups with a free place that begin in the span `asked_for`; in one statement."""
    session.flush()
    return found_among(_JOINABLE.rows(session, asked))


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
    whoever the appointment that moves takes up is none: there would be nobody left in it.
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


def found_among(rows: Iterable[Any]) -> list[OpenGroup]:
    """Those with a free place among the rows of `GROUPS`, the fullest last."""
    groups: dict[UUID, tuple[Any, list[Served]]] = {}
    for row in rows:
        served = (row.resource_id, row.role, row.begins, row.ends)
        groups.setdefault(row.id, (row, []))[1].append(served)
    found = (
        OpenGroup(key, row.starts_at, row.ends_at, row.free, row.maximum, tuple(served))
        for key, (row, served) in groups.items()
        if row.free
    )
    return sorted(found, key=lambda each: (-each.free, each.id))


def stands(group: OpenGroup, demand: Demand, site: Site) -> bool:
    """Whether all who serve it are there, and serve all that its visit type asks for by now."""
    timeline, serving = site.timeline, defaultdict[str, defaultdict[UUID, int]](lambda: defaultdict(int))
    for key, selector, begins, ends in group.served:
        first, past = timeline.slot(begins), timeline.slot_after(ends)
        calendar = site.calendars.get(key)
        if calendar is None or not _lasts(calendar.there & calendar.serves.get(selector, 0), first, past):
            return False
        serving[selector][key] |= ((1 << past - first) - 1) << first
    return all(
        sum(_serves(mask, thread, timeline.slot(group.starts_at)) for mask in _shared(thread, serving)) >= count
        for thread, count in demand.counts.items()
    )


def _shared(thread: Thread, serving: Mapping[str, Mapping[UUID, int]]) -> list[int]:
    """The slots of each who serves the thread; of all together, where they may take turns."""
    masks = list(serving[thread.selector].values())
    return [reduce(either, masks, 0)] if thread.present else masks


def _serves(mask: int, thread: Thread, start: int) -> bool:
    return all(_lasts(mask, start + each.start, start + each.end) for each in thread.stretches)


def _lasts(mask: int, first: int, past: int) -> bool:
    full = (1 << (past - first)) - 1
    return first >= 0 and mask >> first & full == full


def taken_at(
    session: Session, call: Call, location_id: UUID, visit_type: str, start: datetime, *, own_hold: UUID | None = None
) -> Reason | None:
    """Why no group that begins then has a place: all are taken, some of them perhaps by holds, which end."""
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
    by_visit = _TAKEN.c.appointment_id == place.c.appointment_id, _TAKEN.c.appointment_id.is_distinct_from(moving)
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


GROUPS = _staffed()
_JOINABLE = Ready(GROUPS)
