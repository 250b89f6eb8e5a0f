"""Locations: sites with their hours, closures, holidays, certifications. Whom a change affects is impact's."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.civil import zone
from scheduler.core.errors import InUse, Invalid, refuse
from scheduler.core.hours import closure_faults, hours_faults, validity_faults
from scheduler.models import Appointment, Course, Hold, Location, Resource
from scheduler.services import consequences, disclosing, impact, records
from scheduler.services.impact import Affected
from scheduler.services.locks import bump_calendars, lock_locations
from scheduler.services.paging import Page
from scheduler.services.public_holidays import faults_of

_CALENDAR = {"time_zone", "hours", "closures", "holidays", "certifications"}


@dataclass(frozen=True)
class LocationView:
    """A location as clients see it; `affected_appointments` is filled by a change only."""

    id: UUID
    name: str
    time_zone: str
    address: str
    hours: list[dict[str, Any]]
    closures: list[dict[str, Any]]
    holidays: dict[str, Any] | None
    certifications: list[dict[str, Any]]
    revision: int
    created_at: datetime
    affected_appointments: tuple[Affected, ...] = ()


def _view(row: Location) -> LocationView:
    return LocationView(
        row.id,
        row.name,
        row.time_zone,
        row.address,
        row.hours,
        row.closures,
        row.holidays,
        row.certifications,
        row.revision,
        row.created_at,
    )


KIND = records.Kind("location", Location, _view, where=(Location.deleted_at.is_(None),))


def create(session: Session, call: Call, values: Mapping[str, Any]) -> LocationView:
    """A new location of {name, time_zone, address?, hours?, closures?, holidays?, certifications?}. Raises Invalid."""
    _check(values)
    defaults: dict[str, Any] = {"hours": [], "closures": [], "certifications": []}
    row = Location(organization_id=call.organization_id, created_at=call.now, **defaults | dict(values))
    return records.add(session, call, KIND, row)


def get(session: Session, call: Call, location_id: UUID) -> LocationView:
    """One location. Raises NotFound."""
    return records.get(session, call, KIND, location_id)


def listing(session: Session, call: Call, *, limit: int = 50, cursor: str | None = None) -> Page[LocationView]:
    """The organization's locations, oldest first."""
    return records.listing(session, call, KIND, limit=limit, cursor=cursor)


def change(session: Session, call: Call, location_id: UUID, revision: int, values: Mapping[str, Any]) -> LocationView:
    """Change some fields; lists are replaced. The answer names the visits that no longer fit.

    Raises NotFound, StaleRevision, Invalid, and InUse when the zone would change under what is booked or held.
    """
    lock_locations(session, call, [location_id], share=False)
    row = records.find(session, call, KIND, location_id)
    records.expect(row, revision)
    _check(values)
    if values.get("time_zone", row.time_zone) != row.time_zone:
        _refuse_while_used(_booked(session, call, location_id), "its time zone cannot change")
    today = call.now.date()
    before = impact.place_of(row, today)
    view = records.change(session, call, KIND, row, values)
    if not _CALENDAR & values.keys():
        return view
    bump_calendars(session, call, _resources_at(session, call, location_id))
    after = impact.place_of(row, today)
    affected = impact.by_site(session, call, before, after)
    consequences.mended(session, call, location_id, lambda ids: impact.lacking_site(session, call, after, ids))
    cause, why = f"{location_id}/{row.revision}", "The location's hours, closures or certifications have changed."
    return replace(view, affected_appointments=consequences.owe(session, call, affected, cause=cause, why=why))


def zones_of(session: Session, call: Call, ids: Collection[UUID]) -> dict[UUID, str]:
    """The time zones of locations, in use or not."""
    wanted = select(Location.id, Location.time_zone).where(
        Location.organization_id == call.organization_id, Location.id.in_(ids)
    )
    return {row.id: row.time_zone for row in session.execute(wanted)} if ids else {}


def remove(session: Session, call: Call, location_id: UUID, revision: int) -> None:
    """Take a location out of use. Raises NotFound, StaleRevision, InUse while something is there or booked there."""
    lock_locations(session, call, [location_id], share=False)
    row = records.find(session, call, KIND, location_id)
    records.expect(row, revision)
    things = select(Resource.id).where(
        Resource.organization_id == call.organization_id,
        Resource.location_id == location_id,
        Resource.deleted_at.is_(None),
    )
    courses = select(Course.id).where(
        Course.organization_id == call.organization_id,
        Course.location_id == location_id,
        Course.status.in_(("draft", "active", "on-hold")),
    )
    counts = {
        "visits or holds ahead": _booked(session, call, location_id),
        "rooms and devices": len(session.execute(things).all()),
        "running courses": len(session.execute(courses).all()),
    }
    if any(counts.values()):
        held = ", ".join(f"{what} ({count})" for what, count in counts.items() if count)
        detail = f"The location still has {held}."
        raise InUse(detail)
    row.deleted_at = call.now
    records.note_removal(session, call, KIND, row)


def _check(values: Mapping[str, Any]) -> None:
    faults = disclosing.faults_of(values, ("name", "address"))
    if "time_zone" in values:
        try:
            zone(values["time_zone"])
        except Invalid as error:
            faults += error.faults
    faults += hours_faults(values.get("hours", ()))
    faults += closure_faults(values.get("closures", ()))
    faults += faults_of(values.get("holidays"))
    for place, entry in enumerate(values.get("certifications", ())):
        faults += validity_faults(entry, f"/certifications/{place}")
    refuse(faults)


def _booked(session: Session, call: Call, location_id: UUID) -> int:
    """How many visits are ahead there, and times that are held for some."""
    visits = select(Appointment.id).where(
        Appointment.organization_id == call.organization_id,
        Appointment.location_id == location_id,
        Appointment.ends_at > call.now,
        Appointment.status.in_(sorted(impact.AHEAD)),
    )
    holds = select(Hold.id).where(
        Hold.organization_id == call.organization_id,
        Hold.location_id == location_id,
        Hold.ended_at.is_(None),
        Hold.expires_at > call.now,
    )
    return len(session.execute(visits.union_all(holds)).all())


def _refuse_while_used(count: int, what: str) -> None:
    if count:
        detail = f"Visits or holds are ahead there ({count}), so {what}."
        raise InUse(detail)


def _resources_at(session: Session, call: Call, location_id: UUID) -> list[UUID]:
    """Everything that stands there and everyone who works there."""
    rows = session.execute(
        select(Resource.id, Resource.kind, Resource.hours).where(
            Resource.organization_id == call.organization_id,
            Resource.deleted_at.is_(None),
            or_(Resource.location_id == location_id, Resource.kind == "practitioner"),
        )
    )
    here = str(location_id)
    return [
        row.id
        for row in rows
        if row.kind != "practitioner" or any(entry.get("location_id") == here for entry in row.hours or ())
    ]
