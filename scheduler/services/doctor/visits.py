"""Visits and what they belong to: their wall time, their course, their group."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import cast

from sqlalchemy import Table, and_, exists, or_, select
from sqlalchemy.orm import Session

from scheduler.core import civil
from scheduler.core.call import Call
from scheduler.core.errors import LocalTimeFault
from scheduler.core.lifecycle import LIVE, OPEN
from scheduler.models import Appointment, Course, CourseSession, Group, GroupPlace, Task
from scheduler.services import zone_rules
from scheduler.services.doctor.reading import ids, stream

_VISITS = cast("Table", Appointment.__table__)
_SESSIONS = cast("Table", CourseSession.__table__)
_COURSES = cast("Table", Course.__table__)
_GROUPS = cast("Table", Group.__table__)
_PLACES = cast("Table", GroupPlace.__table__)
_TASKS = cast("Table", Task.__table__)
_visit = _VISITS.c

#: A worker that is at work has seen to it within this time.
PATIENCE = timedelta(hours=1)


def wall_times(session: Session, call: Call) -> Iterator[str]:
    """Visits by the zone rules in force whose instant is not that of their wall time.

    Those that new rules have left behind are no fault: they wait for a worker, or are with the staff.
    """
    told = exists().where(
        _TASKS.c.organization_id == _visit.organization_id,
        _TASKS.c.appointment_id == _visit.id,
        _TASKS.c.kind == zone_rules.TASK,
    )
    wanted = select(_visit.id, _visit.local_start, _visit.time_zone, _visit.starts_at).where(
        _visit.organization_id == call.organization_id,
        _visit.status.in_(sorted(LIVE)),
        _visit.tzdata == civil.TZDATA_VERSION,
        ~told,
    )
    for row in stream(session, wanted):
        if row.starts_at not in _readings(row.local_start, row.time_zone):
            yield f"{row.id}: {row.local_start} {row.time_zone} is not {row.starts_at.isoformat()}"


def _readings(local_start: str, zone: str) -> set[datetime]:
    """The instants at which the clock shows that; two when it shows it twice, none when it never does."""
    local = datetime.fromisoformat(local_start)
    try:
        return {civil.to_instant(local, zone)}
    except LocalTimeFault as fault:
        if fault.code == "nonexistent_time":
            return set()
    return {civil.to_instant(local, zone, "earlier"), civil.to_instant(local, zone, "later")}


def sessions(session: Session, call: Call) -> Iterator[str]:
    """Visits that a course does not know as theirs."""
    step = and_(_SESSIONS.c.organization_id == _visit.organization_id, _SESSIONS.c.id == _visit.course_session_id)
    course = and_(_COURSES.c.organization_id == _visit.organization_id, _COURSES.c.id == _visit.course_id)
    wanted = (
        select(_visit.id)
        .select_from(_VISITS.outerjoin(_SESSIONS, step).outerjoin(_COURSES, course))
        .where(
            _visit.organization_id == call.organization_id,
            or_(_visit.course_session_id.is_not(None), _visit.course_id.is_not(None)),
            or_(
                _SESSIONS.c.id.is_(None),
                _COURSES.c.id.is_(None),
                _SESSIONS.c.course_id != _visit.course_id,
                _COURSES.c.patient_id != _visit.patient_id,
                _SESSIONS.c.visit_type != _visit.visit_type,
            ),
        )
    )
    yield from ids(session, wanted)


def groups(session: Session, call: Call) -> Iterator[str]:
    """Places of visits that are not in the group, and visits in a group that have no place in it, or another time."""
    holder = and_(_visit.organization_id == _PLACES.c.organization_id, _visit.id == _PLACES.c.appointment_id)
    strange = (
        select(_PLACES.c.appointment_id)
        .select_from(_PLACES.outerjoin(_VISITS, holder))
        .where(
            _PLACES.c.organization_id == call.organization_id,
            _PLACES.c.appointment_id.is_not(None),
            or_(
                _visit.id.is_(None),
                _visit.status.not_in(sorted(LIVE)),
                _visit.group_id.is_distinct_from(_PLACES.c.group_id),
            ),
        )
    )
    yield from (f"{key} has a place that is not its own" for key in ids(session, strange))
    group = and_(_GROUPS.c.organization_id == _visit.organization_id, _GROUPS.c.id == _visit.group_id)
    place = and_(_PLACES.c.organization_id == _visit.organization_id, _PLACES.c.appointment_id == _visit.id)
    lost = (
        select(_visit.id)
        .select_from(_VISITS.outerjoin(_GROUPS, group).outerjoin(_PLACES, place))
        .where(
            _visit.organization_id == call.organization_id,
            _visit.group_id.is_not(None),
            _visit.status.in_(sorted(LIVE)),
            or_(_GROUPS.c.id.is_(None), _PLACES.c.place.is_(None), _GROUPS.c.starts_at != _visit.starts_at),
        )
    )
    yield from (f"{key} is in a group that does not have it" for key in ids(session, lost))


def given_up(session: Session, call: Call) -> Iterator[str]:
    """Visits ahead of courses that were given up."""
    course = and_(_COURSES.c.organization_id == _visit.organization_id, _COURSES.c.id == _visit.course_id)
    wanted = (
        select(_visit.id)
        .select_from(_VISITS.join(_COURSES, course))
        .where(
            _visit.organization_id == call.organization_id,
            _COURSES.c.status == "revoked",
            _visit.status.in_(sorted(OPEN)),
            _visit.starts_at > call.now,
        )
    )
    yield from ids(session, wanted)


def pencilled(session: Session, call: Call) -> Iterator[str]:
    """Visits that nobody confirmed in their time, and that no worker has let go since."""
    wanted = select(_visit.id).where(
        _visit.organization_id == call.organization_id,
        _visit.status == "pending",
        _visit.pencilled_until < call.now - PATIENCE,
    )
    yield from ids(session, wanted)
