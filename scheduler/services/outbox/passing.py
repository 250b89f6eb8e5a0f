"""What may have come about since a message was owed, and makes it pointless. Asked one message at a time."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.civil import to_local
from scheduler.core.lifecycle import LIVE, NOT_DOSED
from scheduler.core.site import ADVERSE
from scheduler.models import Appointment, Clearance
from scheduler.services.catalog import visit_kind

#: An integration visit that starts within this time of the dose's end is the one that the prompt would ask for.
INTEGRATION_WITHIN = timedelta(hours=72)


def passed(session: Session, call: Call, visit: Appointment, asked: Collection[str]) -> frozenset[str]:
    """What of `asked` (of core/reminders' PASSING) is so by now."""
    return frozenset(name for name in asked if _ASKED[name](session, call, visit))


def _has_integration(session: Session, call: Call, visit: Appointment) -> bool:
    """Whether the patient has an integration visit soon after this one."""
    until = visit.ends_at + INTEGRATION_WITHIN
    return any(kind == "integration" for kind in _later(session, call, visit, Appointment.starts_at <= until))


def _has_dose(session: Session, call: Call, visit: Appointment) -> bool:
    """Whether the patient has a dose after this one."""
    return any(kind == "dosing" for kind in _later(session, call, visit))


def _is_confirmed(_session: Session, _call: Call, visit: Appointment) -> bool:
    return visit.confirmed_at is not None


def _has_forms(session: Session, call: Call, visit: Appointment) -> bool:
    """Whether everything that the visit type asks for is there, for the day of the visit."""
    kind = visit_kind(session, call, visit.visit_type).visit
    day = to_local(visit.starts_at, visit.time_zone).date()
    rows = session.scalars(
        select(Clearance)
        .where(
            Clearance.organization_id == call.organization_id,
            Clearance.patient_id == visit.patient_id,
            Clearance.kind.in_({*kind.forms, *kind.clearances}),
            Clearance.valid_from <= day,
        )
        .order_by(Clearance.id)
    )
    # In the order in which they were stated: a later one overrules.
    last = {row.kind: row for row in rows if row.modality in (None, kind.modality)}
    there = {
        name
        for name, row in last.items()
        if row.outcome not in ADVERSE and (row.valid_to is None or day <= row.valid_to)
    }
    return {*kind.forms, *kind.clearances} <= there


def _later(session: Session, call: Call, visit: Appointment, *conditions: object) -> list[str]:
    """The kinds of the patient's living visits after this one."""
    rows = session.scalars(
        select(Appointment.visit_type).where(
            Appointment.organization_id == call.organization_id,
            Appointment.patient_id == visit.patient_id,
            Appointment.starts_at >= visit.ends_at,
            Appointment.status.in_(LIVE),
            Appointment.outcome.is_distinct_from(NOT_DOSED),
            *conditions,  # type: ignore[arg-type]
        )
    )
    return [visit_kind(session, call, code).visit.kind for code in set(rows)]


_ASKED: dict[str, Callable[[Session, Call, Appointment], bool]] = {
    "integration_booked": _has_integration,
    "confirmed": _is_confirmed,
    "forms_complete": _has_forms,
    "dose_booked": _has_dose,
}
