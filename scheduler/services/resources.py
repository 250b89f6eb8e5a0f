"""Practitioners, rooms and devices: who and what a visit can take up. Patients, resources too, live in patients."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import ColumnElement, Table, and_, func, or_, select
from sqlalchemy.orm import Session

from scheduler.core.bitmap import SLOT_MINUTES
from scheduler.core.call import Call
from scheduler.core.errors import Fault, InUse, refuse
from scheduler.core.hours import hours_faults, validity_faults
from scheduler.models import Hold, Location, Occupancy, Resource, ResourceUnit, new_id
from scheduler.models.among import codes
from scheduler.services import consequences, impact, records, unit_changes
from scheduler.services.impact import Affected
from scheduler.services.locks import bump_calendars, lock_locations, lock_resources
from scheduler.services.paging import Page

_BUFFERS = ("buffer_before_minutes", "buffer_after_minutes")
_ROLES = cast("Table", Resource.__table__).c.roles
_CALENDAR = {"hours", "roles", "units", "location_id", "type_code", *_BUFFERS}


@dataclass(frozen=True)
class ResourceView:
    """A practitioner, room or device as clients see it; `affected_appointments` is filled by a change only.

    `type_code` is a room's or device's type; roles are a practitioner's. `hours` None keeps the location's hours.
    """

    id: UUID
    kind: str
    name: str
    location_id: UUID | None
    type_code: str
    units: int
    roles: list[dict[str, Any]]
    hours: list[dict[str, Any]] | None
    buffer_before_minutes: int
    buffer_after_minutes: int
    revision: int
    created_at: datetime
    affected_appointments: tuple[Affected, ...] = ()


def _view(row: Resource) -> ResourceView:
    return ResourceView(
        row.id,
        row.kind,
        row.name,
        row.location_id,
        row.type_code,
        row.units,
        row.roles,
        row.hours,
        row.buffer_before_minutes,
        row.buffer_after_minutes,
        row.revision,
        row.created_at,
    )


def _kind(noun: str) -> records.Kind[Resource, ResourceView]:
    return records.Kind(noun, Resource, _view, where=(Resource.kind == noun, Resource.deleted_at.is_(None)))


PRACTITIONER, ROOM, DEVICE = _kind("practitioner"), _kind("room"), _kind("device")

ResourceKind = records.Kind[Resource, ResourceView]


def create(session: Session, call: Call, kind: ResourceKind, values: Mapping[str, Any]) -> ResourceView:
    """A new resource of {name, units, roles, hours} (practitioner) or {name, location_id, type_code, units, hours?}.

    Raises Invalid with all faults.
    """
    lock_locations(session, call, _location_ids(values), share=True)
    _check(session, call, values)
    defaults: dict[str, Any] = {"units": 1, "roles": [], **dict.fromkeys(_BUFFERS, 0)}
    row = Resource(
        organization_id=call.organization_id,
        id=new_id(),
        kind=kind.noun,
        created_at=call.now,
        **defaults | dict(values),
    )
    view = records.add(session, call, kind, row)
    session.add_all(_unit(row, unit) for unit in range(row.units))
    session.flush()
    return view


def get(session: Session, call: Call, kind: ResourceKind, resource_id: UUID) -> ResourceView:
    """One resource of that kind. Raises NotFound."""
    return records.get(session, call, kind, resource_id)


def listing(
    session: Session,
    call: Call,
    kind: ResourceKind,
    *,
    location_id: UUID | None = None,
    type_code: str | None = None,
    role: str | None = None,
    limit: int = 50,
    cursor: str | None = None,
) -> Page[ResourceView]:
    """The organization's resources of that kind, oldest first; if wanted, rooms and devices by location and type.

    `role` finds practitioners who have it, whatever its dates.
    """
    conditions: list[ColumnElement[bool]] = []
    if location_id is not None:
        conditions.append(Resource.location_id == location_id)
    if type_code is not None:
        conditions.append(Resource.type_code == type_code)
    if role is not None:
        conditions.append(codes(_ROLES, role))
    return records.listing(session, call, kind, *conditions, limit=limit, cursor=cursor)


def change(
    session: Session, call: Call, kind: ResourceKind, resource_id: UUID, revision: int, values: Mapping[str, Any]
) -> ResourceView:
    """Change some fields; lists are replaced. The answer names the visits that it can no longer serve.

    New buffers hold for what is booked or moved from now on: what is booked keeps the time that it has.

    Raises NotFound, StaleRevision, Invalid; InUse when fewer units would not hold what is booked, or a room or device
    would move or become another while something is booked.
    """
    row = records.find(session, call, kind, resource_id)
    lock_locations(session, call, _location_ids(_facts(row)) | _location_ids(values), share=False)
    lock_resources(session, call, [resource_id])
    row = records.find(session, call, kind, resource_id)
    records.expect(row, revision)
    _check(session, call, values)
    units = values.get("units", row.units)
    if units < row.units:
        unit_changes.shrink(session, call, row, units)
    _refuse_while_used(session, call, row, values)
    before = impact.roster_of(row)
    _renumber(session, row, units)
    if units > row.units:
        session.flush()
        unit_changes.stretch(session, call, row, units)
    view = records.change(session, call, kind, row, values)
    if not _CALENDAR & values.keys():
        return view
    bump_calendars(session, call, [resource_id], locked=True)
    after = impact.roster_of(row)
    affected = impact.by_roster(session, call, before, after)
    consequences.mended(session, call, resource_id, lambda ids: impact.lacking_roster(session, call, after, ids))
    cause, why = f"{resource_id}/{row.revision}", "The hours or roles of who or what serves the visit have changed."
    return replace(view, affected_appointments=consequences.owe(session, call, affected, cause=cause, why=why))


def remove(session: Session, call: Call, kind: ResourceKind, resource_id: UUID, revision: int) -> None:
    """Take a resource out of use. Raises NotFound, StaleRevision, InUse while something is booked."""
    row = records.find(session, call, kind, resource_id)
    lock_locations(session, call, _location_ids(_facts(row)), share=False)
    lock_resources(session, call, [resource_id])
    row = records.find(session, call, kind, resource_id)
    records.expect(row, revision)
    held = _held_ahead(session, call, resource_id)
    if held:
        detail = f"Visits or holds ahead depend on it ({held}): move or cancel them first."
        raise InUse(detail)
    row.deleted_at = call.now
    records.note_removal(session, call, kind, row)
    bump_calendars(session, call, [resource_id], locked=True)


def _facts(row: Resource) -> dict[str, Any]:
    return {"location_id": row.location_id, "hours": row.hours, "roles": row.roles}


def _location_ids(values: Mapping[str, Any]) -> set[UUID]:
    """Every location that these fields name."""
    entries = [*(values.get("hours") or ()), *(values.get("roles") or ())]
    named = [values.get("location_id"), *(entry.get("location_id") for entry in entries)]
    return {UUID(str(location_id)) for location_id in named if location_id}


def _check(session: Session, call: Call, values: Mapping[str, Any]) -> None:
    """Raise Invalid with every fault: times, validity, and locations that the organization does not have."""
    faults: list[Fault] = []
    hours, roles = values.get("hours") or (), values.get("roles") or ()
    faults += hours_faults(hours)
    faults += [
        Fault(f"/{key}", "not_on_grid", "Buffers are on the five-minute grid.")
        for key in _BUFFERS
        if values.get(key, 0) % SLOT_MINUTES
    ]
    for place, role in enumerate(roles):
        faults += validity_faults(role, f"/roles/{place}")
    named = {"/location_id": values.get("location_id")}
    for key, entries in (("hours", hours), ("roles", roles)):
        named |= {f"/{key}/{place}/location_id": entry.get("location_id") for place, entry in enumerate(entries)}
    known = _known(session, call, _location_ids(values))
    faults += [
        Fault(pointer, "unknown_location", "There is no such location.")
        for pointer, location_id in named.items()
        if location_id and UUID(str(location_id)) not in known
    ]
    refuse(faults)


def _known(session: Session, call: Call, ids: Collection[UUID]) -> set[UUID]:
    if not ids:
        return set()
    wanted = select(Location.id).where(
        Location.organization_id == call.organization_id, Location.id.in_(ids), Location.deleted_at.is_(None)
    )
    return set(session.scalars(wanted))


def _refuse_while_used(session: Session, call: Call, row: Resource, values: Mapping[str, Any]) -> None:
    moved = [key for key in ("location_id", "type_code") if values.get(key, getattr(row, key)) != getattr(row, key)]
    if moved:
        held = _held_ahead(session, call, row.id)
        if held:
            detail = f"Visits or holds ahead depend on it as it is ({held}): move or cancel them first."
            raise InUse(detail)
    units = values.get("units", row.units)
    # Units beyond the regular ones belong to overrides: they never counted.
    lost = _held_ahead(
        session, call, row.id, Occupancy.unit >= units, Occupancy.unit < row.units, Occupancy.blocking.is_(True)
    )
    if units < row.units and lost:
        detail = f"Visits or holds ahead use the units that would go ({lost})."
        raise InUse(detail)


def _held_ahead(session: Session, call: Call, resource_id: UUID, *conditions: ColumnElement[bool]) -> int:
    """How many visits and living holds are ahead of it."""
    same_hold = and_(Hold.organization_id == Occupancy.organization_id, Hold.id == Occupancy.hold_id)
    owner = func.coalesce(Occupancy.appointment_id, Occupancy.hold_id)
    wanted = (
        select(func.count(owner.distinct()))
        .outerjoin(Hold, same_hold)
        .where(
            Occupancy.organization_id == call.organization_id,
            Occupancy.resource_id == resource_id,
            Occupancy.kind != "absence",
            Occupancy.ends_at > call.now,
            or_(Hold.id.is_(None), Hold.expires_at > call.now),
            *conditions,
        )
    )
    return session.execute(wanted).scalar_one()


def _renumber(session: Session, row: Resource, units: int) -> None:
    """Bring the unit rows to that count. None is ever deleted: what happened in it points at it."""
    own = ResourceUnit.organization_id == row.organization_id, ResourceUnit.resource_id == row.id
    rows = {each.unit: each for each in session.scalars(select(ResourceUnit).where(*own))}
    session.add_all(_unit(row, unit) for unit in range(units) if unit not in rows)
    for unit, each in rows.items():
        each.extra = unit >= units


def _unit(row: Resource, unit: int) -> ResourceUnit:
    return ResourceUnit(organization_id=row.organization_id, resource_id=row.id, unit=unit)
