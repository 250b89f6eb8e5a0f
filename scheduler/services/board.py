"""The day board of a location: every visit of one local day and who is taken when, in a constant number of statements.

Only reads, and only rows: nothing here is looked up visit by visit. Who the patients are is not shown.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Row, Table, and_, bindparam, not_, or_, select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.civil import day_bounds
from scheduler.core.errors import NotFound
from scheduler.core.visit_day import Stay, delay
from scheduler.models import Absence, Appointment, Hold, Location, Occupancy, Resource
from scheduler.models.among import among
from scheduler.services import tasks
from scheduler.services.appointments import grouped, times_of, views
from scheduler.services.busy import LONGEST
from scheduler.services.catalog import visit_kinds
from scheduler.services.held import holds_of
from scheduler.services.ready import Ready
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
    return Board(
        location_id=location_id,
        day=on,
        time_zone=location.time_zone,
        start=start,
        end=end,
        visits=tuple(_days(session, call, rows, taken, {row.id: row.units for row in resources.values()})),
        lanes=tuple(_lanes(resources, [*taken[0], *taken[1]], away, location_id, bounds)),
    )


_OF_DAY = cast("Table", Appointment.__table__)
_VISITS = Ready(
    select(_OF_DAY)
    .where(
        _OF_DAY.c.organization_id == bindparam("organization"),
        _OF_DAY.c.location_id == bindparam("location"),
        _OF_DAY.c.starts_at > bindparam("since"),
        _OF_DAY.c.starts_at < bindparam("end"),
        _OF_DAY.c.ends_at > bindparam("start"),
    )
    .order_by(_OF_DAY.c.starts_at, _OF_DAY.c.id)
)


def _visits(session: Session, call: Call, location_id: UUID, bounds: Bounds) -> Sequence[Appointment]:
    wanted = {
        "organization": call.organization_id,
        "location": location_id,
        "since": bounds[0] - LONGEST,
        "start": bounds[0],
        "end": bounds[1],
    }
    return cast("Sequence[Appointment]", _VISITS.rows(session, wanted))


_RESOURCES = cast("Table", Resource.__table__).c
#: The location's rooms and devices, and everyone on the staff of the organization.
_THERE = Ready(
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
    rows = _THERE.rows(session, {"organization": call.organization_id, "location": location_id})
    return {row.id: row for row in rows}


_ROWS, _HOLDS = cast("Table", Occupancy.__table__).c, cast("Table", Hold.__table__)
_COLUMNS = (
    *(_ROWS.appointment_id, _ROWS.resource_id, _ROWS.role, _ROWS.starts_at, _ROWS.ends_at),
    *(_ROWS.unit, _ROWS.blocking),
)
#: Whatever the day's visits take, at any time.
_THEIRS = Ready(
    select(*_COLUMNS)
    .where(_ROWS.organization_id == bindparam("organization"), among(_ROWS.appointment_id, "visits"))
    .order_by(_ROWS.starts_at, _ROWS.unit)
)
#: What else blocks these resources on the day; a hold only while it lasts.
_OTHERS = Ready(
    select(*_COLUMNS)
    .outerjoin(_HOLDS, and_(_HOLDS.c.organization_id == _ROWS.organization_id, _HOLDS.c.id == _ROWS.hold_id))
    .where(
        _ROWS.organization_id == bindparam("organization"),
        among(_ROWS.resource_id, "ids"),
        _ROWS.blocking,
        or_(_ROWS.appointment_id.is_(None), not_(among(_ROWS.appointment_id, "visits"))),
        _ROWS.starts_at > bindparam("since"),
        _ROWS.starts_at < bindparam("until"),
        _ROWS.ends_at > bindparam("start"),
        or_(_ROWS.hold_id.is_(None), _HOLDS.c.expires_at > bindparam("now")),
    )
    .order_by(_ROWS.starts_at, _ROWS.unit)
)


def _taken(
    session: Session, call: Call, resources: Collection[UUID], visits: Sequence[Appointment], bounds: Bounds
) -> tuple[Sequence[Any], Sequence[Any]]:
    """What these visits take, and what else blocks these resources, or the day's patients, on the day."""
    theirs = {"organization": call.organization_id, "visits": [row.id for row in visits]}
    wanted = theirs | {
        "ids": [*resources, *{row.patient_id for row in visits}],
        # What begins a day early or late is read too: a visit that runs over midnight runs into it.
        "since": bounds[0] - LONGEST,
        "until": bounds[1] + LONGEST,
        "start": bounds[0],
        "now": call.now,
    }
    return _THEIRS.rows(session, theirs), _OTHERS.rows(session, wanted)


_ABSENCES = cast("Table", Absence.__table__).c
_AWAY = Ready(
    select(_ABSENCES.resource_id, _ABSENCES.starts_at, _ABSENCES.ends_at).where(
        _ABSENCES.organization_id == bindparam("organization"),
        among(_ABSENCES.resource_id, "ids"),
        _ABSENCES.starts_at < bindparam("end"),
        _ABSENCES.ends_at > bindparam("start"),
    )
)


def _away(session: Session, call: Call, resources: Mapping[UUID, Any], bounds: Bounds) -> dict[UUID, list[Span]]:
    wanted = {"organization": call.organization_id, "ids": list(resources), "start": bounds[0], "end": bounds[1]}
    found: dict[UUID, list[Span]] = {}
    for row in _AWAY.rows(session, wanted):
        units = resources[row.resource_id].units
        found.setdefault(row.resource_id, []).append(Span("absence", row.starts_at, row.ends_at, units))
    return found


def _days(
    session: Session,
    call: Call,
    rows: Sequence[Appointment],
    taken: tuple[Sequence[Any], Sequence[Any]],
    units: Mapping[UUID, int],
) -> Iterable[DayView]:
    kinds = visit_kinds(session, call)
    holds = holds_of(session, call, {row.patient_id for row in rows})
    owed = tasks.open_of(session, call, [row.id for row in rows])
    served = grouped(row[:5] for row in taken[0])
    neighbors = _Neighbors([*taken[0], *taken[1]], units)
    for seen in views(session, call, rows, served={row.id: served.get(row.id, ()) for row in rows}):
        visit = kinds[seen.row.visit_type].visit
        behind = delay(visit, times_of(seen.row), seen.row.status, call.now)
        mine, others = neighbors.of(seen.id) if behind else ((), ())
        stopped = holds.get(seen.row.patient_id, ())
        yield day_of(call, seen, visit, mine, others, units, stopped, owed.get(seen.id, ()))


@dataclass(frozen=True)
class _Neighbors:
    """Who stays where, for the visits that run behind: on most days a few."""

    taken: Sequence[Any]
    units: Mapping[UUID, int]

    @cached_property
    def _stays(self) -> tuple[dict[UUID, list[Stay]], dict[UUID, list[Stay]]]:
        """By resource, and by visit. Units beyond the regular ones belong to overrides."""
        by_resource: dict[UUID, list[Stay]] = {}
        by_visit: dict[UUID, list[Stay]] = {}
        for stay in stays_of(
            row for row in self.taken if row.blocking and row.unit < self.units.get(row.resource_id, 1)
        ):
            by_resource.setdefault(stay.resource_id, []).append(stay)
            by_visit.setdefault(stay.owner, []).append(stay)
        return by_resource, by_visit

    def of(self, visit: UUID) -> tuple[Sequence[Stay], Sequence[Stay]]:
        """The visit's own stays, and those of others where it is."""
        by_resource, by_visit = self._stays
        mine = by_visit.get(visit, [])
        met = {stay.resource_id for stay in mine}
        return mine, [stay for key in met for stay in by_resource[key] if stay.owner != visit]


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
    counted: dict[tuple[Any, ...], tuple[Any, int]] = {}
    for row in taken:
        if row.blocking and row.starts_at < bounds[1] and row.ends_at > bounds[0]:
            owner = row.appointment_id
            key = row.resource_id.int, row.starts_at, row.ends_at, row.role, owner and owner.int
            counted[key] = row, counted[key][1] + 1 if key in counted else 1
    found: dict[UUID, list[Span]] = {}
    for row, units in counted.values():
        kind = "hold" if row.appointment_id is None else "visit"
        span = Span(kind, row.starts_at, row.ends_at, units, row.role.partition(":")[2], row.appointment_id)
        found.setdefault(row.resource_id, []).append(span)
    return found


def _works_at(row: Row[Any], location_id: UUID) -> bool:
    return any(entry.get("location_id") == str(location_id) for entry in row.hours or ())
