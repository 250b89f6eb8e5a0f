"""Rows into calendars: one location's site over a span of time, in a constant number of statements. Writes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, and_, or_, select
from sqlalchemy.orm import Session

from scheduler.core.availability import Calendar
from scheduler.core.bitmap import Timeline
from scheduler.core.call import Call
from scheduler.core.errors import NotFound
from scheduler.core.packing import Held
from scheduler.core.policies import Policies
from scheduler.core.site import ClearanceFact, Site, closed_mask, rostered, valid_days
from scheduler.models import Absence, Clearance, Hold, Location, Occupancy, Organization, Resource

#: No blocking occupancy is longer (a constraint says so): how far back an overlap can begin.
LONGEST = timedelta(hours=24)
_MARGIN = timedelta(days=1)


@dataclass(frozen=True)
class Loaded:
    """A site, and what booking needs to know of the rows behind it."""

    site: Site
    location: Row[Any]
    policies: Policies
    units: Mapping[UUID, int]
    revisions: Mapping[UUID, int]
    held: Mapping[UUID, list[Held]]
    #: Resources whose way is blocked by a hold that has expired but was not swept.
    expired: frozenset[UUID] = field(default_factory=frozenset)


def load(
    session: Session,
    call: Call,
    *,
    location_id: UUID,
    start: datetime,
    end: datetime,
    patient_id: UUID | None = None,
    ignoring: Sequence[UUID] = (),
    own_hold: UUID | None = None,
) -> Loaded:
    """The site from `start` to `end` (aware), widened to whole UTC days and a margin for visits across the edges.

    `ignoring` are appointments whose occupancies do not count (the one that moves), `own_hold` a hold likewise. Raises
    NotFound for a location or patient that the organization does not have. At most six statements.
    """
    timeline = Timeline.covering(start - _MARGIN, end + _MARGIN)
    location = _location(session, call, location_id)
    resources = _resources(session, call, location_id, patient_id)
    if patient_id is not None and patient_id not in resources:
        detail = f"No patient {patient_id}."
        raise NotFound(detail)
    held, expired = _held(session, call, list(resources), timeline, ignoring, own_hold)
    absent = _absences(session, call, list(resources), timeline)
    zone = location.time_zone
    closed = closed_mask(location.closures, zone, timeline)
    calendars = {
        key: _calendar(row, location, timeline, closed, held.get(key, []), absent.get(key, []))
        for key, row in resources.items()
    }
    policies = Policies.from_document(location.policies)
    site = Site(
        timeline=timeline,
        time_zone=zone,
        open=rostered(location.hours, zone, timeline) & ~closed,
        closed=closed,
        certifications=tuple(location.certifications),
        calendars={key: each for key, each in calendars.items() if each.kind != "patient"},
        patient=calendars[patient_id] if patient_id is not None else None,
        clearances=_clearances(session, call, patient_id) if patient_id is not None else (),
        earliest=call.now + timedelta(minutes=policies.lead_minutes),
        latest=call.now + timedelta(days=policies.horizon_days),
        now=call.now,
    )
    return Loaded(
        site=site,
        location=location,
        policies=policies,
        units={key: row.units for key, row in resources.items()},
        revisions={key: row.calendar_revision for key, row in resources.items()},
        held=held,
        expired=expired,
    )


def _location(session: Session, call: Call, location_id: UUID) -> Row[Any]:
    """The location with its organization's policies."""
    row = session.execute(
        select(
            Location.id,
            Location.name,
            Location.time_zone,
            Location.hours,
            Location.closures,
            Location.certifications,
            Organization.policies,
        )
        .join(Organization, Organization.id == Location.organization_id)
        .where(
            Location.organization_id == call.organization_id,
            Location.id == location_id,
            Location.deleted_at.is_(None),
        )
    ).one_or_none()
    if row is None:
        detail = f"No location {location_id}."
        raise NotFound(detail)
    return row


def _resources(session: Session, call: Call, location_id: UUID, patient_id: UUID | None) -> dict[UUID, Row[Any]]:
    """Everyone and everything that could serve at the location, and the patient, in id order."""
    rows = session.execute(
        select(
            Resource.id,
            Resource.kind,
            Resource.type_code,
            Resource.units,
            Resource.roles,
            Resource.hours,
            Resource.calendar_revision,
        )
        .where(
            Resource.organization_id == call.organization_id,
            Resource.deleted_at.is_(None),
            or_(
                Resource.kind == "practitioner",
                Resource.location_id == location_id,
                and_(Resource.kind == "patient", Resource.id == patient_id),
            ),
        )
        .order_by(Resource.id)
    )
    return {row.id: row for row in rows}


def _held(
    session: Session,
    call: Call,
    ids: Sequence[UUID],
    timeline: Timeline,
    ignoring: Sequence[UUID],
    own_hold: UUID | None,
) -> tuple[dict[UUID, list[Held]], frozenset[UUID]]:
    """The units taken of each resource, and the resources in whose way an expired hold lies."""
    rows = session.execute(
        select(
            Occupancy.resource_id,
            Occupancy.unit,
            Occupancy.starts_at,
            Occupancy.ends_at,
            Occupancy.appointment_id,
            Occupancy.hold_id,
            Hold.expires_at,
        )
        .outerjoin(Hold, and_(Hold.organization_id == Occupancy.organization_id, Hold.id == Occupancy.hold_id))
        .where(
            Occupancy.organization_id == call.organization_id,
            Occupancy.resource_id.in_(ids),
            Occupancy.blocking,
            Occupancy.starts_at > timeline.origin - LONGEST,
            Occupancy.starts_at < timeline.end,
            Occupancy.ends_at > timeline.origin,
        )
    )
    held: dict[UUID, list[Held]] = {}
    expired: set[UUID] = set()
    for row in rows:
        if row.expires_at is not None and row.expires_at <= call.now:
            expired.add(row.resource_id)
        elif row.appointment_id not in ignoring and (own_hold is None or row.hold_id != own_hold):
            held.setdefault(row.resource_id, []).append(Held(row.unit, row.starts_at, row.ends_at))
    return held, frozenset(expired)


def _absences(
    session: Session, call: Call, ids: Sequence[UUID], timeline: Timeline
) -> dict[UUID, list[tuple[datetime, datetime]]]:
    rows = session.execute(
        select(Absence.resource_id, Absence.starts_at, Absence.ends_at).where(
            Absence.organization_id == call.organization_id,
            Absence.resource_id.in_(ids),
            Absence.ends_at > timeline.origin,
            Absence.starts_at < timeline.end,
        )
    )
    found: dict[UUID, list[tuple[datetime, datetime]]] = {}
    for row in rows:
        found.setdefault(row.resource_id, []).append((row.starts_at, row.ends_at))
    return found


def _clearances(session: Session, call: Call, patient_id: UUID) -> tuple[ClearanceFact, ...]:
    rows = session.execute(
        select(Clearance.kind, Clearance.modality, Clearance.outcome, Clearance.valid_from, Clearance.valid_to)
        .where(Clearance.organization_id == call.organization_id, Clearance.patient_id == patient_id)
        .order_by(Clearance.id)
    )
    return tuple(ClearanceFact(*row) for row in rows)


def _calendar(
    row: Row[Any],
    location: Row[Any],
    timeline: Timeline,
    closed: int,
    held: Sequence[Held],
    absent: Sequence[tuple[datetime, datetime]],
) -> Calendar:
    return Calendar(
        resource_id=row.id,
        kind=row.kind,
        units=row.units,
        rostered=_roster(row, location, timeline) & ~closed,
        absent=timeline.ladder(absent, 1)[0],
        # Units beyond the regular ones belong to overrides: they take nothing from anybody.
        taken=timeline.ladder(((each.start, each.end) for each in held if each.unit < row.units), row.units),
        serves=_serves(row, location, timeline),
    )


def _roster(row: Row[Any], location: Row[Any], timeline: Timeline) -> int:
    """A patient is always there; a room or device keeps the location's hours unless it has its own."""
    if row.kind == "patient":
        return timeline.everything
    if row.kind == "practitioner":
        here = str(location.id)
        hours = [_weekly(entry) for entry in row.hours or () if entry.get("location_id") == here]
    else:
        hours = location.hours if row.hours is None else row.hours
    return rostered(hours, location.time_zone, timeline)


def _weekly(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key != "location_id"}


def _serves(row: Row[Any], location: Row[Any], timeline: Timeline) -> dict[str, int]:
    """Selector to the slots of the days on which the qualification for it is valid."""
    if row.kind != "practitioner":
        return {f"{row.kind}:{row.type_code}": -1} if row.type_code else {}
    entries: dict[str, list[dict[str, Any]]] = {}
    for role in row.roles:
        if role.get("location_id") in (None, str(location.id)):
            bounds = {key: role[key] for key in ("valid_from", "valid_to") if role.get(key)}
            entries.setdefault(f"role:{role['code']}", []).append(bounds)
    return {
        selector: -1 if {} in bounds else valid_days(bounds, location.time_zone, timeline)
        for selector, bounds in entries.items()
    }
