"""Absences: times when a practitioner, room or device is not there. They free nothing; they say whom they affect."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import ColumnElement, delete, select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.errors import Fault, LostRace, refuse, whole
from scheduler.core.intervals import Span
from scheduler.models import Absence, Occupancy, Resource, new_id
from scheduler.services import appointments, consequences, impact, records
from scheduler.services.impact import Affected
from scheduler.services.locks import bump_calendars, lock_locations, lock_resources
from scheduler.services.paging import Page


@dataclass(frozen=True)
class AbsenceView:
    """An absence as clients see it, aware UTC; `affected_appointments` is filled when it is made."""

    id: UUID
    resource_id: UUID
    start: datetime
    end: datetime
    reason: str
    revision: int
    created_at: datetime
    affected_appointments: tuple[Affected, ...] = ()


_WHY = "Somebody or something that the visit needs is away."
_NOBODY = "Nobody who is on site then has a role that the visit needs."


def _view(row: Absence) -> AbsenceView:
    return AbsenceView(row.id, row.resource_id, row.starts_at, row.ends_at, row.reason, row.revision, row.created_at)


KIND = records.Kind("absence", Absence, _view)

_ABLE = records.Kind(
    "resource", Resource, lambda row: row, where=(Resource.kind != "patient", Resource.deleted_at.is_(None))
)


def create(
    session: Session, call: Call, *, resource_id: UUID, start: datetime, end: datetime, reason: str = ""
) -> AbsenceView:
    """Write down that the resource is away in [start, end), and say which visits that affects.

    Raises NotFound for a resource that is none, Invalid for a span that ends before it starts or is already over.
    """
    row = whole(lambda: records.find(session, call, _ABLE, resource_id), lambda: check_span(call, start, end))
    check_span(call, start, end)
    at = sites(session, call, row)
    lock_locations(session, call, at, share=False)
    lock_resources(session, call, [resource_id])
    row = records.find(session, call, _ABLE, resource_id)
    if sites(session, call, row) - at:
        raise LostRace("The resource was given another place to work a moment ago.")
    absence = Absence(
        organization_id=call.organization_id,
        id=new_id(),
        resource_id=resource_id,
        starts_at=start.astimezone(UTC),
        ends_at=end.astimezone(UTC),
        reason=reason,
        created_at=call.now,
    )
    view = records.add(session, call, KIND, absence)
    session.add(_occupancy(absence))
    session.flush()
    bump_calendars(session, call, [resource_id], locked=True)
    affected = _affected(session, call, absence, row, [absence.id])
    return replace(
        view, affected_appointments=consequences.owe(session, call, affected, cause=str(absence.id), why=_WHY)
    )


def get(session: Session, call: Call, absence_id: UUID) -> AbsenceView:
    """One absence. Raises NotFound."""
    return records.get(session, call, KIND, absence_id)


def listing(
    session: Session,
    call: Call,
    *,
    resource_id: UUID | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = 50,
    cursor: str | None = None,
) -> Page[AbsenceView]:
    """The organization's absences, in the order in which they were made; those that meet [since, until) if wanted."""
    conditions: list[ColumnElement[bool]] = []
    if resource_id is not None:
        conditions.append(Absence.resource_id == resource_id)
    if since is not None:
        conditions.append(Absence.ends_at > since)
    if until is not None:
        conditions.append(Absence.starts_at < until)
    return records.listing(session, call, KIND, *conditions, limit=limit, cursor=cursor)


def remove(session: Session, call: Call, absence_id: UUID, revision: int) -> None:
    """Take an absence back. Raises NotFound, StaleRevision."""
    row = records.find(session, call, KIND, absence_id)
    resource = session.get_one(Resource, (call.organization_id, row.resource_id))
    lock_locations(session, call, sites(session, call, resource), share=False)
    lock_resources(session, call, [row.resource_id])
    row = records.find(session, call, KIND, absence_id)
    records.expect(row, revision)
    session.execute(
        delete(Occupancy).where(Occupancy.organization_id == call.organization_id, Occupancy.absence_id == absence_id)
    )
    session.delete(row)
    records.note_removal(session, call, KIND, row)
    bump_calendars(session, call, [row.resource_id], locked=True)
    eased = consequences.withdraw(session, call, str(absence_id))
    if eased:
        _blame_others(session, call, row, eased)


def missed(session: Session, call: Call, ids: set[UUID], span: Span, *, back: UUID | None = None) -> set[UUID]:
    """Owe a task for those of the visits that lack somebody by absences in the span; which of them are left.

    One is enough for a visit; first of whoever was to be `back`.
    """
    wanted = select(Absence).where(
        Absence.organization_id == call.organization_id, Absence.starts_at < span.end, Absence.ends_at > span.start
    )
    there = session.scalars(wanted.order_by(Absence.resource_id.is_distinct_from(back), Absence.id)).all()
    for each in there:
        who = session.get_one(Resource, (call.organization_id, each.resource_id))
        theirs = [other.id for other in there if other.resource_id == each.resource_id]
        left = [visit for visit in _affected(session, call, each, who, theirs) if visit.id in ids]
        consequences.owe(session, call, left, cause=str(each.id), why=_WHY)
        ids = ids - {visit.id for visit in left}
    return ids


def _blame_others(session: Session, call: Call, gone: Absence, eased: set[UUID]) -> None:
    """Owe a task for visits that lack somebody still: other absences came when nobody was there any more.

    Where no absence alone is to blame, roles or hours were lost meanwhile: then it is a matter of whoever was to be
    back, until that one's roles or hours change.
    """
    eased = missed(session, call, eased, Span(gone.starts_at, gone.ends_at), back=gone.resource_id)
    if eased:
        back = session.get_one(Resource, (call.organization_id, gone.resource_id))
        ids = impact.lacking_roster(session, call, impact.roster_of(back), eased) & eased
        left = [impact.affected_of(appointments.row_of(session, call, each)) for each in sorted(ids)]
        consequences.owe(session, call, left, cause=f"{back.id}/{gone.id}", why=_NOBODY)


def check_span(call: Call, start: datetime, end: datetime) -> None:
    """Raises Invalid for a span that ends before it starts or is already over."""
    faults = []
    if end <= start:
        faults.append(Fault("/end", "ends_before_start", "The end is not after the start."))
    elif end <= call.now:
        faults.append(Fault("/end", "in_the_past", "The absence is already over."))
    refuse(faults)


def sites(session: Session, call: Call, row: Resource) -> set[UUID]:
    """The locations at which its presence counts."""
    found = {UUID(location_id) for location_id in impact.roster_of(row).location_ids}
    found |= {location_id for location_id, _ in impact.shifts_of(session, call, row.id)}
    return found | {row.location_id} if row.location_id else found


def _affected(
    session: Session, call: Call, absence: Absence, who: Resource, ids: Collection[UUID]
) -> tuple[Affected, ...]:
    span = Span(absence.starts_at, absence.ends_at)
    return impact.by_absence(session, call, impact.roster_of(who), ids, span)


def _occupancy(absence: Absence) -> Occupancy:
    return Occupancy(
        organization_id=absence.organization_id,
        resource_id=absence.resource_id,
        unit=0,
        starts_at=absence.starts_at,
        ends_at=absence.ends_at,
        kind="absence",
        blocking=False,
        absence_id=absence.id,
    )
