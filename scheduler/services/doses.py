"""A patient's doses, given and planned, in all courses and at all locations. How close they may be is the core's."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.doses import Dose, dose_of
from scheduler.core.lifecycle import LIVE, NOT_DOSED
from scheduler.core.visit import LONGEST_LIMIT_DAYS, VisitType
from scheduler.models import Appointment, VisitTypeRow
from scheduler.services.catalog import read_visit

_REACH = timedelta(days=LONGEST_LIMIT_DAYS + 1)


def doses_of(
    session: Session,
    call: Call,
    patient_id: UUID | None,
    visit: VisitType,
    *,
    ignoring: Collection[UUID] = (),
) -> tuple[Dose, ...]:
    """The doses that may count against such a visit of the patient, in order; none for a visit that gives none.

    Left out are the appointments in `ignoring`, and visits that end without a dose.
    """
    if patient_id is None or visit.kind != "dosing":
        return ()
    same_kind = and_(
        VisitTypeRow.organization_id == Appointment.organization_id, VisitTypeRow.id == Appointment.visit_type_id
    )
    wanted = (
        select(
            Appointment.id,
            Appointment.starts_at,
            Appointment.local_start,
            Appointment.dosed_at,
            VisitTypeRow.definition,
        )
        .join(VisitTypeRow, same_kind)
        .where(
            Appointment.organization_id == call.organization_id,
            Appointment.patient_id == patient_id,
            Appointment.starts_at > call.now - _REACH,
            Appointment.status.in_(sorted(LIVE)),
            Appointment.outcome.is_distinct_from(NOT_DOSED),
        )
        .order_by(Appointment.starts_at)
    )
    found = []
    for row in session.execute(wanted):
        other = read_visit(row.definition)
        if other.kind == "dosing" and row.id not in ignoring:
            day = datetime.fromisoformat(row.local_start).date()
            found.append(dose_of(other, row.starts_at, day, row.dosed_at))
    return tuple(found)
