"""Rows into calendars: one location's site over a span of time, in a constant number of statements. Writes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
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
from scheduler.core.rooms import RoomPool, Stay
from scheduler.core.site import ClearanceFact, Site, closed_mask, rostered, valid_days
from scheduler.models import Clearance, Location, Organization, Resource
from scheduler.services.busy import Busy, Taken, busy

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
    occupied = busy(
        session, call, timeline, {key: (row.calendar_revision, row.units) for key, row in resources.items()}
    )
    owners = {*ignoring, *([own_hold] if own_hold is not None else [])}
    standing = {key: each.standing(call.now, owners) for key, each in occupied.items()}
    zone = location.time_zone
    closed = closed_mask(location.closures, zone, timeline)
    calendars = {
        key: _calendar(row, location, timeline, closed, occupied[key], standing[key]) for key, row in resources.items()
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
        pools=_pools(call, resources, calendars, timeline, standing),
    )
    return Loaded(
        site=site,
        location=location,
        policies=policies,
        units={key: row.units for key, row in resources.items()},
        revisions={key: row.calendar_revision for key, row in resources.items()},
        held={key: [Held(each.unit, each.start, each.end) for each in rows] for key, rows in standing.items()},
        expired=frozenset(
            key
            for key, each in occupied.items()
            if any(row.expires_at is not None and row.expires_at <= call.now for row in each.taken)
        ),
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
    occupied: Busy,
    standing: tuple[Taken, ...],
) -> Calendar:
    return Calendar(
        resource_id=row.id,
        kind=row.kind,
        units=row.units,
        rostered=_roster(row, location, timeline) & ~closed,
        absent=occupied.absent,
        taken=occupied.ladder(standing),
        serves=_serves(row, location, timeline),
    )


def _pools(
    call: Call,
    resources: Mapping[UUID, Row[Any]],
    calendars: Mapping[UUID, Calendar],
    timeline: Timeline,
    standing: Mapping[UUID, tuple[Taken, ...]],
) -> dict[str, RoomPool]:
    """Rooms of one type that keep the same hours and hold one visit each: they may be bound late."""
    groups: dict[str, list[UUID]] = {}
    for key, row in resources.items():
        if row.kind == "room" and row.type_code:
            groups.setdefault(f"room:{row.type_code}", []).append(key)
    pools = {}
    for selector, rooms in groups.items():
        alike = {(calendars[key].rostered, resources[key].units) for key in rooms}
        if len(rooms) > 1 and alike == {(calendars[rooms[0]].rostered, 1)}:
            look = partial(stays_in, {key: standing[key] for key in rooms}, timeline, call.now)
            pools[selector] = RoomPool(tuple(rooms), look, {key: calendars[key].absent for key in rooms})
    return pools


def stays_in(taken: Mapping[UUID, Sequence[Taken]], timeline: Timeline, now: datetime) -> Iterator[Stay]:
    """The stays in rooms of one unit. What has begun, or lies in several rooms or pieces, is not moved any more."""
    owners = Counter(row.owner for rows in taken.values() for row in rows if row.unit == 0)
    for key, rows in taken.items():
        for row in rows:
            if row.unit == 0:
                fixed = row.fixed or row.start <= now or owners[row.owner] > 1
                yield Stay(row.owner, key, timeline.slot(row.start), timeline.slot_after(row.end), fixed)


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
