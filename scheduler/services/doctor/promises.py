"""What a visit ahead was promised: whom and what it was booked with by name, who is there, and the gates before it.

What has lost its ground may stand, as long as somebody was told of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast
from uuid import UUID

from sqlalchemy import String, Table, and_, select
from sqlalchemy import cast as as_type
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.intervals import Span
from scheduler.models import Absence, Appointment, Course, CourseSession, Gate, Occupancy, Resource, Task
from scheduler.services import impact
from scheduler.services.catalog import protocol_of
from scheduler.services.consequences import AFFECTED
from scheduler.services.course_rules import specs_of
from scheduler.services.doctor.reading import batches, stream

_VISITS, _ROWS = cast("Table", Appointment.__table__), cast("Table", Occupancy.__table__)
_ABSENCES, _TASKS = cast("Table", Absence.__table__), cast("Table", Task.__table__)
_GATES, _SESSIONS = cast("Table", Gate.__table__), cast("Table", CourseSession.__table__)
_visit = _VISITS.c


def named(session: Session, call: Call) -> Iterator[str]:
    """Visits ahead of which somebody or something asked for by name takes no part."""
    taken = and_(_ROWS.c.organization_id == _visit.organization_id, _ROWS.c.appointment_id == _visit.id)
    wanted = (
        select(_visit.id, _visit.pins, _ROWS.c.role, _ROWS.c.resource_id)
        .select_from(_VISITS.outerjoin(_ROWS, taken))
        .where(
            _visit.organization_id == call.organization_id,
            _visit.status.in_(sorted(impact.AHEAD)),
            _visit.ends_at > call.now,
            _visit.group_id.is_(None),
            as_type(_visit.pins, String) != "[]",
        )
        .order_by(_visit.id)
    )
    last: UUID | None = None
    missing: set[tuple[str, str]] = set()
    for row in stream(session, wanted):
        if row.id != last:
            yield from _without(last, missing)
            last, missing = row.id, {(each["selector"], each["resource_id"]) for each in row.pins}
        missing.discard((row.role, str(row.resource_id)))
    yield from _without(last, missing)


def _without(visit_id: UUID | None, missing: set[tuple[str, str]]) -> Iterator[str]:
    for selector, resource_id in sorted(missing):
        yield f"{visit_id} goes without {selector} {resource_id}"


def away(session: Session, call: Call) -> Iterator[str]:
    """Visits ahead that rest on somebody or something that is away then, of which nobody was told.

    Where nobody is on site who must be, all who are away are to blame together: none of them may be alone.
    """
    ahead = select(_ABSENCES.c.id).where(
        _ABSENCES.c.organization_id == call.organization_id, _ABSENCES.c.ends_at > call.now
    )
    for keys in batches(session, ahead, _ABSENCES.c.id):
        for key in keys:
            absence = session.get_one(Absence, (call.organization_id, key))
            who = session.get_one(Resource, (call.organization_id, absence.resource_id))
            span = Span(absence.starts_at, absence.ends_at)
            hit = impact.by_absence(session, call, impact.roster_of(who), [key], span, together=True)
            told = _told(session, call, {each.id for each in hit})
            yield from (f"{each.id} while {who.id} is away ({key})" for each in hit if each.id not in told)
        session.expunge_all()


def gates(session: Session, call: Call) -> Iterator[str]:
    """Confirmed visits ahead behind a gate that nobody has passed; of one that failed, those nobody was told of."""
    wanted = (
        select(_GATES.c.course_id, _GATES.c.key, _GATES.c.outcome, _SESSIONS.c.position, _visit.id)
        .select_from(
            _GATES.join(
                _VISITS,
                and_(_visit.organization_id == _GATES.c.organization_id, _visit.course_id == _GATES.c.course_id),
            ).join(
                _SESSIONS,
                and_(_SESSIONS.c.organization_id == _visit.organization_id, _SESSIONS.c.id == _visit.course_session_id),
            )
        )
        .where(
            _GATES.c.organization_id == call.organization_id,
            _GATES.c.kind == "hard",
            _GATES.c.outcome.in_(("pending", "failed")),
            _SESSIONS.c.position > _GATES.c.after_position,
            _visit.status == "booked",
            _visit.starts_at > call.now,
        )
    )
    for row in list(stream(session, wanted)):
        course = session.get_one(Course, (call.organization_id, row.course_id))
        specs = specs_of(protocol_of(session, call, course.protocol_id)[1], course)
        if row.key in specs[row.position].gates and not (row.outcome == "failed" and _told(session, call, {row.id})):
            yield f"{row.id} is booked behind the gate '{row.key}' of course {row.course_id}"


def _told(session: Session, call: Call, ids: set[UUID]) -> set[UUID]:
    """Those of these visits of which a task was owed that nobody has taken back."""
    wanted = select(_TASKS.c.appointment_id).where(
        _TASKS.c.organization_id == call.organization_id,
        _TASKS.c.kind == AFFECTED,
        _TASKS.c.withdrawn.is_(False),
        _TASKS.c.appointment_id.in_(ids),
    )
    return {row.appointment_id for row in stream(session, wanted)} if ids else set()
