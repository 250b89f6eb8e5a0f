"""What the rules see of visits: their kinds, and where in its course each stands. Read for many at a time."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.reminders import Visit
from scheduler.models import Appointment, CourseSession
from scheduler.services.catalog import Kind, visit_kind, visit_kinds


@dataclass(frozen=True)
class Place:
    """Where a visit stands in its course: the step, whether it is the first dose, and the days until the next."""

    step: str | None = None
    first_of_course: bool = False
    first_dose: bool = False
    gap_days: int | None = None


@dataclass(frozen=True)
class Kinds:
    """The organization's visit types, and the places of some visits in their courses."""

    by_code: Mapping[str, Kind]
    places: Mapping[UUID, Place]

    @classmethod
    def of(cls, session: Session, call: Call, visits: Sequence[Appointment], known: Kind | None = None) -> Kinds:
        """Read them, unless they are `known`: two statements at the most."""
        by_code: Mapping[str, Kind]
        if len(visits) == 1 and visits[0].course_session_id is None:
            by_code = {visits[0].visit_type: known or visit_kind(session, call, visits[0].visit_type)}
        else:
            by_code = visit_kinds(session, call)
        dosing = {code for code, kind in by_code.items() if kind.visit.kind == "dosing"}
        courses = {visit.course_id for visit in visits if visit.course_id and visit.course_session_id}
        return cls(by_code, _places(session, call, courses, dosing) if courses else {})

    def seen(self, appointment: Appointment, *, previous: datetime | None = None) -> Visit:
        """The visit as the rules see it. What may come about until a message is due is asked for when it is claimed."""
        kind = self.by_code[appointment.visit_type].visit
        told = kind.instructions
        place = self.places.get(appointment.course_session_id or appointment.id, Place())
        return Visit(
            starts_at=appointment.starts_at,
            ends_at=appointment.ends_at,
            time_zone=appointment.time_zone,
            kind=kind.kind,
            modality=kind.modality,
            solids_minutes=told.solids_minutes,
            clear_liquids_minutes=told.clear_liquids_minutes,
            escort=told.escort,
            has_forms=bool(kind.forms or kind.clearances),
            visit_type=kind.code,
            step=place.step,
            first_of_course=place.first_of_course,
            first_dose=place.first_dose,
            gap_days=place.gap_days,
            previous_starts_at=previous,
        )


def _places(session: Session, call: Call, courses: Collection[UUID], dosing: Collection[str]) -> dict[UUID, Place]:
    rows = session.execute(
        select(
            CourseSession.course_id,
            CourseSession.id,
            CourseSession.step,
            CourseSession.visit_type,
            CourseSession.target,
        )
        .where(CourseSession.organization_id == call.organization_id, CourseSession.course_id.in_(courses))
        .order_by(CourseSession.course_id, CourseSession.position.desc())
    ).all()
    found: dict[UUID, Place] = {}
    next_dose: dict[UUID, date] = {}
    first: dict[UUID, UUID] = {}
    first_dose: dict[UUID, UUID] = {}
    for row in rows:  # from the last session of each course back to its first
        is_dose = row.visit_type in dosing
        after = next_dose.get(row.course_id)
        gap = (after - row.target).days if is_dose and after is not None else None
        found[row.id] = Place(row.step, gap_days=gap)
        first[row.course_id] = row.id
        if is_dose:
            next_dose[row.course_id], first_dose[row.course_id] = row.target, row.id
    firsts = set(first.values()), set(first_dose.values())
    return {key: Place(place.step, key in firsts[0], key in firsts[1], place.gap_days) for key, place in found.items()}
