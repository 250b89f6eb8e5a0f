"""Extra hours: one-off shifts of a practitioner, room or device at a location. Whom an end affects is impact's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import ColumnElement
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.civil import on_grid, zone
from scheduler.core.errors import Fault, Invalid, NotFound, refuse, together
from scheduler.models import ExtraHours, Location, Resource, new_id
from scheduler.services import consequences, impact, locations, records
from scheduler.services.impact import Affected
from scheduler.services.locks import bump_calendars, lock_locations, lock_resources
from scheduler.services.paging import Page


@dataclass(frozen=True)
class ExtraHoursView:
    """A one-off shift as clients see it, by the clock of its location."""

    id: UUID
    resource_id: UUID
    location_id: UUID
    start: datetime
    end: datetime
    reason: str
    revision: int
    created_at: datetime
    time_zone: str = "UTC"


def _view(row: ExtraHours) -> ExtraHoursView:
    return ExtraHoursView(
        row.id, row.resource_id, row.location_id, row.starts_at, row.ends_at, row.reason, row.revision, row.created_at
    )


KIND = records.Kind("extra_hours", ExtraHours, _view)

_ABLE = records.Kind(
    "resource", Resource, lambda row: row, where=(Resource.kind != "patient", Resource.deleted_at.is_(None))
)
_SITE = records.Kind("location", Location, lambda row: row, where=(Location.deleted_at.is_(None),))


def create(
    session: Session,
    call: Call,
    *,
    resource_id: UUID,
    location_id: UUID,
    start: datetime,
    end: datetime,
    reason: str = "",
) -> ExtraHoursView:
    """Let the resource be at the location in [start, end) besides its weekly hours.

    The location's own hours and closures bind it all the same. Raises NotFound, Invalid.
    """
    lock_locations(session, call, [location_id], share=False)
    lock_resources(session, call, [resource_id])
    together(
        lambda: check_span(call, start, end),
        lambda: records.find(session, call, _SITE, location_id),
        lambda: _expect_at(records.find(session, call, _ABLE, resource_id), location_id),
    )
    row = ExtraHours(
        organization_id=call.organization_id,
        id=new_id(),
        resource_id=resource_id,
        location_id=location_id,
        starts_at=start.astimezone(UTC),
        ends_at=end.astimezone(UTC),
        reason=reason,
        created_at=call.now,
    )
    view = records.add(session, call, KIND, row)
    bump_calendars(session, call, [resource_id], locked=True)
    roster = impact.roster_of(records.find(session, call, _ABLE, resource_id))
    consequences.mended(session, call, resource_id, lambda ids: impact.lacking_roster(session, call, roster, ids))
    return _by_the_clock(session, call, [view])[0]


def get(session: Session, call: Call, extra_hours_id: UUID) -> ExtraHoursView:
    """One shift. Raises NotFound."""
    return _by_the_clock(session, call, [records.get(session, call, KIND, extra_hours_id)])[0]


def listing(
    session: Session,
    call: Call,
    *,
    resource_id: UUID | None = None,
    location_id: UUID | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = 50,
    cursor: str | None = None,
) -> Page[ExtraHoursView]:
    """The organization's shifts, in the order in which they were made; those that meet [since, until) if wanted."""
    conditions: list[ColumnElement[bool]] = []
    if resource_id is not None:
        conditions.append(ExtraHours.resource_id == resource_id)
    if location_id is not None:
        conditions.append(ExtraHours.location_id == location_id)
    if since is not None:
        conditions.append(ExtraHours.ends_at > since)
    if until is not None:
        conditions.append(ExtraHours.starts_at < until)
    found = records.listing(session, call, KIND, *conditions, limit=limit, cursor=cursor)
    return Page(_by_the_clock(session, call, found.items), found.next_cursor)


def remove(session: Session, call: Call, extra_hours_id: UUID, revision: int) -> tuple[Affected, ...]:
    """Take a shift back; the visits that somebody has to look at. Raises NotFound, StaleRevision."""
    row = records.find(session, call, KIND, extra_hours_id)
    lock_locations(session, call, [row.location_id], share=False)
    lock_resources(session, call, [row.resource_id])
    row = records.find(session, call, KIND, extra_hours_id)
    records.expect(row, revision)
    resource = session.get(Resource, (call.organization_id, row.resource_id), populate_existing=True)
    if resource is None:
        raise NotFound("There is no such resource.")
    before = replace(impact.roster_of(resource), extra=impact.shifts_of(session, call, resource.id))
    session.delete(row)
    records.note_removal(session, call, KIND, row)
    bump_calendars(session, call, [resource.id], locked=True)
    affected = impact.by_roster(session, call, before, impact.roster_of(resource))
    why = "A shift on which the visit rests was taken back."
    return consequences.owe(session, call, affected, cause=f"{resource.id}/{extra_hours_id}", why=why)


def _by_the_clock(session: Session, call: Call, views: Sequence[ExtraHoursView]) -> list[ExtraHoursView]:
    zones = locations.zones_of(session, call, {view.location_id for view in views})
    found = []
    for view in views:
        name = zones[view.location_id]
        start, end = view.start.astimezone(zone(name)), view.end.astimezone(zone(name))
        found.append(replace(view, start=start, end=end, time_zone=name))
    return found


def _expect_at(resource: Resource, location_id: UUID) -> None:
    if resource.location_id not in (None, location_id):
        raise Invalid([Fault("/location_id", "not_its_location", "A room or device stays at its own location.")])


def check_span(call: Call, start: datetime, end: datetime) -> None:
    """Raises Invalid for a span that is empty, over or off the grid."""
    faults = [
        Fault(pointer, "not_on_grid", "Shifts begin and end on the five-minute grid.")
        for pointer, instant in (("/start", start), ("/end", end))
        if not on_grid(instant)
    ]
    if end <= start:
        faults.append(Fault("/end", "ends_before_start", "The end is not after the start."))
    elif end <= call.now:
        faults.append(Fault("/end", "in_the_past", "The shift is already over."))
    refuse(faults)
