"""Clinical holds: a patient's dosing stops, its visits keep their time until a deadline, a named prescriber lifts it.

Therapy goes on. That a held dose is refused is the law of booking (`core/site`) and of the moves (`visit_day`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.civil import zone
from scheduler.core.clinical_hold import freezes
from scheduler.core.errors import Fault, IllegalTransition, Invalid, NotFound, Reason
from scheduler.models import Appointment, ClinicalHold, new_id
from scheduler.services import audit, consequences, course_rules, held_visits, outbox, patients, records, tasks
from scheduler.services.catalog import visit_kind, visit_kinds
from scheduler.services.finding import Search, Wanted
from scheduler.services.held import is_held
from scheduler.services.locks import bump_calendars, lock_resources
from scheduler.services.paging import Page
from scheduler.services.pins import pins_of
from scheduler.services.visit_day.letting_go import let_go, locked_together

#: What a hold looks at again when it is released; everything else about a visit's place was not its business.
_GATES = frozenset({"gate_not_passed", "gap_too_short", "gap_too_long", "dose_interval", "location_not_certified"})
_STOPPED = ("pending", "booked")


@dataclass(frozen=True)
class HoldView:
    """A hold as clients see it; it stands until `released_at`. At `deadline` the visits that it stops are let go."""

    id: UUID
    patient_id: UUID
    reason: str
    note: str
    placed_by: str
    deadline: datetime
    lapsed_at: datetime | None
    released_at: datetime | None
    released_by: str | None
    release_note: str | None
    revision: int
    created_at: datetime


@dataclass(frozen=True)
class Stopped:
    """A dosing visit ahead, its start by the clocks of its location, and what stands in its way."""

    id: UUID
    start: datetime
    time_zone: str
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True)
class Released:
    """The hold, and the dosing visits that go on, each looked at again. `let_go` are those that time has overtaken."""

    hold: HoldView
    visits: tuple[Stopped, ...]
    let_go: tuple[UUID, ...]


def _view(row: ClinicalHold) -> HoldView:
    return HoldView(
        id=row.id,
        patient_id=row.patient_id,
        reason=row.reason,
        note=row.note,
        placed_by=row.placed_by,
        deadline=row.deadline,
        lapsed_at=row.lapsed_at,
        released_at=row.released_at,
        released_by=row.released_by,
        release_note=row.release_note,
        revision=row.revision,
        created_at=row.created_at,
    )


KIND = records.Kind("clinical_hold", ClinicalHold, _view, taken="The patient is held for that reason already.")


def place(
    session: Session,
    call: Call,
    patient_id: UUID,
    *,
    reason: str,
    deadline: datetime,
    by: str | None = None,
    note: str = "",
) -> HoldView:
    """Stop the patient's dosing: nothing more is said about the visits that it stops, and a clinician is asked to look.

    Raises NotFound, Invalid for a deadline that has passed, AlreadyExists for a reason that holds the patient already.
    """
    patients.get(session, call, patient_id)
    check_deadline(call, deadline)
    lock_resources(session, call, [patient_id])
    row = ClinicalHold(
        organization_id=call.organization_id,
        id=new_id(),
        patient_id=patient_id,
        reason=reason,
        note=note,
        placed_by=by or call.actor,
        deadline=deadline,
        created_at=call.now,
    )
    view = records.add(session, call, KIND, row)
    # Whoever was looking for a dose's place meanwhile looks again.
    bump_calendars(session, call, [patient_id], locked=True)
    stopped = [visit for visit in _ahead(session, call, patient_id) if visit.starts_at > call.now]
    for visit in stopped:
        outbox.call_off(session, call, visit, why="on_hold")
    consequences.silenced(session, call, [visit.id for visit in stopped])
    tasks.owe(
        session,
        call,
        kind="clinical_hold",
        key=str(row.id),
        title=f"Clinical hold: {reason.replace('_', ' ')}",
        detail=_to_do(session, call, stopped),
        due_at=deadline,
        steps=held_visits.urgent_at(stopped),
        patient_id=patient_id,
    )
    return view


def _to_do(session: Session, call: Call, stopped: Sequence[Appointment]) -> str:
    said = "Dosing is stopped. Release the hold, or let the held visits go at the deadline."
    known = [visit for visit in stopped if visit.status == "booked"]
    return f"{said} {held_visits.to_tell(session, call, known)}" if known else said


def check_deadline(call: Call, deadline: datetime) -> None:
    """Raises Invalid for a deadline that has passed."""
    if deadline <= call.now:
        raise Invalid([Fault("/deadline", "in_past", "The deadline has passed already.")])


def listing(
    session: Session,
    call: Call,
    patient_id: UUID,
    *,
    active: bool | None = None,
    limit: int = 50,
    cursor: str | None = None,
) -> Page[HoldView]:
    """The patient's holds, in the order in which they were placed. Raises NotFound."""
    patients.get(session, call, patient_id)
    chosen = [ClinicalHold.patient_id == patient_id]
    if active is not None:
        chosen.append(ClinicalHold.released_at.is_(None) if active else ClinicalHold.released_at.is_not(None))
    return records.listing(session, call, KIND, *chosen, limit=limit, cursor=cursor)


def release(
    session: Session, call: Call, patient_id: UUID, hold_id: UUID, *, by: str, note: str, revision: int | None = None
) -> Released:
    """A prescriber (`by`) lets dosing go on: visits that time has overtaken go, the others are looked at again.

    Gaps then count from the last dose that was given. While another hold of the patient stands, nothing else happens.
    Raises NotFound, StaleRevision, IllegalTransition for a hold that is released already.
    """
    if records.find(session, call, KIND, hold_id).patient_id != patient_id:
        raise NotFound("There is no such clinical hold.")
    ids = [row.id for row in _ahead(session, call, patient_id)]
    visits = locked_together(session, call, ids, also=[patient_id])
    row = records.find(session, call, KIND, hold_id)
    records.expect(row, revision)
    if row.released_at is not None:
        raise IllegalTransition(f"The hold was released already, by {row.released_by}.")
    row.released_at, row.released_by, row.release_note = call.now, by, note
    with records.written(KIND.taken):
        session.flush()
    bump_calendars(session, call, [patient_id], locked=True)
    tasks.close(session, call, kind="clinical_hold", key=str(hold_id), by=by, note=note)
    after = {"patient_id": patient_id, "released_by": by}
    audit.note(session, call, "clinical_hold.release", "clinical_hold", hold_id, after=after, reason=note[:500])
    if is_held(session, call, patient_id):
        return Released(_view(row), (), ())
    return _resumed(session, call, _view(row), visits)


def _resumed(session: Session, call: Call, hold: HoldView, visits: Sequence[Appointment]) -> Released:
    standing = [visit for visit in visits if visit.status in _STOPPED]
    gone = [visit for visit in standing if visit.starts_at <= call.now]
    for visit in gone:
        let_go(session, call, visit, "A clinical hold stopped it.")
    found = []
    for visit in sorted(standing, key=lambda each: (each.starts_at, each.id)):
        if visit.starts_at > call.now:
            outbox.owe_again(session, call, visit, why="released")
            seen = Stopped(visit.id, *_shown(visit), _in_the_way(session, call, visit))
            found.append(seen)
            if seen.reasons:
                _ask_to_look(session, call, visit, seen)
    return Released(hold, tuple(found), tuple(visit.id for visit in gone))


def _shown(row: Appointment) -> tuple[datetime, str]:
    """When the visit begins, by the clocks of its location, and their zone."""
    return row.starts_at.astimezone(zone(row.time_zone)), row.time_zone


def lapse(session: Session, call: Call) -> bool:
    """A chore: what a hold still stops at its deadline is let go. True when there may be more to do."""
    due = session.scalars(
        select(ClinicalHold)
        .where(
            ClinicalHold.organization_id == call.organization_id,
            ClinicalHold.released_at.is_(None),
            ClinicalHold.lapsed_at.is_(None),
            ClinicalHold.deadline <= call.now,
        )
        .order_by(ClinicalHold.deadline, ClinicalHold.id)
        .limit(1)
    ).one_or_none()
    if due is None:
        return False
    ids = [row.id for row in _ahead(session, call, due.patient_id)]
    visits = locked_together(session, call, ids, also=[due.patient_id])
    row = records.find(session, call, KIND, due.id)
    if row.released_at is None:
        row.lapsed_at = call.now
        gone = [visit for visit in visits if visit.status in _STOPPED]
        for visit in gone:
            let_go(session, call, visit, "A clinical hold was not released in time.")
        after = {"let_go": [visit.id for visit in gone]}
        audit.note(session, call, "clinical_hold.lapse", "clinical_hold", row.id, after=after)
        session.flush()
    return True


def _ahead(session: Session, call: Call, patient_id: UUID) -> list[Appointment]:
    """The patient's doses that nobody has given yet and nobody called off, past ones too."""
    frozen = [code for code, kind in visit_kinds(session, call).items() if freezes(kind.visit)]
    chosen = select(Appointment).where(
        Appointment.organization_id == call.organization_id,
        Appointment.patient_id == patient_id,
        Appointment.status.in_(_STOPPED),
        Appointment.visit_type.in_(frozen),
    )
    return list(session.scalars(chosen.order_by(Appointment.id)))


def _in_the_way(session: Session, call: Call, row: Appointment) -> tuple[Reason, ...]:
    """The gates, and the gaps from the doses that were given, that the visit does not keep as things stand."""
    rules = course_rules.link(session, call, row.course_session_id, row.patient_id, row.visit_type, moving=True)
    wanted = Wanted(row.patient_id, row.visit_type, row.location_id, row.starts_at, pins=pins_of(row))
    search = Search(session, call, visit_kind(session, call, row.visit_type), wanted, rules, row.id)
    loaded = search.load(row.starts_at, row.starts_at)
    slot = loaded.site.timeline.slot(row.starts_at)
    bars = [bar for bar in search.clinic(loaded).bars if bar.code in _GATES and bar.starts >> slot & 1]
    return tuple(Reason(bar.code, bar.detail, start=row.starts_at, item=bar.item) for bar in bars)


def _ask_to_look(session: Session, call: Call, row: Appointment, seen: Stopped) -> None:
    tasks.owe(
        session,
        call,
        kind="held_visit",
        key=f"{row.id}:{row.sequence}",
        title="A visit goes on after a clinical hold, and something is in its way",
        detail=" ".join(reason.detail for reason in seen.reasons),
        due_at=row.starts_at,
        patient_id=row.patient_id,
        appointment_id=row.id,
        course_id=row.course_id,
        location_id=row.location_id,
    )
