"""The day board of a location: every visit of one local day and who is taken when, in a constant number of statements.

Only reads, and only rows: nothing here is looked up visit by visit. Who the patients are is not shown.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Row, Table, and_, bindparam, or_, select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.civil import day_bounds
from scheduler.core.errors import NotFound
from scheduler.models import Absence, Appointment, Hold, Location, Occupancy, Resource
from scheduler.models.among import among
from scheduler.services import tasks
from scheduler.services.appointments import views
from scheduler.services.busy import LONGEST
from scheduler.services.catalog import Kind, visit_kinds
from scheduler.services.held import holds_of
from scheduler.services.visit_day.viewing import DayView, day_of, stays_of

#: The first instant of a day, and of the day after it.
Bounds = tuple[datetime, datetime]


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
    start, end = bounds = day_bounds(on, location.time_zone)
    rows = _visits(session, call, location_id, bounds)
    resources = _resources(session, call, location_id)
    taken = _taken(session, call, resources, rows, bounds)
    away = _away(session, call, resources, bounds)
    kinds = visit_kinds(session, call)
    return Board(
        location_id=location_id,
        day=on,
        time_zone=location.time_zone,
        start=start,
        end=end,
        visits=tuple(_days(session, call, rows, taken, kinds, {row.id: row.units for row in resources.values()})),
        lanes=tuple(_lanes(resources, taken, away, location_id, bounds)),
    )


_VISITS = (
    select(Appointment)
    .where(
        Appointment.organization_id == bindparam("organization"),
        Appointment.location_id == bindparam("location"),
        Appointment.starts_at > bindparam("since"),
        Appointment.starts_at < bindparam("end"),
        Appointment.ends_at > bindparam("start"),
    )
    .order_by(Appointment.starts_at, Appointment.id)
)


def _visits(session: Session, call: Call, location_id: UUID, bounds: Bounds) -> Sequence[Appointment]:
    wanted = {
        "organization": call.organization_id,
        "location": location_id,
        "since": bounds[0] - LONGEST,
        "start": bounds[0],
        "end": bounds[1],
    }
    return session.scalars(_VISITS, wanted).all()


_RESOURCES = cast("Table", Resource.__table__).c
#: The location's rooms and devices, and everyone on the staff of the organization.
_THERE = (
    select(
        _RESOURCES.id,
        _RESOURCES.kind,
        _RESOURCES.name,
        _RESOURCES.type_code,
        _RESOURCES.units,
        _RESOURCES.roles,
        _RESOURCES.hours,
    )
    .where(
        _RESOURCES.organization_id == bindparam("organization"),
        _RESOURCES.deleted_at.is_(None),
        or_(_RESOURCES.kind == "practitioner", _RESOURCES.location_id == bindparam("location")),
    )
    .order_by(_RESOURCES.kind, _RESOURCES.name, _RESOURCES.id)
)


def _resources(session: Session, call: Call, location_id: UUID) -> dict[UUID, Any]:
    rows = session.execute(_THERE, {"organization": call.organization_id, "location": location_id})
    return {row.id: row for row in rows}


_ROWS, _HOLDS = cast("Table", Occupancy.__table__).c, cast("Table", Hold.__table__)
#: What blocks these resources on the day; a hold only while it lasts.
_TAKEN = (
    select(_ROWS.resource_id, _ROWS.unit, _ROWS.starts_at, _ROWS.ends_at, _ROWS.role, _ROWS.appointment_id)
    .outerjoin(_HOLDS, and_(_HOLDS.c.organization_id == _ROWS.organization_id, _HOLDS.c.id == _ROWS.hold_id))
    .where(
        _ROWS.organization_id == bindparam("organization"),
        among(_ROWS.resource_id, "ids"),
        _ROWS.blocking,
        _ROWS.starts_at > bindparam("since"),
        _ROWS.starts_at < bindparam("until"),
        _ROWS.ends_at > bindparam("start"),
        or_(_ROWS.hold_id.is_(None), _HOLDS.c.expires_at > bindparam("now")),
    )
    .order_by(_ROWS.starts_at, _ROWS.unit)
)


def _taken(
    session: Session, call: Call, resources: Collection[UUID], visits: Sequence[Appointment], bounds: Bounds
) -> list[Any]:
    """What blocks these resources, or the day's patients, on the day."""
    wanted = {
        "organization": call.organization_id,
        "ids": [*resources, *{row.patient_id for row in visits}],
        # What begins a day early or late is read too: a visit that runs over midnight runs into it.
        "since": bounds[0] - LONGEST,
        "until": bounds[1] + LONGEST,
        "start": bounds[0],
        "now": call.now,
    }
    return list(session.execute(_TAKEN, wanted))


_ABSENCES = cast("Table", Absence.__table__).c
_AWAY = select(_ABSENCES.resource_id, _ABSENCES.starts_at, _ABSENCES.ends_at).where(
    _ABSENCES.organization_id == bindparam("organization"),
    among(_ABSENCES.resource_id, "ids"),
    _ABSENCES.starts_at < bindparam("end"),
    _ABSENCES.ends_at > bindparam("start"),
)


def _away(session: Session, call: Call, resources: Mapping[UUID, Any], bounds: Bounds) -> dict[UUID, list[Span]]:
    wanted = {"organization": call.organization_id, "ids": list(resources), "start": bounds[0], "end": bounds[1]}
    found: dict[UUID, list[Span]] = {}
    for row in session.execute(_AWAY, wanted):
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
    bounds: Bounds,
) -> Iterable[Lane]:
    """Each resource with its spans of the day; of the staff, those who belong to the location or are taken that day."""
    spans = _spans(taken, bounds)
    for key, row in resources.items():
        mine = [*spans.get(key, ()), *away.get(key, ())]
        if row.kind != "practitioner" or mine or _works_at(row, location_id):
            types = tuple(role["code"] for role in row.roles) if row.kind == "practitioner" else (row.type_code,)
            ordered = tuple(sorted(mine, key=lambda each: (each.start, each.end, each.kind)))
            yield Lane(key, row.kind, row.name, types, row.units, ordered)


def _spans(taken: Iterable[Any], bounds: Bounds) -> dict[UUID, list[Span]]:
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
