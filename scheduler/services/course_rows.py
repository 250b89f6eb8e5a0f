"""What is stored of some courses: sessions, gates, living visits, protocols. What follows from it is in `courses`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Select, bindparam, select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.lifecycle import LIVE, NOT_DOSED
from scheduler.models import Appointment, CourseSession, Gate, ProtocolRow
from scheduler.models.among import among


@dataclass(frozen=True)
class Known:
    """What is stored of some courses: by course, and appointments by session."""

    sessions: Mapping[UUID, list[CourseSession]]
    gates: Mapping[UUID, list[Gate]]
    booked: Mapping[UUID, Appointment]
    protocols: Mapping[UUID, ProtocolRow]


def _of(table: Any, column: Any, *more: Any) -> Select[Any]:
    """The rows in which one of some ids stands."""
    return select(table).where(table.organization_id == bindparam("organization"), among(column, "ids"), *more)


#: Made once: every look at a course asks them.
_VISITS = _of(
    Appointment,
    Appointment.course_id,
    Appointment.status.in_(sorted(LIVE)),
    Appointment.outcome.is_distinct_from(NOT_DOSED),
)
_PROTOCOLS = _of(ProtocolRow, ProtocolRow.id)
_SESSIONS = _of(CourseSession, CourseSession.course_id).order_by(CourseSession.position)
_GATES = _of(Gate, Gate.course_id).order_by(Gate.after_position)


def read(session: Session, call: Call, ids: Sequence[UUID], protocol_ids: Collection[UUID]) -> Known:
    """All of it, in four statements."""
    theirs = {"organization": call.organization_id, "ids": list(ids)}
    appointments = session.scalars(_VISITS, theirs)
    protocols = session.scalars(_PROTOCOLS, theirs | {"ids": list(protocol_ids)})
    return Known(
        sessions=_grouped(session.scalars(_SESSIONS, theirs)),
        gates=_grouped(session.scalars(_GATES, theirs)),
        booked={each.course_session_id: each for each in appointments if each.course_session_id is not None},
        protocols={row.id: row for row in protocols},
    )


def _grouped(rows: Iterable[Any]) -> dict[UUID, list[Any]]:
    """Rows by the course that they belong to."""
    found: dict[UUID, list[Any]] = {}
    for row in rows:
        found.setdefault(row.course_id, []).append(row)
    return found
