"""Which booked visits a change leaves without what they need. It only looks: nothing stays booked in silence.

The judgment is core/duty's. A visit that did not stand before the change either is not blamed on it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, and_, select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.civil import zone
from scheduler.core.duty import Duty, Place, Roster, covered, roster_holds, site_holds
from scheduler.core.intervals import Span
from scheduler.core.lifecycle import LIVE
from scheduler.models import (
    Absence,
    Appointment,
    CourseSession,
    ExtraHours,
    Location,
    Occupancy,
    Resource,
    VisitTypeRow,
)
from scheduler.services.groups import companions
from scheduler.services.public_holidays import closures_ahead

#: Statuses of visits that are still to come or going on.
AHEAD = LIVE - {"fulfilled"}


@dataclass(frozen=True)
class Affected:
    """A visit that somebody has to look at. `start` and `end` carry the offset of its zone."""

    id: UUID
    patient_id: UUID
    visit_type: str
    status: str
    location_id: UUID
    start: datetime
    end: datetime
    time_zone: str
    course_id: UUID | None = None


@dataclass(frozen=True)
class Ahead:
    """Stretches of visits that are not over, with the places and people behind them."""

    rows: list[Row[Any]]
    places: Mapping[UUID, Place]
    rosters: Mapping[UUID, Roster]
    absences: Mapping[UUID, Sequence[Span]]
    certifications: Mapping[str, tuple[str, ...]]

    def duty(self, row: Row[Any]) -> Duty:
        """What that stretch rests on."""
        return _duty(row, self.certifications.get(row.visit_type, ()))


def ahead(session: Session, call: Call, *conditions: ColumnElement[bool]) -> Ahead:
    """The stretches of the visits ahead that fulfil the conditions (on Occupancy, Appointment or Resource)."""
    rows = _rows(session, call, *conditions)
    return Ahead(
        rows=rows,
        places=_places(session, call),
        rosters={roster.resource_id: roster for roster in _practitioners(session, call)},
        absences=_absences(session, call, [row for row in rows if row.kind == "present"]),
        certifications=_certifications(session, call, {row.visit_type for row in rows}),
    )


def by_site(session: Session, call: Call, before: Place, after: Place) -> tuple[Affected, ...]:
    """The visits ahead that stood with the location as it was and do not with it as it is."""
    rows = _rows(session, call, Appointment.location_id == after.id)
    needed = _certifications(session, call, {row.visit_type for row in rows})
    duties = [_duty(row, needed.get(row.visit_type, ())) for row in rows]
    return _views(session, call, rows, site_holds(before, duties) - site_holds(after, duties))


def by_roster(session: Session, call: Call, before: Roster, after: Roster) -> tuple[Affected, ...]:
    """The visits ahead that stood with the resource's hours and roles as they were and do not as they are.

    A roster without shifts is given those that the resource has now.
    """
    shifts = shifts_of(session, call, before.resource_id)
    before, after = (replace(each, extra=each.extra or shifts) for each in (before, after))
    rows = _rows(session, call, Occupancy.resource_id == after.resource_id, Occupancy.kind == "visit")
    places = _places(session, call)
    duties = [_duty(row) for row in rows]
    broken = roster_holds(before, places, duties) - roster_holds(after, places, duties)
    watched = _presence(session, call, before)
    others = [each for each in _practitioners(session, call) if each.resource_id != after.resource_id]
    absences = _absences(session, call, watched)
    broken |= {
        duty
        for duty in map(_duty, watched)
        if covered(duty, places[duty.location_id], [*others, before], absences)
        and not covered(duty, places[duty.location_id], [*others, after], absences)
    }
    return _views(session, call, [*rows, *watched], broken)


def lacking_roster(session: Session, call: Call, roster: Roster, ids: Collection[UUID]) -> set[UUID]:
    """Which of these visits miss something of the resource as it is now, or somebody on site with one of its roles."""
    roster = replace(roster, extra=shifts_of(session, call, roster.resource_id))
    rows = _rows(session, call, Appointment.id.in_({*ids, *companions(session, call, set(ids))}))
    mine = [_duty(row) for row in rows if row.kind == "visit" and row.resource_id == roster.resource_id]
    watched = [_duty(row) for row in rows if row.kind == "present"]
    places, everyone = _places(session, call), _practitioners(session, call)
    absences = _absences(session, call, [row for row in rows if row.kind == "present"])
    broken = set(mine) - roster_holds(roster, places, mine)
    broken |= {duty for duty in watched if not covered(duty, places[duty.location_id], everyone, absences)}
    found = {duty.appointment_id for duty in broken}
    return found | companions(session, call, found)


def lacking_site(session: Session, call: Call, place: Place, ids: Collection[UUID]) -> set[UUID]:
    """Which of these visits do not stand with the location as it is now."""
    rows = _rows(session, call, Appointment.id.in_(ids))
    needed = _certifications(session, call, {row.visit_type for row in rows})
    duties = [_duty(row, needed.get(row.visit_type, ())) for row in rows]
    return {duty.appointment_id for duty in set(duties) - site_holds(place, duties)}


def by_absence(
    session: Session,
    call: Call,
    roster: Roster,
    ids: Collection[UUID],
    span: Span,
    *,
    together: bool = False,
) -> tuple[Affected, ...]:
    """The visits ahead that the resource is booked for in that span, and those it was the last one to be on site for.

    The absence, with others of the resource if they count as one, is already written; without ids it is only supposed.
    With `together` it counts as one with everybody's.
    """
    roster = replace(roster, extra=shifts_of(session, call, roster.resource_id))
    meets = Occupancy.starts_at < span.end, Occupancy.ends_at > span.start
    rows = _rows(session, call, Occupancy.resource_id == roster.resource_id, Occupancy.kind == "visit", *meets)
    watched = _presence(session, call, roster, *meets)
    places, rosters = (_places(session, call), _practitioners(session, call)) if watched else ({}, [])
    absent = _absences(session, call, watched)
    had_been = _absences(session, call, watched, Absence.id.not_in(ids)) if ids else absent
    had_been = {} if together else had_been
    absent = absent | {roster.resource_id: [*absent.get(roster.resource_id, ()), span]}
    broken = {_duty(row) for row in rows} | {
        duty
        for duty in map(_duty, watched)
        if covered(duty, places[duty.location_id], rosters, had_been)
        and not covered(duty, places[duty.location_id], rosters, absent)
    }
    return _views(session, call, [*rows, *watched], broken)


def of_sessions(session: Session, call: Call, course_id: UUID, positions: Collection[int]) -> tuple[Affected, ...]:
    """The visits ahead that are booked for these sessions of a course; what is only pencilled goes by itself."""
    sessions = select(CourseSession.id).where(
        CourseSession.organization_id == call.organization_id,
        CourseSession.course_id == course_id,
        CourseSession.position.in_(positions),
    )
    of_them = Appointment.course_id == course_id, Appointment.course_session_id.in_(sessions)
    rows = _rows(session, call, *of_them, Appointment.status != "pending")
    found = {row.id: _view(row) for row in rows}
    return tuple(sorted(found.values(), key=lambda each: (each.start, each.id)))


def roster_of(row: Resource) -> Roster:
    """The facts of a resource that duties rest on, as they are now."""
    return Roster(row.id, row.kind, row.roles, row.hours)


def shifts_of(session: Session, call: Call, resource_id: UUID) -> tuple[tuple[UUID, Span], ...]:
    """The one-off shifts of a resource that are not over: (location, when)."""
    return _shifts(session, call, ExtraHours.resource_id == resource_id).get(resource_id, ())


def place_of(row: Location, today: date) -> Place:
    """The facts of a location that duties from `today` on rest on, as they are now."""
    closures = closures_ahead(row.closures, row.holidays, today)
    return Place(row.id, row.time_zone, row.hours, closures, row.certifications)


def _rows(session: Session, call: Call, *conditions: ColumnElement[bool]) -> list[Row[Any]]:
    """Occupancies of visits that are not over, with what is shown of the visit."""
    organization_id = Occupancy.organization_id
    wanted = (
        select(
            Occupancy.resource_id,
            Occupancy.role,
            Occupancy.kind,
            Occupancy.starts_at,
            Occupancy.ends_at,
            Appointment.id,
            Appointment.patient_id,
            Appointment.visit_type,
            Appointment.status,
            Appointment.location_id,
            Appointment.starts_at.label("visit_starts_at"),
            Appointment.ends_at.label("visit_ends_at"),
            Appointment.time_zone,
            Appointment.patient_region,
            Appointment.pins,
            Appointment.course_id,
            Resource.kind.label("resource_kind"),
            Resource.hours.is_(None).label("hourless"),
        )
        .join(
            Appointment,
            and_(Appointment.organization_id == organization_id, Appointment.id == Occupancy.appointment_id),
        )
        .join(Resource, and_(Resource.organization_id == organization_id, Resource.id == Occupancy.resource_id))
        .where(
            organization_id == call.organization_id,
            Occupancy.ends_at > call.now,
            Appointment.status.in_(sorted(AHEAD)),
            *conditions,
        )
    )
    return list(session.execute(wanted))


def _presence(session: Session, call: Call, roster: Roster, *conditions: ColumnElement[bool]) -> list[Row[Any]]:
    """The stretches at the resource's locations that want somebody on site in one of its roles, whoever that is."""
    locations = [UUID(location_id) for location_id in roster.location_ids]
    if not locations or not roster.selectors:
        return []
    wanted = (
        Occupancy.kind == "present",
        Occupancy.role.in_(sorted(roster.selectors)),
        Appointment.location_id.in_(locations),
    )
    return _rows(session, call, *wanted, *conditions)


def _places(session: Session, call: Call) -> dict[UUID, Place]:
    rows = session.scalars(select(Location).where(Location.organization_id == call.organization_id))
    return {row.id: place_of(row, call.now.date()) for row in rows}


def _practitioners(session: Session, call: Call) -> list[Roster]:
    wanted = select(Resource).where(
        Resource.organization_id == call.organization_id,
        Resource.kind == "practitioner",
        Resource.deleted_at.is_(None),
    )
    shifts = _shifts(session, call)
    return [replace(roster_of(row), extra=shifts.get(row.id, ())) for row in session.scalars(wanted)]


def _shifts(
    session: Session, call: Call, *conditions: ColumnElement[bool]
) -> dict[UUID, tuple[tuple[UUID, Span], ...]]:
    wanted = select(ExtraHours).where(
        ExtraHours.organization_id == call.organization_id, ExtraHours.ends_at > call.now, *conditions
    )
    found: dict[UUID, tuple[tuple[UUID, Span], ...]] = {}
    for row in session.scalars(wanted):
        shift = row.location_id, Span(row.starts_at, row.ends_at)
        found[row.resource_id] = (*found.get(row.resource_id, ()), shift)
    return found


def _absences(
    session: Session, call: Call, around: Collection[Row[Any]], *conditions: ColumnElement[bool]
) -> dict[UUID, list[Span]]:
    """Everybody's absences while these stretches last."""
    if not around:
        return {}
    wanted = select(Absence.resource_id, Absence.starts_at, Absence.ends_at).where(
        Absence.organization_id == call.organization_id,
        Absence.ends_at > min(row.starts_at for row in around),
        Absence.starts_at < max(row.ends_at for row in around),
        *conditions,
    )
    found: dict[UUID, list[Span]] = {}
    for row in session.execute(wanted):
        found.setdefault(row.resource_id, []).append(Span(row.starts_at, row.ends_at))
    return found


def _certifications(session: Session, call: Call, codes: Collection[str]) -> dict[str, tuple[str, ...]]:
    """What each visit type demands of the site."""
    wanted = select(VisitTypeRow.code, VisitTypeRow.definition).where(
        VisitTypeRow.organization_id == call.organization_id, VisitTypeRow.code.in_(codes)
    )
    required = ((code, definition.get("requires") or {}) for code, definition in session.execute(wanted))
    return {code: tuple(demands.get("site_certifications") or ()) for code, demands in required}


def _duty(row: Row[Any], certifications: tuple[str, ...] = ()) -> Duty:
    return Duty(
        appointment_id=row.id,
        resource_id=row.resource_id,
        location_id=row.location_id,
        selector=row.role,
        span=Span(row.starts_at, row.ends_at),
        keeps_site_hours=row.resource_kind == "patient" or (row.resource_kind != "practitioner" and row.hourless),
        certifications=certifications,
        region=row.patient_region,
        by_name=frozenset(UUID(pin["resource_id"]) for pin in row.pins if pin["selector"] == row.role),
    )


def _views(session: Session, call: Call, rows: Collection[Row[Any]], broken: Collection[Duty]) -> tuple[Affected, ...]:
    """Each visit once, by its start. What befalls one visit of a group befalls all of them."""
    ids = {duty.appointment_id for duty in broken}
    found = {row.id: _view(row) for row in rows if row.id in ids}
    missing = companions(session, call, ids) - found.keys()
    if missing:
        found |= {row.id: _view(row) for row in _rows(session, call, Appointment.id.in_(missing))}
    return tuple(sorted(found.values(), key=lambda each: (each.start, each.id)))


def affected_of(row: Appointment) -> Affected:
    """One visit that somebody has to look at for a reason of its own."""
    return _affected(row, row.starts_at, row.ends_at)


def _view(row: Row[Any]) -> Affected:
    return _affected(row, row.visit_starts_at, row.visit_ends_at)


def _affected(row: Row[Any] | Appointment, starts_at: datetime, ends_at: datetime) -> Affected:
    where = zone(row.time_zone)
    return Affected(
        id=row.id,
        patient_id=row.patient_id,
        visit_type=row.visit_type,
        status=row.status,
        location_id=row.location_id,
        start=starts_at.astimezone(where),
        end=ends_at.astimezone(where),
        time_zone=row.time_zone,
        course_id=row.course_id,
    )
