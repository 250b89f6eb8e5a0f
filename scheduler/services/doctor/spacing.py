"""How close visits ahead are: to the others of their course, and to the patient's other doses.

That a dose was given late is flagged where it happens, and is no fault of the tables: what is far enough from where it
was planned, or from where it was given, is well.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import groupby
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Row, Table, and_, select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.course import SessionSpec
from scheduler.core.doses import crowded, dose_of
from scheduler.core.lifecycle import LIVE, NOT_DOSED, OPEN
from scheduler.core.spacing import Booked, binding, session_rules
from scheduler.models import Appointment, Course, CourseSession
from scheduler.services.catalog import protocol_of, visit_kinds
from scheduler.services.course_rules import place_of, specs_of
from scheduler.services.doctor.reading import batches, stream

_VISITS = cast("Table", Appointment.__table__)
_SESSIONS = cast("Table", CourseSession.__table__)
_visit, _step = _VISITS.c, _SESSIONS.c

#: A visit that was placed in spite of one of these may be anywhere, and says nothing about where the others should be.
_GAPS, _DOSES = frozenset({"gap_too_short", "gap_too_long"}), frozenset({"dose_interval"})


def gaps(session: Session, call: Call) -> Iterator[str]:
    """Visits ahead that are too close to another of their course, both without an override."""
    courses = select(_visit.course_id).where(
        _visit.organization_id == call.organization_id,
        _visit.course_session_id.is_not(None),
        _visit.status.in_(sorted(OPEN)),
        _visit.starts_at > call.now,
    )
    for keys in batches(session, courses.distinct(), _visit.course_id):
        for key in keys:
            yield from _too_close(session, call, key)
        session.expunge_all()


def _too_close(session: Session, call: Call, course_id: UUID) -> Iterator[str]:
    course = session.get(Course, (call.organization_id, course_id))
    if course is None:
        return
    specs = specs_of(protocol_of(session, call, course.protocol_id)[1], course)
    rows = {row.position: row for row in _standing(session, call, course_id) if row.position < len(specs)}
    booked = {
        place: Booked(datetime.fromisoformat(row.local_start).date(), row.starts_at, row.ends_at)
        for place, row in rows.items()
    }
    kinds = visit_kinds(session, call)
    given = {place: place_of(row, kinds) for place, row in rows.items()}
    gates = {gate for spec in specs for gate in spec.gates}
    for place, stands in booked.items():
        is_ahead = rows[place].status in OPEN and stands.starts_at > call.now
        both = (binding(specs, {place}, each, call.now) for each in (booked, given))
        if is_ahead and not any(_fits(specs, place, each, gates) for each in both):
            yield f"{rows[place].id}: {stands.day.isoformat()} is too close to another of course {course_id}"


def _fits(specs: tuple[SessionSpec, ...], place: int, booked: dict[int, Booked], gates: set[str]) -> bool:
    others = {key: each for key, each in booked.items() if key != place}
    minutes = int((booked[place].ends_at - booked[place].starts_at).total_seconds() // 60)
    return session_rules(specs, place, others, gates, minutes).leave(booked[place])


def _standing(session: Session, call: Call, course_id: UUID) -> Iterator[Row[Any]]:
    of_it = and_(_step.organization_id == _visit.organization_id, _step.id == _visit.course_session_id)
    wanted = (
        select(
            _step.position, _visit.id, _visit.status, _visit.local_start, _visit.starts_at, _visit.ends_at,
            _visit.override, _visit.dosed_at, _visit.time_zone, _visit.visit_type,
        )
        .select_from(_VISITS.join(_SESSIONS, of_it))
        .where(
            _visit.organization_id == call.organization_id,
            _step.course_id == course_id,
            _visit.status.in_(sorted(LIVE)),
            _visit.outcome.is_distinct_from(NOT_DOSED),
        )
    )  # fmt: skip
    return (row for row in stream(session, wanted) if not _lifted(row.override, _GAPS))


def _lifted(override: dict[str, Any] | None, rules: frozenset[str]) -> bool:
    return not rules.isdisjoint((override or {}).get("rules", ()))


def doses(session: Session, call: Call) -> Iterator[str]:
    """Doses ahead that are too close to another of the same patient, both without an override."""
    kinds = {kind.id: kind.visit for kind in visit_kinds(session, call).values()}
    dosing = sorted(key for key, visit in kinds.items() if visit.kind == "dosing")
    wanted = (
        select(
            _visit.id, _visit.patient_id, _visit.visit_type_id, _visit.starts_at, _visit.local_start, _visit.override
        )
        .where(
            _visit.organization_id == call.organization_id,
            _visit.visit_type_id.in_(dosing),
            _visit.status.in_(sorted(LIVE)),
            _visit.outcome.is_distinct_from(NOT_DOSED),
        )
        .order_by(_visit.patient_id, _visit.starts_at, _visit.id)
    )
    for patient_id, rows in groupby(stream(session, wanted), key=lambda row: row.patient_id):
        free = [row for row in rows if not _lifted(row.override, _DOSES)]
        planned = [
            dose_of(kinds[row.visit_type_id], row.starts_at, datetime.fromisoformat(row.local_start).date())
            for row in free
        ]
        for first, second in crowded(planned):
            if second.at > call.now:
                yield f"patient {patient_id}: {first.at.isoformat()} and {second.at.isoformat()}"
