"""Safety gates of single visits, looked after before they come: unpassed ones are tasks, and free the time by policy.

That a gate bars booking or check-in is the law of those. Gates between the sessions of a course are `gates`'.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.site import ClearanceFact
from scheduler.core.visit import SessionGate, VisitType
from scheduler.core.visit_day import is_forfeit, unpassed
from scheduler.models import Appointment, Clearance, Task
from scheduler.services import policies, tasks
from scheduler.services.catalog import visit_kinds
from scheduler.services.visit_day.letting_go import let_go, locked_together

KIND = "session_gate"

#: As many visits are let go in one transaction.
_BATCH = 50
_STATUSES = ("pending", "booked")


def chase(session: Session, call: Call) -> bool:
    """A chore: each gate that is due and not passed is a task until it is; True when there may be more to do.

    Visits whose gate lets them go, where the organization's policy says so, are let go first.
    """
    kinds = {code: kind.visit for code, kind in visit_kinds(session, call).items() if kind.visit.gates}
    if not kinds:
        return False
    rows = _ahead(session, call, kinds)
    found = {row.id: gates for row, gates in _unpassed(session, call, rows, kinds)}
    if policies.current(session, call).release_ungated:
        late = [row.id for row in rows if is_forfeit(found[row.id], row.starts_at, call.now)]
        if late:
            _release(session, call, late[:_BATCH], kinds)
            return True
    _owe(session, call, rows, found)
    return False


def _ahead(session: Session, call: Call, kinds: Mapping[str, VisitType]) -> Sequence[Appointment]:
    furthest = max(gate.due_hours for kind in kinds.values() for gate in kind.gates)
    chosen = select(Appointment).where(
        Appointment.organization_id == call.organization_id,
        Appointment.status.in_(_STATUSES),
        Appointment.visit_type.in_(sorted(kinds)),
        Appointment.starts_at > call.now,
        Appointment.starts_at <= call.now + timedelta(hours=furthest),
    )
    return session.scalars(chosen.order_by(Appointment.starts_at, Appointment.id)).all()


def _unpassed(
    session: Session, call: Call, rows: Collection[Appointment], kinds: Mapping[str, VisitType]
) -> Iterator[tuple[Appointment, tuple[SessionGate, ...]]]:
    facts = _clearances(session, call, {row.patient_id for row in rows})
    for row in rows:
        stated = facts.get(row.patient_id, [])
        kind = kinds[row.visit_type]
        yield row, unpassed(kind, row.checklist, stated, row.starts_at, row.time_zone, call.now)


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
    """One task for each gate that is not passed, and none for those that are."""
    wanted = {f"{row.id}:{row.sequence}:{gate.key}": (row, gate) for row in rows for gate in found[row.id]}
    mine = Task.kind == KIND, Task.appointment_id.in_([row.id for row in rows])
    tasks.withdraw(session, call, "passed", *mine, Task.key.not_in(list(wanted)))
    known = select(Task.key).where(Task.organization_id == call.organization_id, *mine, Task.withdrawn.is_(False))
    there = set(session.scalars(known))
    for key in sorted(wanted.keys() - there):
        row, gate = wanted[key]
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


def _release(session: Session, call: Call, ids: Collection[UUID], kinds: Mapping[str, VisitType]) -> None:
    """Let the visits go whose gate is still not passed, now that nobody else can change them."""
    rows = [row for row in locked_together(session, call, ids) if row.status in _STATUSES]
    for row, gates in list(_unpassed(session, call, rows, kinds)):
        gate = is_forfeit(gates, row.starts_at, call.now)
        if gate is not None:
            let_go(session, call, row, f"Not in order in time: {gate.label}."[:500])
