"""Safety gates of single visits, looked after before they come: unpassed ones are tasks, and free the time by policy.

That a gate bars booking or check-in is the law of those. Gates between the sessions of a course are `gates`'.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import and_, func, select
from sqlalchemy.orm import Session, aliased

from scheduler.core.call import Call
from scheduler.core.protocol import Step, parse_protocol
from scheduler.core.site import ClearanceFact
from scheduler.core.visit import SessionGate, VisitType
from scheduler.core.visit_day import is_forfeit, unpassed
from scheduler.models import Appointment, Clearance, Course, CourseSession, ProtocolRow, Task
from scheduler.services import policies, tasks
from scheduler.services.appointments import row_of
from scheduler.services.backup import fence
from scheduler.services.catalog import visit_kinds
from scheduler.services.visit_day.letting_go import let_go, locked_together

KIND: Final = "session_gate"

#: As many visits are let go in one transaction.
_BATCH = 50
_STATUSES = ("pending", "booked")


def chase(session: Session, call: Call) -> bool:
    """A chore: each gate that is due and not passed is a task until it is; True when there may be more to do.

    Visits whose gate lets them go, where the organization's policy says so, are let go first.
    """
    visits = _visits_ahead(session, call)
    if not visits:
        return False
    found = {row.id: gates for row, gates in _unpassed(session, call, visits)}
    rows = [row for row, _ in visits]
    # After a restore what was passed since the backup is not written down here.
    if policies.current(session, call).release_ungated and fence.waiting(session, call) is None:
        late = [row.id for row in rows if is_forfeit(found[row.id], row.starts_at, call.now)]
        if late:
            _release(session, call, late[:_BATCH], {row.id: visit for row, visit in visits})
            return True
    _owe(session, call, rows, found)
    return False


def _visits_ahead(session: Session, call: Call) -> list[tuple[Appointment, VisitType]]:
    """The visits before which a gate may be due by now, each with its gates and those of its step of a course."""
    kinds = {code: kind.visit for code, kind in visit_kinds(session, call).items()}
    steps = _gated_steps(session, call, kinds)
    codes = {code for code, kind in kinds.items() if kind.gates} | {step.visit_type for step in steps.values()}
    gates = [gate for kind in kinds.values() for gate in kind.gates]
    gates += [gate for step in steps.values() for gate in step.gates]
    if not gates:
        return []
    chosen = select(Appointment).where(
        Appointment.organization_id == call.organization_id,
        Appointment.status.in_(_STATUSES),
        Appointment.visit_type.in_(sorted(codes)),
        Appointment.starts_at > call.now,
        Appointment.starts_at <= call.now + timedelta(hours=max(gate.due_hours for gate in gates)),
    )
    rows = session.scalars(chosen.order_by(Appointment.starts_at, Appointment.id)).all()
    own = _own_gates(session, call, rows, steps) if steps else {}
    return [(row, kinds[row.visit_type].gated(own.get(row.course_session_id, ()))) for row in rows]


def _gated_steps(session: Session, call: Call, kinds: Mapping[str, VisitType]) -> dict[tuple[UUID, str], Step]:
    """The steps with gates of their own, by protocol and key; of protocols that courses can have."""
    mine = ProtocolRow.organization_id == call.organization_id
    chosen = select(ProtocolRow.id, ProtocolRow.definition).where(mine, ProtocolRow.status != "draft")
    return {
        (row.id, step.key): step
        for row in session.execute(chosen)
        if any(step.get("gates") for phase in row.definition["phases"] for step in phase["steps"])
        for _, step in parse_protocol(row.definition, kinds).steps()
        if step.gates
    }


def _own_gates(
    session: Session, call: Call, rows: Sequence[Appointment], steps: Mapping[tuple[UUID, str], Step]
) -> dict[UUID | None, tuple[SessionGate, ...]]:
    """What their steps ask for before the visits, by session of a course."""
    fellow = aliased(CourseSession)
    first = (
        select(func.min(fellow.position))
        .where(
            fellow.organization_id == call.organization_id,
            fellow.course_id == CourseSession.course_id,
            fellow.step == CourseSession.step,
        )
        .scalar_subquery()
    )
    chosen = (
        select(CourseSession.id, Course.protocol_id, CourseSession.step, CourseSession.position == first)
        .join(Course, and_(Course.organization_id == call.organization_id, Course.id == CourseSession.course_id))
        .where(
            CourseSession.organization_id == call.organization_id,
            CourseSession.id.in_({row.course_session_id for row in rows}),
            CourseSession.step.in_({key for _, key in steps}),
        )
    )
    return {
        session_id: tuple(gate for gate in steps[protocol_id, key].gates if is_first or not gate.first_only)
        for session_id, protocol_id, key, is_first in session.execute(chosen)
        if (protocol_id, key) in steps
    }


def _unpassed(
    session: Session, call: Call, visits: Sequence[tuple[Appointment, VisitType]]
) -> Iterator[tuple[Appointment, tuple[SessionGate, ...]]]:
    facts = _clearances(session, call, {row.patient_id for row, _ in visits})
    for row, visit in visits:
        stated = facts.get(row.patient_id, [])
        yield row, unpassed(visit, row.checklist, stated, row.starts_at, row.time_zone, call.now)


def _clearances(session: Session, call: Call, patient_ids: Collection[UUID]) -> dict[UUID, list[ClearanceFact]]:
    chosen = select(Clearance).where(
        Clearance.organization_id == call.organization_id, Clearance.patient_id.in_(patient_ids)
    )
    found: dict[UUID, list[ClearanceFact]] = {}
    for row in session.scalars(chosen.order_by(Clearance.id)):
        fact = ClearanceFact(row.kind, row.modality, row.outcome, row.valid_from, row.valid_to)
        found.setdefault(row.patient_id, []).append(fact)
    return found


def _owe(
    session: Session, call: Call, rows: Sequence[Appointment], found: Mapping[UUID, Sequence[SessionGate]]
) -> None:
    """One task for each gate that is not passed, and none for those that are.

    Whoever moves or ends a visit, or checks the patient in, holds it: what is owed anew is owed under the same lock.
    """
    wanted = {f"{row.id}:{row.sequence}:{gate.key}": (row, gate) for row in rows for gate in found[row.id]}
    mine = Task.kind == KIND, Task.appointment_id.in_([row.id for row in rows])
    known = select(Task.key).where(Task.organization_id == call.organization_id, *mine, Task.withdrawn.is_(False))
    new = wanted.keys() - set(session.scalars(known))
    for appointment_id in sorted({wanted[key][0].id for key in new}):
        row_of(session, call, appointment_id, lock=True)
    tasks.withdraw(session, call, "passed", *mine, Task.key.not_in(list(wanted)))
    for key in sorted(new):
        row, gate = wanted[key]
        if row.status not in _STATUSES or key != f"{row.id}:{row.sequence}:{gate.key}":
            continue
        tasks.owe(
            session,
            call,
            kind=KIND,
            key=key,
            title=f"Before the visit: {gate.label}"[:200],
            detail=_SAYS[gate.effect],
            due_at=row.starts_at,
            steps=[row.starts_at - timedelta(hours=hours) for hours in gate.remind_hours],
            item=gate.key,
            patient_id=row.patient_id,
            appointment_id=row.id,
            course_id=row.course_id,
            location_id=row.location_id,
        )


_SAYS = {
    "blocks_booking": "It is not in order any more, and the patient cannot be checked in without it.",
    "blocks_checkin": "The patient cannot be checked in without it.",
    "warns": "The visit may take place without it.",
}


def _release(session: Session, call: Call, ids: Collection[UUID], visits: Mapping[UUID, VisitType]) -> None:
    """Let the visits go whose gate is still not passed, now that nobody else can change them."""
    rows = [row for row in locked_together(session, call, ids) if row.status in _STATUSES]
    for row, gates in list(_unpassed(session, call, [(row, visits[row.id]) for row in rows])):
        gate = is_forfeit(gates, row.starts_at, call.now)
        if gate is not None:
            let_go(session, call, row, f"Not in order in time: {gate.label}."[:500])
