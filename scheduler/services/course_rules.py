"""What a course has to say when one of its sessions is booked or moved by itself. Plans are made in `planning`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from scheduler.core.bar import Bar
from scheduler.core.bitmap import Timeline
from scheduler.core.call import Call
from scheduler.core.civil import to_local
from scheduler.core.course import SessionSpec, expand, supplied
from scheduler.core.doses import delayed
from scheduler.core.easing import Rule, granted
from scheduler.core.errors import AlreadyExists, Fault, NotFound, refuse
from scheduler.core.lifecycle import ENDED, LIVE
from scheduler.core.preferences import CoursePreferences
from scheduler.core.protocol import Protocol
from scheduler.core.protocol.own import OwnGaps, with_own
from scheduler.core.spacing import Booked, SessionRules, binding, session_rules
from scheduler.core.visit import SessionGate, VisitType
from scheduler.models import Appointment, Course, CourseSession, Gate, GroupPlace, Occupancy
from scheduler.services import continuity, course_facts, opening_days
from scheduler.services.catalog import Kind, parsed, protocol_of, visit_kinds
from scheduler.services.course_facts import PASSED, STANDING, CourseFacts
from scheduler.services.locks import lock_row

#: With which scope a gate's outcome is recorded.
DECIDES = "gates:decide"
ON_HOLD = "The course is on hold: its doses wait until it is resumed."
OVER = "The course has ended: nothing of it is booked or given any more."


def chosen(protocol: Protocol, course: Course) -> Protocol:
    """The protocol with the optional steps, the numbers of sessions and the gaps that the course has."""
    return with_own(without_own_gaps(protocol, course), course.cadence, _own_gaps(course))


def without_own_gaps(protocol: Protocol, course: Course) -> Protocol:
    """The protocol as the course chose it, with the gaps that every patient has."""
    wish = CoursePreferences.from_document(course.preferences)
    return protocol.with_only(wish.optional_steps).with_counts(wish.sessions)


def _own_gaps(course: Any) -> OwnGaps:
    own: OwnGaps = course.own_cadence["steps"] if course.own_cadence else {}
    return own


def lifted_for(course: Any) -> tuple[Rule, ...]:
    """The rules that were lifted for the course."""
    return granted.read(rule for each in course.relaxations or () for rule in each["rules"])


def wishes_of(course: Any) -> CoursePreferences:
    """What the patient wants, as far as it still stands."""
    return granted.wishes_with(CoursePreferences.from_document(course.preferences), lifted_for(course))


def specs_of(protocol: Protocol, course: Any, sessions: Iterable[Any] = ()) -> tuple[SessionSpec, ...]:
    """The sessions of a course as its protocol, its cadence, its choices and what it was granted lay them out.

    `course` is its row, or one that says as much of it; `sessions` are its sessions' rows, where it matters
    what was received for them.
    """
    wish = CoursePreferences.from_document(course.preferences)
    own = with_own(protocol, course.cadence, _own_gaps(course))
    specs = expand(own, course.cadence, optional=wish.optional_steps, counts=wish.sessions)
    return supplied(granted.specs_with(specs, lifted_for(course)), {row.position: row.use_by for row in sessions})


@dataclass(frozen=True)
class Link:
    """A visit's place in its course, and the bounds that follow from it."""

    course_id: UUID
    session_id: UUID
    rules: SessionRules
    #: Why the course as a whole holds this session back, if it does.
    held: str | None = None
    #: Clearances that its step asks for besides those of the visit type.
    asked: tuple[str, ...] = ()
    #: What to say of each gate that is not passed.
    said: Mapping[str, str] = field(default_factory=dict)
    #: The only people who may serve it, where the course requires the same throughout.
    bound: continuity.Bound = field(default_factory=dict)

    def bars(self, timeline: Timeline, time_zone: str) -> tuple[Bar, ...]:
        """The starts that the course forbids."""
        held = (Bar("on_hold", self.held, timeline.everything),) if self.held else ()
        bars = self.rules.bars(timeline, time_zone)
        return (*(replace(bar, detail=self.said.get(bar.item or "", bar.detail)) for bar in bars), *held)


def lock(session: Session, call: Call, course_id: UUID | None) -> None:
    """Take the course until the transaction ends; it comes before appointments and resources."""
    if course_id is not None:
        lock_row(session, call, Course, course_id)


def link(
    session: Session,
    call: Call,
    session_id: UUID | None,
    patient_id: UUID | None,
    visit_type: str,
    *,
    moving: bool = False,
    pencilled: bool = False,
    over: bool = False,
) -> Link | None:
    """Lock the session's course, and say what it forbids; None without a session. Raises as `link_of` does."""
    if session_id is None:
        return None
    step = session.get(CourseSession, (call.organization_id, session_id))
    lock(session, call, step.course_id if step is not None else None)
    known = course_facts.read(session, call, session_id)
    return link_of(
        session, call, known, session_id, patient_id, visit_type, moving=moving, pencilled=pencilled, over=over
    )


def link_of(
    session: Session,
    call: Call,
    known: CourseFacts | None,
    session_id: UUID,
    patient_id: UUID | None,
    visit_type: str,
    *,
    moving: bool = False,
    pencilled: bool = False,
    over: bool = False,
) -> Link:
    """What the course forbids a visit of its session.

    The gates before a session do not bar a visit that is only `pencilled`: they bar its confirmation. That the course
    has ended does not bar what is written down of a visit whose time is `over`.

    Raises NotFound for an unknown session, Invalid when patient or visit type are not the session's, AlreadyExists when
    it has an appointment that is not the one `moving`.
    """
    if known is None:
        detail = f"No session {session_id}."
        raise NotFound(detail)
    step, faults = known.step, []
    if step.patient_id != patient_id:
        faults.append(Fault("/patient_id", "not_the_courses_patient", "The session belongs to another patient."))
    if step.visit_type != visit_type:
        faults.append(Fault("/visit_type", "not_the_sessions_visit_type", f"The session is '{step.visit_type}'."))
    refuse(faults)
    protocol = parsed(step, known.kinds)
    specs = specs_of(protocol, step, [step])
    booked = {row.position: place_of(row, known.kinds) for row in known.stands}
    if booked.pop(step.position, None) is not None and not moving:
        detail = "That session of the course has an appointment already."
        raise AlreadyExists(detail)
    booked = binding(specs, {step.position}, booked, call.now)
    spec = specs[step.position]
    passed = known.passed | (set(spec.gates) if pencilled else set())
    kind = known.kinds[visit_type]
    opened = opening_days.known(step.location_id, step, specs, {each.day for each in booked.values()})
    rules = _begun(step, spec, session_rules(specs, step.position, booked, passed, kind.visit.minutes, opened))
    said = {key: _of_gate(protocol, specs, key) for key in rules.closed_gates}
    bound: continuity.Bound = {}
    if protocol.continuity and wishes_of(step).continuity == "required":
        others = serving(session, call, step.course_id)
        bound = continuity.by_others(protocol.continuity, kind.demand, others, step.position)
    return Link(step.course_id, step.id, rules, _held(step, spec, over=over), spec.asked, said, bound)


def _of_gate(protocol: Protocol, specs: Sequence[SessionSpec], key: str) -> str:
    """After which session a gate stands that is not passed, and who may pass it."""
    gate = next(each for each in protocol.gates if each.key == key)
    after = next((spec for spec in specs if (spec.step, spec.ordinal) == (gate.step, gate.count)), None)
    where = "" if after is None else f" after session {after.sequence} ('{after.step.replace('_', ' ')}')"
    name = key.replace("_", " ")
    return f"The gate '{name}'{where} has not been passed: a clinician decides it, with the scope {DECIDES}."


def _held(course: Any, spec: SessionSpec, *, over: bool) -> str | None:
    """Why the course as a whole lets nothing be done about the session."""
    if course.status in ENDED:
        return None if over else OVER
    return ON_HOLD if course.status == "on-hold" and spec.dosing and spec.kind == "main" else None


def _begun(course: Any, spec: SessionSpec, rules: SessionRules) -> SessionRules:
    """The bounds with the last day on which the course's first session may be, where its protocol makes that hard."""
    if not spec.hard or spec.anchor is not None or spec.gap is None or spec.gap[2] is None:
        return rules
    last = course.start_after + timedelta(days=spec.gap[2])
    return replace(rules, near=replace(rules.near, last_day=min(last, rules.near.last_day or last)))


def before_dose(session: Session, call: Call, row: Appointment, visit: VisitType) -> Link | None:
    """What its course has to say of a dose that is about to be given; None for a talk, or without a course."""
    if visit.kind != "dosing":
        return None
    over = row.ends_at <= call.now
    return link(session, call, row.course_session_id, row.patient_id, row.visit_type, moving=True, over=over)


def own_gates(session: Session, call: Call, session_id: UUID | None) -> tuple[SessionGate, ...]:
    """What the session's step of the protocol asks for before it, besides its visit type."""
    step = session.get(CourseSession, (call.organization_id, session_id)) if session_id is not None else None
    if step is None:
        return ()
    course = session.get_one(Course, (call.organization_id, step.course_id))
    _, protocol = protocol_of(session, call, course.protocol_id)
    return specs_of(protocol, course)[step.position].own_gates


def standing(session: Session, call: Call, course_id: UUID) -> Mapping[int, Booked]:
    """Where the course's sessions stand in the calendar, by position."""
    wanted = STANDING.where(CourseSession.course_id == course_id)
    rows = session.execute(wanted, {"organization": call.organization_id}).all()
    kinds = visit_kinds(session, call) if any(row.dosed_at is not None for row in rows) else {}
    return {row.position: place_of(row, kinds) for row in rows}


def place_of(row: Any, kinds: Mapping[str, Kind]) -> Booked:
    """Where a visit (its row, or these columns) stands for its course: as planned, or by when its dose was given.

    Of `kinds` only that of a visit which gave its dose is asked for.
    """
    if row.dosed_at is None:
        return Booked(datetime.fromisoformat(row.local_start).date(), row.starts_at, row.ends_at)
    late = delayed(kinds[row.visit_type].visit, row.starts_at, row.dosed_at)
    start = row.starts_at + late
    return Booked(to_local(start, row.time_zone).date(), start, row.ends_at + late)


def serving(session: Session, call: Call, course_id: UUID) -> dict[int, dict[str, set[UUID]]]:
    """Who serves each session that stands, by position and role; in a group too, by whichever of its visits."""
    standing = (
        select(CourseSession.position, Occupancy.role, Occupancy.resource_id)
        .join(
            Appointment,
            (Appointment.organization_id == CourseSession.organization_id)
            & (Appointment.course_id == CourseSession.course_id)  # by this it is found, and not among all there are
            & (Appointment.course_session_id == CourseSession.id),
        )
        .where(
            CourseSession.organization_id == call.organization_id,
            CourseSession.course_id == course_id,
            Appointment.status.in_(LIVE),
            Occupancy.kind == "visit",
        )
    )
    own = Occupancy.appointment_id == Appointment.id
    of_group = (GroupPlace.organization_id == Appointment.organization_id) & (
        GroupPlace.group_id == Appointment.group_id
    )
    theirs = Occupancy.appointment_id == GroupPlace.appointment_id
    mine = Occupancy.organization_id == Appointment.organization_id
    rows = session.execute(
        standing.join(Occupancy, mine & own).union_all(
            standing.join(GroupPlace, of_group).join(Occupancy, mine & theirs)
        )
    )
    found: dict[int, dict[str, set[UUID]]] = {}
    for row in rows:
        kind, _, role = row.role.partition(":")
        if kind == "role":
            found.setdefault(row.position, {}).setdefault(role, set()).add(row.resource_id)
    return found


def passed_gates(session: Session, call: Call, course_id: UUID) -> frozenset[str]:
    """Keys of the gates that keep nothing back any more."""
    wanted = PASSED.where(Gate.course_id == course_id)
    return frozenset(session.scalars(wanted, {"organization": call.organization_id}))
