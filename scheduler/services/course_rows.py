"""What is stored of some courses: sessions, gates, living visits, protocols. What follows from it is in `courses`.

Who changes a course reads entities; who only shows one reads rows, which have the same names and cost a part of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Column, Select, Table, bindparam, or_, select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.lifecycle import LIVE, NOT_DOSED
from scheduler.models import Appointment, Course, CourseSession, Gate, ProtocolRow
from scheduler.models.among import among
from scheduler.services.ready import Ready


@dataclass(frozen=True)
class Known:
    """What is stored of some courses: by course, and appointments by session."""

    sessions: Mapping[UUID, list[CourseSession]]
    gates: Mapping[UUID, list[Gate]]
    booked: Mapping[UUID, Appointment]
    protocols: Mapping[UUID, ProtocolRow]


class _Asked:
    """The rows of a table in which one of some ids stands. Made once: every look at a course asks them."""

    def __init__(self, of: Any, column: str, *more: Any, by: Column[Any] | None = None) -> None:
        table = cast("Table", of.__table__)
        self._entities: Select[Any] = self._of(select(of), table, column, more, by)
        self._rows = Ready(self._of(select(table), table, column, more, by))

    @staticmethod
    def _of(asked: Select[Any], table: Table, column: str, more: Any, by: Column[Any] | None) -> Select[Any]:
        mine = table.c.organization_id == bindparam("organization"), among(table.c[column], "ids")
        return asked.where(*mine, *more).order_by(by)

    def read(self, session: Session, call: Call, ids: Collection[UUID], *, rows: bool) -> Sequence[Any]:
        """Entities, or rows where those will do."""
        theirs = {"organization": call.organization_id, "ids": list(ids)}
        return self._rows.rows(session, theirs) if rows else session.scalars(self._entities, theirs).all()


_OF_VISITS = cast("Table", Appointment.__table__).c
_COURSES = _Asked(Course, "id")
_PROTOCOLS = _Asked(ProtocolRow, "id")
_SESSIONS = _Asked(CourseSession, "course_id", by=cast("Table", CourseSession.__table__).c.position)
_GATES = _Asked(Gate, "course_id", by=cast("Table", Gate.__table__).c.after_position)
_VISITS = _Asked(
    Appointment,
    "course_id",
    or_(*(_OF_VISITS.status == status for status in sorted(LIVE))),
    _OF_VISITS.outcome.is_distinct_from(NOT_DOSED),
)


def course(session: Session, call: Call, course_id: UUID) -> Course | None:
    """The row of a course that is only shown."""
    return next(iter(_COURSES.read(session, call, [course_id], rows=True)), None)


def read(
    session: Session, call: Call, ids: Sequence[UUID], protocol_ids: Collection[UUID], *, shown: bool = False
) -> Known:
    """All of it, in four statements; rows when it is only `shown`."""
    appointments = _VISITS.read(session, call, ids, rows=shown)
    protocols = _PROTOCOLS.read(session, call, protocol_ids, rows=shown)
    return Known(
        sessions=_grouped(_SESSIONS.read(session, call, ids, rows=shown)),
        gates=_grouped(_GATES.read(session, call, ids, rows=shown)),
        booked={each.course_session_id: each for each in appointments if each.course_session_id is not None},
        protocols={row.id: row for row in protocols},
    )


def _grouped(rows: Iterable[Any]) -> dict[UUID, list[Any]]:
    """Rows by the course that they belong to."""
    found: dict[UUID, list[Any]] = {}
    for row in rows:
        found.setdefault(row.course_id, []).append(row)
    return found
