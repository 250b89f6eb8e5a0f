"""Courses: made from an approved protocol, read with their sessions and gates. Their times are `planning`'s."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import cast
from uuid import UUID

from sqlalchemy import Table, select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.civil import to_local
from scheduler.core.course import Dates, SessionSpec, windows
from scheduler.core.errors import IllegalTransition, NotFound, Reason, Refused
from scheduler.core.protocol import Protocol
from scheduler.core.spacing import Booked
from scheduler.core.standing import Broken, broken
from scheduler.models import Appointment, Course, CourseSession, Gate, ProtocolRow, new_id
from scheduler.models.base import digest_of
from scheduler.services import audit, course_rows, opening_days, records, suiting
from scheduler.services.catalog import Kinds, parsed, visit_kinds
from scheduler.services.course_rules import place_of, specs_of
from scheduler.services.course_wishes import WantedCourse, laid_out
from scheduler.services.locks import lock_row
from scheduler.services.paging import Page, page
from scheduler.services.records import Revision

#: Statuses of courses that go on.
RUNNING = frozenset({"draft", "active", "on-hold"})


@dataclass(frozen=True)
class CourseView:
    """A course with everything that hangs on it, sessions by position. `booked` maps a session to its appointment."""

    row: Course
    protocol: ProtocolRow
    sessions: tuple[CourseSession, ...]
    gates: tuple[Gate, ...]
    booked: Mapping[UUID, Appointment]
    #: Where the sessions stand, by position.
    stands: Mapping[int, Booked]
    #: The sessions that stand outside the protocol.
    broken: tuple[Broken, ...] = ()
    #: The visits ahead that do not suit the patient any more, by the place of their session.
    unfit: tuple[Broken, ...] = ()
    #: The organization's visit types, where they had to be read for this.
    kinds: Kinds | None = None

    @property
    def id(self) -> UUID:
        """The course's."""
        return self.row.id

    @property
    def revision(self) -> str:
        """All that the course says: visits that come, go or end change it without a change of its row."""
        sessions = [[each.id, each.earliest, each.target, each.latest, each.use_by] for each in self.sessions]
        visits = {str(key): [row.id, row.status] for key, row in self.booked.items()}
        broken = [[each.index, each.code, each.detail] for each in (*self.broken, *self.unfit)]
        return digest_of(self.row.revision, sessions, visits, broken)


def create(session: Session, call: Call, wanted: WantedCourse) -> CourseView:
    """Lay out a course from the active version of its protocol; nothing is booked yet.

    Raises NotFound (patient, location), Invalid (unknown protocol or cadence, unknown practitioner),
    ProtocolNotApproved.
    """
    row, protocol, specs = laid_out(session, call, wanted)
    course = Course(
        organization_id=call.organization_id,
        id=new_id(),
        patient_id=wanted.patient_id,
        protocol_id=row.id,
        location_id=wanted.location_id,
        status="draft",
        cadence=wanted.cadence,
        start_after=wanted.start_after,
        preferences=dict(wanted.preferences),
        note=wanted.note,
        created_at=call.now,
    )
    session.add(course)
    session.flush()
    _add_sessions(session, call, course.id, specs, dates_of(session, call, course, specs, {}))
    _add_gates(session, call, course.id, protocol, specs)
    audit.note(
        session, call, "course.create", "course", course.id, after={"protocol": row.code, "version": row.version}
    )
    session.flush()
    return get(session, call, course.id)


def get(session: Session, call: Call, course_id: UUID) -> CourseView:
    """One course, for whoever goes on to change it. Raises NotFound."""
    return views(session, call, [row_of(session, call, course_id)])[0]


def shown(session: Session, call: Call, course_id: UUID) -> CourseView:
    """The same from rows, for whoever only looks. Raises NotFound."""
    row = course_rows.course(session, call, course_id)
    return views(session, call, [_there(row, course_id)], shown=True)[0]


def listed(
    session: Session,
    call: Call,
    *,
    patient_id: UUID | None = None,
    location_id: UUID | None = None,
    protocol: str | None = None,
    status: str | None = None,
    limit: int,
    cursor: str | None = None,
) -> Page[CourseView]:
    """A page of courses, oldest first, from rows."""
    mine = cast("Table", Course.__table__).c
    chosen = select(*mine).where(mine.organization_id == call.organization_id)
    if patient_id is not None:
        chosen = chosen.where(mine.patient_id == patient_id)
    if location_id is not None:
        chosen = chosen.where(mine.location_id == location_id)
    if protocol is not None:
        versions = select(ProtocolRow.id).where(
            ProtocolRow.organization_id == call.organization_id, ProtocolRow.code == protocol
        )
        chosen = chosen.where(mine.protocol_id.in_(versions))
    if status is not None:
        chosen = chosen.where(mine.status == status)
    found = page(session, call, chosen, [mine.created_at, mine.id], limit=limit, cursor=cursor)
    return Page(views(session, call, found.items, shown=True), found.next_cursor)


def row_of(session: Session, call: Call, course_id: UUID, *, lock: bool = False) -> Course:
    """The row, locked for a change when asked. Raises NotFound."""
    key = (call.organization_id, course_id)
    return _there(lock_row(session, call, Course, course_id) if lock else session.get(Course, key), course_id)


def _there(row: Course | None, course_id: UUID) -> Course:
    if row is None:
        detail = f"No course {course_id}."
        raise NotFound(detail)
    return row


def locked(session: Session, call: Call, course_id: UUID, revision: Revision | None) -> Course:
    """The row, locked for a change of what somebody saw at that revision. Raises NotFound, StaleRevision."""
    row = row_of(session, call, course_id, lock=True)
    expect(session, call, course_id, revision)
    return row


def expect(session: Session, call: Call, course_id: UUID, revision: Revision | None) -> None:
    """Raises StaleRevision unless the course still says what it said at that revision; None expects nothing."""
    if revision is not None:
        records.expect(get(session, call, course_id), revision)


def require_running(row: Course) -> None:
    """Raises IllegalTransition for a course that has ended, Refused (`on_hold`) for one whose doses are held back."""
    if row.status not in RUNNING:
        detail = f"The course is {row.status}: nothing of it is planned any more."
        raise IllegalTransition(detail)
    if row.status == "on-hold":
        raise Refused([Reason("on_hold", "The course is on hold: resume it first.")])


def views(
    session: Session, call: Call, rows: Sequence[Course], *, judged: bool = True, shown: bool = False
) -> list[CourseView]:
    """The rows with sessions, gates and appointments, in a constant number of statements.

    Unless they are `judged`, nothing is said of what is `broken`. What is only `shown` comes as rows.
    """
    ids = [row.id for row in rows]
    known = course_rows.read(session, call, ids, {row.protocol_id for row in rows}, shown=shown)
    read = visit_kinds(session, call) if known.booked else None
    kinds = Kinds(()) if read is None else read
    found = []
    for row in rows:
        sessions = tuple(known.sessions.get(row.id, ()))
        mine = {each.id: known.booked[each.id] for each in sessions if each.id in known.booked}
        gates = tuple(known.gates.get(row.id, ()))
        stands = {each.position: place_of(mine[each.id], kinds) for each in sessions if each.id in mine}
        view = CourseView(row, known.protocols[row.protocol_id], sessions, gates, mine, stands, kinds=read)
        if row.unfit:
            view = replace(view, unfit=tuple(suiting.still_unfit(call, row, sessions, mine)))
        found.append(replace(view, broken=tuple(astray(session, call, view, stands, kinds))) if judged else view)
    return found


def astray(session: Session, call: Call, view: CourseView, stands: Mapping[int, Booked], kinds: Kinds) -> list[Broken]:
    """The sessions of a running course that would be outside its protocol if they stood there."""
    row = view.row
    if not stands or row.status not in RUNNING:
        return []
    specs = specs_of(parsed(view.protocol, kinds), row, view.sessions)
    opened = opening_days.around(session, call, row.location_id, specs, {each.day for each in stands.values()})
    return broken(specs, stands, _over(view, call), opened, unclosed(view, call))


def rehearse(session: Session, call: Call, nobody: UUID) -> None:
    """Ask all that a look at a course asks, of nobody's."""
    course_rows.course(session, call, nobody)
    course_rows.read(session, call, [nobody], {nobody}, shown=True)
    session.get(Course, (nobody, nobody))
    course_rows.read(session, call, [nobody], {nobody})
    visit_kinds(session, call)


def unclosed(view: CourseView, call: Call) -> set[int]:
    """The positions of sessions whose local day has passed, while nobody has said what became of their visits."""
    return {
        each.position
        for each in view.sessions
        if (row := view.booked.get(each.id)) is not None
        and row.status != "fulfilled"
        and datetime.fromisoformat(row.local_start).date() < to_local(call.now, row.time_zone).date()
    }


def _over(view: CourseView, call: Call) -> set[int]:
    """The positions of sessions that have begun: nothing about them can be mended."""
    return {
        each.position for each in view.sessions if each.id in view.booked and view.booked[each.id].starts_at <= call.now
    }


def dates_of(
    session: Session, call: Call, row: Course, specs: Sequence[SessionSpec], days: Mapping[int, date]
) -> tuple[Dates, ...]:
    """Between which dates each session may fall, given the days of some, counting clinic days where gaps do."""
    plain = windows(specs, row.start_after, days)
    around = {row.start_after, *(each.target for each in plain)}
    return windows(specs, row.start_after, days, opening_days.around(session, call, row.location_id, specs, around))


def lay_out(session: Session, call: Call, row: Course, protocol: Protocol, view: CourseView) -> None:
    """Add the sessions that the course has by now and that are not among its own yet: those at its end."""
    specs = specs_of(protocol, row, view.sessions)
    dates = dates_of(session, call, row, specs, {index: booked.day for index, booked in view.stands.items()})
    known = len(view.sessions)
    _add_sessions(session, call, row.id, specs[known:], dates[known:])
    session.flush()


def _add_sessions(
    session: Session, call: Call, course_id: UUID, specs: Sequence[SessionSpec], dates: Sequence[Dates]
) -> None:
    for spec, between in zip(specs, dates, strict=True):
        session.add(
            CourseSession(
                organization_id=call.organization_id,
                id=new_id(),
                course_id=course_id,
                position=spec.index,
                phase=spec.phase,
                step=spec.step,
                sequence=spec.sequence,
                visit_type=spec.visit_type,
                earliest=between.earliest,
                target=between.target,
                latest=between.latest,
            )
        )


def _add_gates(session: Session, call: Call, course_id: UUID, protocol: Protocol, specs: Sequence[SessionSpec]) -> None:
    for gate in protocol.gates:
        after = next((s.index for s in specs if (s.step, s.ordinal) == (gate.step, gate.count)), None)
        if after is not None:
            session.add(
                Gate(
                    organization_id=call.organization_id,
                    course_id=course_id,
                    key=gate.key,
                    kind=gate.kind,
                    after_position=after,
                )
            )
