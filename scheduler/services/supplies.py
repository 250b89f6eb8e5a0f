"""What a pharmacy delivers for one patient alone: the day of its receipt, and the last day on which it may be given.

Visits that stand later are not moved here: they are shown as broken, and planning anew mends them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from uuid import UUID

from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import flag_modified

from scheduler.core.call import Call
from scheduler.core.civil import to_local
from scheduler.core.errors import Fault, refuse
from scheduler.models import Course, CourseSession, Location
from scheduler.services import audit, course_rules, courses
from scheduler.services.catalog import protocol_of
from scheduler.services.courses import CourseView
from scheduler.services.records import Revision


def receive(
    session: Session,
    call: Call,
    course_id: UUID,
    *,
    session_ids: Sequence[UUID],
    received_on: date | None,
    note: str = "",
    revision: Revision | None = None,
) -> CourseView:
    """Record when the supply for these sessions came; None takes a record back.

    A later record for a session takes the place of an earlier one. Raises NotFound, StaleRevision, Invalid
    (`unknown_session`, `no_supply` for one whose step has no supply of its own, `in_the_future`), IllegalTransition or
    Refused for a course that has ended or is on hold.
    """
    course = courses.locked(session, call, course_id, revision)
    courses.require_running(course)
    rows = {row.id: row for row in courses.views(session, call, [course])[0].sessions}
    within = _within(session, call, course)
    faults = list(_faults(session_ids, rows, within))
    zone = session.get_one(Location, (call.organization_id, course.location_id)).time_zone
    if received_on is not None and received_on > to_local(call.now, zone).date():
        faults.append(Fault("/received_on", "in_the_future", "What has been received came today or earlier."))
    refuse(faults)
    before = {str(key): _written(rows[key].supply_received_on) for key in session_ids}
    for key in session_ids:
        row, days = rows[key], within[rows[key].position]
        row.supply_received_on = received_on
        row.use_by = None if received_on is None or days is None else received_on + timedelta(days=days)
    flag_modified(course, "status")  # a change of its parts touches the course: its ETag moves
    after = {str(key): _written(received_on) for key in session_ids}
    audit.note(session, call, "course.supply", "course", course_id, before=before, after=after, reason=note or None)
    session.flush()
    return courses.get(session, call, course_id)


def _within(session: Session, call: Call, course: Course) -> Mapping[int, int | None]:
    """The days within which each session's supply is given, by position; None for one that has none of its own."""
    _, protocol = protocol_of(session, call, course.protocol_id)
    return {spec.index: spec.use_within_days for spec in course_rules.specs_of(protocol, course)}


def _faults(
    wanted: Sequence[UUID], rows: Mapping[UUID, CourseSession], within: Mapping[int, int | None]
) -> list[Fault]:
    found = []
    for place, key in enumerate(wanted):
        where = f"/session_ids/{place}"
        if key not in rows:
            found.append(Fault(where, "unknown_session", "The course has no such session."))
        elif within[rows[key].position] is None:
            detail = "Nothing is received for this session alone: its step has no supply for one patient."
            found.append(Fault(where, "no_supply", detail))
        elif key in wanted[:place]:
            found.append(Fault(where, "twice", "The session is named already."))
    return found


def _written(day: date | None) -> str | None:
    return None if day is None else day.isoformat()
