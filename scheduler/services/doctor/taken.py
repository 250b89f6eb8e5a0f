"""What is taken up: each unit once at a time, by whom and what it should be, and by nothing that is over."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from sqlalchemy import ColumnElement, Select, Table, and_, case, func, literal, or_, select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.lifecycle import LIVE
from scheduler.models import Absence, Appointment, Hold, Occupancy, Resource, ResourceUnit
from scheduler.services.doctor.reading import ids, stream

_ROWS = cast("Table", Occupancy.__table__)
_VISITS = cast("Table", Appointment.__table__)
_HOLDS = cast("Table", Hold.__table__)
_ABSENCES = cast("Table", Absence.__table__)
_RESOURCES = cast("Table", Resource.__table__)
_UNITS = cast("Table", ResourceUnit.__table__)

_row, _visit, _resource = _ROWS.c, _VISITS.c, _RESOURCES.c


def overlaps(session: Session, call: Call) -> Iterator[str]:
    """Blocking rows that begin before an earlier one of the same unit ends."""
    until = func.max(_row.ends_at).over(
        partition_by=(_row.resource_id, _row.unit), order_by=(_row.starts_at, _row.id), rows=(None, -1)
    )
    mine = _row.organization_id == call.organization_id, _row.blocking
    each = select(_row.resource_id, _row.unit, _row.starts_at, until.label("until")).where(*mine).subquery()
    for row in stream(session, select(each).where(each.c.until > each.c.starts_at)):
        yield f"resource {row.resource_id} unit {row.unit} at {row.starts_at.isoformat()}"


def units(session: Session, call: Call) -> Iterator[str]:
    """Resources whose units are not those that they say they have, and blocking rows in none of a resource's units."""
    regular = func.sum(case((_UNITS.c.extra, 0), else_=1))
    wrong = func.sum(case((_UNITS.c.extra == (_UNITS.c.unit >= _resource.units), 0), else_=1))
    has = and_(_UNITS.c.organization_id == _resource.organization_id, _UNITS.c.resource_id == _resource.id)
    counted = (
        select(_resource.id)
        .select_from(_RESOURCES.outerjoin(_UNITS, has))
        .where(_resource.organization_id == call.organization_id)
        .group_by(_resource.id, _resource.units)
        .having(or_(func.coalesce(regular, 0) != _resource.units, func.coalesce(wrong, 0) != 0))
    )
    yield from (f"resource {key}" for key in ids(session, counted))
    in_it = and_(
        _UNITS.c.organization_id == _row.organization_id,
        _UNITS.c.resource_id == _row.resource_id,
        _UNITS.c.unit == _row.unit,
    )
    lost = (
        select(_row.id)
        .select_from(_ROWS.outerjoin(_UNITS, in_it))
        .where(_row.organization_id == call.organization_id, _row.blocking, _UNITS.c.unit.is_(None))
    )
    yield from (f"occupancy {key}" for key in ids(session, lost))


def owners(session: Session, call: Call) -> Iterator[str]:
    """Rows of visits that do not take place, of holds that have ended, and of nobody."""
    live = _visit.status.in_(sorted(LIVE))
    yield from ids(session, _orphans(call, _VISITS, _row.appointment_id, ("visit", "present"), live))
    # What is left of a hold that has run over is no occupancy any more, and whoever needs the time sweeps it away.
    standing = or_(_HOLDS.c.ended_at.is_(None), _HOLDS.c.ended_at >= _HOLDS.c.expires_at)
    yield from ids(session, _orphans(call, _HOLDS, _row.hold_id, ("hold", "present"), standing))
    yield from ids(session, _orphans(call, _ABSENCES, _row.absence_id, ("absence",), literal(value=True)))


def _orphans(
    call: Call, table: Table, key: ColumnElement[Any], kinds: tuple[str, ...], stands: ColumnElement[bool]
) -> Select[Any]:
    """Rows with that owner where the owner is gone, does not stand, or has rows of another kind than its own."""
    owner = and_(table.c.organization_id == _row.organization_id, table.c.id == key)
    return (
        select(_row.id)
        .select_from(_ROWS.outerjoin(table, owner))
        .where(
            _row.organization_id == call.organization_id,
            key.is_not(None),
            or_(table.c.id.is_(None), ~stands, _row.kind.not_in(kinds)),
        )
    )


def patients_time(session: Session, call: Call) -> Iterator[str]:
    """Visits that do not take up their patient from start to end, once. One that is over may have been cut short."""
    is_right = and_(
        _row.resource_id == _visit.patient_id,
        _row.blocking,
        _row.starts_at == _visit.starts_at,
        _row.ends_at == _visit.ends_at,
    )
    mine = and_(
        _row.organization_id == _visit.organization_id, _row.appointment_id == _visit.id, _row.role == "patient"
    )
    wanted = (
        select(_visit.id)
        .select_from(_VISITS.outerjoin(_ROWS, mine))
        .where(
            _visit.organization_id == call.organization_id,
            _visit.status.in_(sorted(LIVE - {"fulfilled"})),
        )
        .group_by(_visit.id)
        .having(or_(func.count(_row.id) != 1, func.sum(case((is_right, 1), else_=0)) != 1))
    )
    yield from ids(session, wanted)


def participants(session: Session, call: Call) -> Iterator[str]:
    """Rows by which a resource serves as something that it is not, or a room or device at another site than its own."""
    kind = case(
        (_row.role.like("room:%"), "room"),
        (_row.role.like("device:%"), "device"),
        (_row.role.like("role:%"), "practitioner"),
        else_="patient",
    )
    stands = _resource.kind.in_(("room", "device"))
    there = and_(_resource.organization_id == _row.organization_id, _resource.id == _row.resource_id)
    visit = and_(_visit.organization_id == _row.organization_id, _visit.id == _row.appointment_id)
    wanted = (
        select(_row.id)
        .select_from(_ROWS.join(_RESOURCES, there).join(_VISITS, visit))
        .where(
            _row.organization_id == call.organization_id,
            or_(_resource.kind != kind, and_(stands, _resource.location_id != _visit.location_id)),
        )
    )
    yield from (f"occupancy {key}" for key in ids(session, wanted))
