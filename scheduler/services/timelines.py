"""A course's timeline from rows: what stands, what a plan would add, and the windows that follow from both."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.civil import to_local
from scheduler.core.course import windows
from scheduler.core.lifecycle import NOT_DOSED
from scheduler.core.timeline import Bar, Gate, Lost, Mark, State, Timeline
from scheduler.models import Appointment, Location
from scheduler.services import course_rules, courses, opening_days, plans
from scheduler.services.catalog import protocol_of, visit_kinds
from scheduler.services.courses import CourseView

#: What is said of a course that does not simply go on.
_COURSES = {"on-hold": " on hold", "revoked": " given up", "completed": " completed"}
_ENDED = {"cancelled": "cancelled", "noshow": "missed"}
_STATES: Mapping[str, State] = {"pending": "pencilled", "proposed": "pencilled", "fulfilled": "done"}


def of_course(session: Session, call: Call, course_id: UUID) -> Timeline:
    """The course as it stands. Raises NotFound."""
    return _timeline(session, call, courses.get(session, call, course_id), {})


def of_plan(session: Session, call: Call, course_id: UUID, token: str) -> Timeline:
    """The course as it would stand with an offered plan. Raises NotFound, Invalid for no token, PlanStale."""
    view = courses.get(session, call, course_id)
    stored = plans.opened(session, call, course_id, token)
    starts = {UUID(entry["session_id"]): datetime.fromisoformat(entry["start"]) for entry in stored.body["sessions"]}
    return _timeline(session, call, view, starts)


def _timeline(session: Session, call: Call, view: CourseView, planned: Mapping[UUID, datetime]) -> Timeline:
    zone = session.get_one(Location, (call.organization_id, view.row.location_id)).time_zone
    _, protocol = protocol_of(session, call, view.row.protocol_id)
    specs, kinds = course_rules.specs_of(protocol, view.row), visit_kinds(session, call)
    marks: dict[int, Mark] = {}
    for each in view.sessions:
        visit = view.booked.get(each.id)
        if each.id in planned:
            marks[each.position] = Mark(_wall(planned[each.id], zone), "planned")
        elif visit is not None:
            marks[each.position] = Mark(_wall(visit.starts_at, zone), _STATES.get(visit.status, "booked"))
    lost, astray = _lost(session, call, view, zone), {each.index for each in view.broken}
    days = {position: mark.start.date() for position, mark in marks.items()}
    around = {view.row.start_after, *days.values(), *(each.target for each in view.sessions)}
    opened = opening_days.around(session, call, view.row.location_id, specs, around)
    bars = []
    for each in view.sessions:
        # The window of a session follows from where those before it stand, not from where it stands itself.
        before = {position: day for position, day in days.items() if position < each.position}
        dates = windows(specs, view.row.start_after, before, opened)[each.position]
        mark = marks.get(each.position)
        if mark is not None and mark.state != "done":
            wrong = _outside(
                mark.start.date(), dates.earliest, min(filter(None, (dates.latest, each.use_by)), default=None)
            )
            if wrong or (each.position in astray and mark.state != "planned"):
                mark = Mark(mark.start, "broken")
        known = kinds[each.visit_type].visit.kind if each.visit_type in kinds else ""
        bars.append(
            Bar(
                sequence=each.sequence,
                label=specs[each.position].name,
                phase=_words(each.phase),
                kind="dosing" if known == "dosing" else "integration" if known == "integration" else "other",
                earliest=dates.earliest,
                target=dates.target,
                latest=dates.latest,
                mark=mark,
                use_by=each.use_by,
                lost=lost.get(each.id, ()),
            )
        )
    leaves = {spec.anchor for spec in specs if spec.kind == "leaf"}
    gates = tuple(
        Gate(
            each.after_position + 1 + int(each.after_position in leaves),
            _words(each.key),
            each.kind == "hard",
            each.outcome,
        )
        for each in view.gates
    )
    state = "plan" if planned else f"course{_COURSES.get(view.row.status, '')}"
    title = f"{view.protocol.name}, {state}"
    return Timeline(title, zone, _wall(call.now, zone).date(), tuple(bars), gates)


def _lost(session: Session, call: Call, view: CourseView, zone: str) -> dict[UUID, tuple[Lost, ...]]:
    """The visits of each session that did not count."""
    wanted = select(Appointment).where(
        Appointment.organization_id == call.organization_id,
        Appointment.course_id == view.id,
        or_(Appointment.status.in_(("cancelled", "noshow")), Appointment.outcome == NOT_DOSED),
    )
    found: dict[UUID, tuple[Lost, ...]] = {}
    for row in session.scalars(wanted.order_by(Appointment.starts_at, Appointment.id)):
        if row.course_session_id is not None:
            word = "no dose given" if row.outcome == NOT_DOSED else _ENDED[row.status]
            of = row.course_session_id
            found[of] = (*found.get(of, ()), Lost(_wall(row.starts_at, zone), word))
    return found


def _wall(instant: datetime, zone: str) -> datetime:
    return to_local(instant, zone)


def _outside(day: date, earliest: date, latest: date | None) -> bool:
    return day < earliest or (latest is not None and day > latest)


def _words(key: str) -> str:
    return key.replace("_", " ")
