"""The day board of a location: every visit of one local day and who is taken when, in a constant number of statements.

Only reads, and only rows: nothing here is looked up visit by visit. Who the patients are is not shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, and_, or_, select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.civil import day_bounds
from scheduler.core.errors import NotFound
from scheduler.models import Absence, Appointment, Hold, Location, Occupancy, Resource
from scheduler.services import tasks
from scheduler.services.appointments import views
from scheduler.services.busy import LONGEST
from scheduler.services.catalog import Kind, visit_kinds
from scheduler.services.held import holds_of
from scheduler.services.visit_day.viewing import DayView, day_of, stays_of


@dataclass(frozen=True)
class Span:
    """So many units of a resource taken, by a visit, a hold, or an absence (which takes them all). Aware UTC."""

    kind: str
    start: datetime
    end: datetime
    units: int
    role: str | None = None
    appointment_id: UUID | None = None


@dataclass(frozen=True)
class Lane:
    """A room, a device or somebody on the staff, with the times at which they are taken that day."""

    id: UUID
    kind: str
    name: str
    types: tuple[str, ...]
    units: int
    taken: tuple[Span, ...]


@dataclass(frozen=True)
class Board:
    """One local day of a location. The day is [start, end), aware UTC: 23 to 25 hours as a rule."""

    location_id: UUID
    day: date
    time_zone: str
    start: datetime
    end: datetime
    visits: tuple[DayView, ...]
    lanes: tuple[Lane, ...]


def day(session: Session, call: Call, location_id: UUID, on: date) -> Board:
    """The board of that local day: visits of any status that touch it, by start. Raises NotFound.

    Nine statements, and one for the groups among them, however many visits there are.
    """
    location = session.get(Location, (call.organization_id, location_id))
    if location is None or location.deleted_at is not None:
        raise NotFound(f"No location {location_id}.")
    start, end = day_bounds(on, location.time_zone)
    rows = _visits(session, call, location_id, start, end)
    resources = _resources(session, call, location_id)
    taken = _taken(session, call, resources, rows, start, end)
    away = _away(session, call, resources, start, end)
    kinds = visit_kinds(session, call)
    return Board(
        location_id=location_id,
        day=on,
        time_zone=location.time_zone,
        start=start,
        end=end,
        visits=tuple(_days(session, call, rows, taken, kinds, {row.id: row.units for row in resources.values()})),
        lanes=tuple(_lanes(resources, taken, away, location_id, (start, end))),
    )


def _visits(session: Session, call: Call, location_id: UUID, start: datetime, end: datetime) -> Sequence[Appointment]:
    chosen = select(Appointment).where(
        Appointment.organization_id == call.organization_id,
        Appointment.location_id == location_id,
        Appointment.starts_at > start - LONGEST,
        Appointment.starts_at < end,
        Appointment.ends_at > start,
    )
    return session.scalars(chosen.order_by(Appointment.starts_at, Appointment.id)).all()


def _resources(session: Session, call: Call, location_id: UUID) -> dict[UUID, Row[Any]]:
    """The location's rooms and devices, and everyone on the staff of the organization."""
    rows = session.execute(
        select(
            Resource.id,
            Resource.kind,
            Resource.name,
            Resource.type_code,
            Resource.units,
            Resource.roles,
            Resource.hours,
        )
        .where(
            Resource.organization_id == call.organization_id,
            Resource.deleted_at.is_(None),
            or_(Resource.kind == "practitioner", Resource.location_id == location_id),
        )
        .order_by(Resource.kind, Resource.name, Resource.id)
    )
    return {row.id: row for row in rows}


def _taken(
    session: Session,
    call: Call,
    resources: Mapping[UUID, Any],
    visits: Sequence[Appointment],
    start: datetime,
    end: datetime,
) -> list[Any]:
    """What blocks these resources, or the day's patients, on the day; a hold only while it lasts."""
    held = and_(Hold.organization_id == Occupancy.organization_id, Hold.id == Occupancy.hold_id)
    # What begins a day early or late is read too: a visit that runs over midnight runs into it.
    rows = session.execute(
        select(
            Occupancy.resource_id,
            Occupancy.unit,
            Occupancy.starts_at,
            Occupancy.ends_at,
            Occupancy.role,
            Occupancy.appointment_id,
        )
        .outerjoin(Hold, held)
        .where(
            Occupancy.organization_id == call.organization_id,
            Occupancy.resource_id.in_([*resources, *{row.patient_id for row in visits}]),
            Occupancy.blocking,
            Occupancy.starts_at > start - LONGEST,
            Occupancy.starts_at < end + LONGEST,
            Occupancy.ends_at > start,
            or_(Occupancy.hold_id.is_(None), Hold.expires_at > call.now),
        )
        .order_by(Occupancy.starts_at, Occupancy.unit)
    )
    return list(rows)


def _away(
    session: Session, call: Call, resources: Mapping[UUID, Any], start: datetime, end: datetime
) -> dict[UUID, list[Span]]:
    rows = session.execute(
        select(Absence.resource_id, Absence.starts_at, Absence.ends_at).where(
            Absence.organization_id == call.organization_id,
            Absence.resource_id.in_(list(resources)),
            Absence.starts_at < end,
            Absence.ends_at > start,
        )
    )
    found: dict[UUID, list[Span]] = {}
    for row in rows:
        units = resources[row.resource_id].units
        found.setdefault(row.resource_id, []).append(Span("absence", row.starts_at, row.ends_at, units))
    return found


def _days(
    session: Session,
    call: Call,
    rows: Sequence[Appointment],
    taken: Iterable[Any],
    kinds: Mapping[str, Kind],
    units: Mapping[UUID, int],
) -> Iterable[DayView]:
    regular = [row for row in taken if row.unit < units.get(row.resource_id, 1)]
    stays = stays_of(regular)
    by_resource: dict[UUID, list[Any]] = {}
    by_visit: dict[UUID, list[Any]] = {}
    holds = holds_of(session, call, {row.patient_id for row in rows})
    owed = tasks.open_of(session, call, [row.id for row in rows])
    for stay in stays:
        by_resource.setdefault(stay.resource_id, []).append(stay)
        by_visit.setdefault(stay.owner, []).append(stay)
    for seen in views(session, call, rows):
        mine = by_visit.get(seen.id, [])
        met = {stay.resource_id for stay in mine}
        others = [stay for key in met for stay in by_resource[key] if stay.owner != seen.id]
        stopped = holds.get(seen.row.patient_id, ())
        yield day_of(call, seen, kinds[seen.row.visit_type].visit, mine, others, units, stopped, owed.get(seen.id, ()))


def _lanes(
    resources: Mapping[UUID, Row[Any]],
    taken: Iterable[Any],
    away: Mapping[UUID, Sequence[Span]],
    location_id: UUID,
    bounds: tuple[datetime, datetime],
) -> Iterable[Lane]:
    """Each resource with its spans of the day; of the staff, those who belong to the location or are taken that day."""
    spans = _spans(taken, bounds)
    for key, row in resources.items():
        mine = [*spans.get(key, ()), *away.get(key, ())]
        if row.kind != "practitioner" or mine or _works_at(row, location_id):
            types = tuple(role["code"] for role in row.roles) if row.kind == "practitioner" else (row.type_code,)
            ordered = tuple(sorted(mine, key=lambda each: (each.start, each.end, each.kind)))
            yield Lane(key, row.kind, row.name, types, row.units, ordered)


def _spans(taken: Iterable[Any], bounds: tuple[datetime, datetime]) -> dict[UUID, list[Span]]:
    """The day's spans of each resource: rows of several units taken together become one."""
    counted: dict[tuple[Any, ...], int] = {}
    for row in taken:
        if row.starts_at < bounds[1]:
            key = row.resource_id, row.starts_at, row.ends_at, row.role, row.appointment_id
            counted[key] = counted.get(key, 0) + 1
    found: dict[UUID, list[Span]] = {}
    for (resource_id, start, end, role, appointment_id), units in counted.items():
        kind = "hold" if appointment_id is None else "visit"
        span = Span(kind, start, end, units, role.partition(":")[2], appointment_id)
        found.setdefault(resource_id, []).append(span)
    return found


def _works_at(row: Row[Any], location_id: UUID) -> bool:
    return any(entry.get("location_id") == str(location_id) for entry in row.hours or ())
