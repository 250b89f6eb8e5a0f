"""Calendar feeds of practitioners, rooms, devices and patients: made, ended, and what they show. Writes no calendar.

The address is the key: whoever has it may look until it is revoked. A patient's own feed shows every visit; anybody
else's shows the time that the resource itself serves. No event names a patient; a patient's are in their language.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Row, func, select, update
from sqlalchemy.orm import Session

from scheduler.core.calendar_entry import OFF, Entry
from scheduler.core.call import Call
from scheduler.core.errors import NotFound
from scheduler.core.visit import called
from scheduler.messaging.render import neutral
from scheduler.models import (
    Appointment,
    AuditEvent,
    CalendarFeed,
    Location,
    Occupancy,
    Organization,
    Patient,
    Resource,
    VisitTypeRow,
    new_id,
)
from scheduler.services import audit, tokens
from scheduler.services.paging import Page, page
from scheduler.services.records import Revision, expect, hold

Titles = Literal["neutral", "visit_type"]

#: A feed reaches so far back and ahead.
_BACK, _AHEAD = timedelta(days=31), timedelta(days=400)
#: That a feed is looked at is written down so often: calendars look every few minutes.
_NOTED_EVERY = timedelta(days=1)

Window = tuple[datetime, datetime]


@dataclass(frozen=True)
class Shown:
    """What a feed shows: its name, which names nobody, and its entries by start."""

    name: str
    entries: tuple[Entry, ...]


def create(session: Session, call: Call, *, resource_id: UUID, titles: Titles = "neutral") -> tuple[CalendarFeed, str]:
    """A new feed and its token, which is shown once. Raises NotFound for a resource that is not there."""
    resource = session.get(Resource, (call.organization_id, resource_id))
    if resource is None or resource.deleted_at is not None:
        raise NotFound("There is no such practitioner, room, device or patient.")
    feed_id = new_id()
    token, secret_hash = tokens.issue("feed", call.organization_id, feed_id)
    row = CalendarFeed(
        organization_id=call.organization_id,
        id=feed_id,
        resource_id=resource_id,
        titles=titles,
        secret_hash=secret_hash,
        created_at=call.now,
    )
    session.add(row)
    what = {"resource_id": resource_id, "titles": titles}
    audit.note(session, call, "calendar_feed.create", "calendar_feed", feed_id, after=what)
    return row, token


def get(session: Session, call: Call, feed_id: UUID) -> CalendarFeed:
    """One feed. Raises NotFound."""
    row = session.get(CalendarFeed, (call.organization_id, feed_id))
    if row is None:
        raise NotFound("There is no such calendar feed.")
    return row


def listed(
    session: Session, call: Call, *, resource_id: UUID | None = None, limit: int = 50, cursor: str | None = None
) -> Page[CalendarFeed]:
    """The organization's feeds, oldest first, ended ones too."""
    wanted = select(CalendarFeed).where(CalendarFeed.organization_id == call.organization_id)
    if resource_id is not None:
        wanted = wanted.where(CalendarFeed.resource_id == resource_id)
    return page(session, call, wanted, [CalendarFeed.id], limit=limit, cursor=cursor)


def revoke(session: Session, call: Call, feed_id: UUID, *, revision: Revision | None = None) -> CalendarFeed:
    """End a feed at once; ending it twice changes nothing. Raises NotFound, StaleRevision."""
    row = hold(session, get(session, call, feed_id))
    expect(row, revision)
    if row.revoked_at is None:
        row.revoked_at = call.now
        audit.note(session, call, "calendar_feed.revoke", "calendar_feed", row.id)
    return row


def opened(session: Session, token: str, now: datetime) -> CalendarFeed:
    """The feed behind an address. Raises NotFound, alike whether it is malformed, unknown or revoked."""
    shown = tokens.read("feed", token)
    row = session.get(CalendarFeed, (shown.organization_id, shown.row_id)) if shown else None
    good = shown is not None and shown.opens(row.secret_hash if row else None)
    if row is None or not good or (row.revoked_at is not None and row.revoked_at <= now):
        raise NotFound("There is no such calendar.")
    return row


def to_be_noted(row: CalendarFeed, now: datetime) -> bool:
    """Whether this look is one that is written down: the first of a day."""
    return row.read_at is None or row.read_at <= now - _NOTED_EVERY


def note_look(session: Session, call: Call, feed_id: UUID) -> None:
    """Write down that the feed is in use."""
    mine = CalendarFeed.organization_id == call.organization_id, CalendarFeed.id == feed_id
    session.execute(update(CalendarFeed).where(*mine).values(read_at=call.now))
    audit.note(session, call, "calendar_feed.read", "calendar_feed", feed_id)


def show(session: Session, call: Call, row: CalendarFeed) -> Shown:
    """What the feed shows now: a constant number of statements, whatever it holds."""
    resource = session.get_one(Resource, (call.organization_id, row.resource_id))
    organization = session.get_one(Organization, call.organization_id)
    patient = session.get_one(Patient, (call.organization_id, resource.id)) if resource.kind == "patient" else None
    locales = [*filter(None, (patient.locale if patient else None, organization.default_locale))]
    window = call.now - _BACK, call.now + _AHEAD
    own = resource.kind == "patient"
    parts = None if own else _served(session, call, resource.id, window)
    rows = _visits(session, call, window, patient_id=resource.id if own else None, ids=parts)
    found = [(each, *(parts[each.id] if parts else (each.starts_at, each.ends_at))) for each in rows]
    if not own:
        found += _called_off(session, call, resource.id, window)
    changed = _changed_at(session, call, [each.id for each, _, _ in found])
    entries = [
        Entry.of(
            each,
            title=each.inner_name
            if row.titles == "visit_type"
            else neutral(called(each.public_name, each.public_names or {}, locales), locales),
            place=each.address,
            stamp=changed.get(each.id, each.created_at),
            part=(start, end),
        )
        for each, start, end in found
    ]
    name = organization.sender_name if own else resource.name
    return Shown(name, tuple(sorted(entries, key=lambda entry: (entry.start, entry.visit_id))))


def _served(session: Session, call: Call, resource_id: UUID, window: Window) -> dict[UUID, Window]:
    """The appointments that the resource serves, each with the part that it serves."""
    rows = session.execute(
        select(Occupancy.appointment_id, func.min(Occupancy.starts_at), func.max(Occupancy.ends_at))
        .where(
            Occupancy.organization_id == call.organization_id,
            Occupancy.resource_id == resource_id,
            Occupancy.appointment_id.is_not(None),
            Occupancy.blocking,
            Occupancy.ends_at > window[0],
            Occupancy.starts_at < window[1],
        )
        .group_by(Occupancy.appointment_id)
    )
    return {visit_id: (start, end) for visit_id, start, end in rows if visit_id is not None}


def _columns() -> Any:
    """The columns of a visit that a feed speaks of."""
    public, inner = VisitTypeRow.definition["public_name"], VisitTypeRow.definition["name"]
    same_kind = (VisitTypeRow.organization_id == Appointment.organization_id) & (
        VisitTypeRow.id == Appointment.visit_type_id
    )
    same_site = (Location.organization_id == Appointment.organization_id) & (Location.id == Appointment.location_id)
    return (
        select(
            Appointment.id,
            Appointment.sequence,
            Appointment.status,
            Appointment.starts_at,
            Appointment.ends_at,
            Appointment.time_zone,
            Appointment.created_at,
            public.as_string().label("public_name"),
            VisitTypeRow.definition["public_names"].label("public_names"),
            inner.as_string().label("inner_name"),
            Location.address,
        )
        .join(VisitTypeRow, same_kind)
        .join(Location, same_site)
    )


def _visits(
    session: Session, call: Call, window: Window, *, patient_id: UUID | None, ids: Iterable[UUID] | None
) -> list[Row[Any]]:
    wanted = _columns().where(
        Appointment.organization_id == call.organization_id,
        Appointment.ends_at > window[0],
        Appointment.starts_at < window[1],
    )
    if patient_id is not None:
        wanted = wanted.where(Appointment.patient_id == patient_id)
    if ids is not None:
        wanted = wanted.where(Appointment.id.in_(list(ids)))
    return list(session.execute(wanted))


def _called_off(
    session: Session, call: Call, resource_id: UUID, window: Window
) -> list[tuple[Row[Any], datetime, datetime]]:
    """Visits that the resource was to serve and that are off: the audit trail remembers who served them."""
    told = (AuditEvent.organization_id == Appointment.organization_id) & (AuditEvent.subject_id == Appointment.id)
    wanted = (
        _columns()
        .add_columns(AuditEvent.before)
        .join(AuditEvent, told & (AuditEvent.action == "appointment.cancel"))
        .where(
            Appointment.organization_id == call.organization_id,
            Appointment.status.in_(sorted(OFF)),
            Appointment.ends_at > window[0],
            Appointment.starts_at < window[1],
        )
        .order_by(AuditEvent.id)
    )
    last = {row.id: row for row in session.execute(wanted)}
    return [
        (row, row.starts_at, row.ends_at)
        for row in last.values()
        if any(each.get("resource_id") == str(resource_id) for each in (row.before or {}).get("served", ()))
    ]


def _changed_at(session: Session, call: Call, ids: Iterable[UUID]) -> dict[UUID, datetime]:
    """When each visit last changed, by the audit trail."""
    wanted = (
        select(AuditEvent.subject_id, func.max(AuditEvent.at))
        .where(AuditEvent.organization_id == call.organization_id, AuditEvent.subject_id.in_(list(ids)))
        .where(~AuditEvent.action.endswith(".read"))
        .group_by(AuditEvent.subject_id)
    )
    return {row[0]: row[1] for row in session.execute(wanted)}
