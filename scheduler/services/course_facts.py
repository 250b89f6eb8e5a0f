"""What a session's course says of it, as it was read: in one statement by itself, or with the premises.

What follows from it is `course_rules`'.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Table, Text, and_, bindparam, literal_column, select
from sqlalchemy import cast as as_type
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.lifecycle import LIVE, NOT_DOSED
from scheduler.models import Appointment, Course, CourseSession, Gate, Location, ProtocolRow
from scheduler.services.catalog import ALL_KINDS, Kinds
from scheduler.services.jointly import Jointly

_STEPS = cast("Table", CourseSession.__table__).c
_COURSES = cast("Table", Course.__table__).c
_PROTOCOLS = cast("Table", ProtocolRow.__table__).c
_LOCATIONS = cast("Table", Location.__table__).c
_VISITS = cast("Table", Appointment.__table__).c
_GATES = cast("Table", Gate.__table__).c
_MINE: Any = bindparam("organization")


def _said(words: Iterable[str]) -> list[Any]:
    """Words that are part of the statement's text, for their number is known."""
    return [literal_column(f"'{each}'", Text()) for each in sorted(words)]


_THE_COURSE = (
    select(_STEPS.course_id)
    .where(_STEPS.organization_id == _MINE, _STEPS.id == bindparam("course_session"))
    .scalar_subquery()
)
#: The session with its course, the course's protocol, and when the course's location is open.
_STEP = (
    select(
        _STEPS.id,
        _STEPS.position,
        _STEPS.visit_type,
        _STEPS.use_by,
        _STEPS.course_id,
        _COURSES.patient_id,
        _COURSES.location_id,
        _COURSES.status,
        _COURSES.cadence,
        _COURSES.start_after,
        _COURSES.preferences,
        _COURSES.own_cadence,
        _COURSES.relaxations,
        _PROTOCOLS.definition,
        _LOCATIONS.time_zone,
        as_type(_LOCATIONS.hours, Text).label("hours"),
        as_type(_LOCATIONS.closures, Text).label("closures"),
        as_type(_LOCATIONS.holidays, Text).label("holidays"),
    )
    .join_from(Course, CourseSession, and_(_COURSES.organization_id == _MINE, _COURSES.id == _STEPS.course_id))
    .join(ProtocolRow, and_(_PROTOCOLS.organization_id == _MINE, _PROTOCOLS.id == _COURSES.protocol_id))
    .join(Location, and_(_LOCATIONS.organization_id == _MINE, _LOCATIONS.id == _COURSES.location_id))
    .where(_STEPS.organization_id == _MINE, _STEPS.id == bindparam("course_session"))
)
#: Where sessions of a course stand in the calendar: gaps count from the last dose that was given.
STANDING = (
    select(
        *(_STEPS.position, _VISITS.local_start, _VISITS.time_zone, _VISITS.visit_type),
        *(_VISITS.starts_at, _VISITS.ends_at, _VISITS.dosed_at),
    )
    .join_from(
        CourseSession,
        Appointment,
        and_(
            _VISITS.organization_id == _STEPS.organization_id,
            _VISITS.course_id == _STEPS.course_id,  # by this it is found, and not among all there are
            _VISITS.course_session_id == _STEPS.id,
        ),
    )
    .where(
        _STEPS.organization_id == _MINE,
        _VISITS.status.in_(_said(LIVE)),
        _VISITS.outcome.is_distinct_from(NOT_DOSED),
    )
)
#: Keys of the gates that keep nothing back any more.
PASSED = select(_GATES.key).where(_GATES.organization_id == _MINE, _GATES.outcome.in_(_said(("passed", "waived"))))
#: The parts of a statement that tells of the course of `:course_session`.
PARTS = {
    "step": _STEP,
    "kinds": ALL_KINDS,
    "stands": STANDING.where(_STEPS.course_id == _THE_COURSE),
    "passed": PASSED.where(_GATES.course_id == _THE_COURSE),
}
_STATEMENT = Jointly(**PARTS)


@dataclass(frozen=True)
class CourseFacts:
    """A session with its course, the visit types, the visits of all its sessions, and the gates that are passed."""

    step: Any
    kinds: Kinds
    stands: Sequence[Any]
    passed: frozenset[str]

    @classmethod
    def of(cls, rows: Mapping[str, Sequence[Any]]) -> CourseFacts | None:
        """What the parts have told; None when there is no such session."""
        if not rows["step"]:
            return None
        return cls(rows["step"][0], Kinds(rows["kinds"]), rows["stands"], frozenset(row.key for row in rows["passed"]))


def read(session: Session, call: Call, session_id: UUID) -> CourseFacts | None:
    """As it is now, with what this transaction has changed; None when there is no such session."""
    session.flush()
    return CourseFacts.of(
        _STATEMENT.rows(session, {"organization": call.organization_id, "course_session": session_id})
    )
