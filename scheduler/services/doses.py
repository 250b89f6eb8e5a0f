"""A patient's doses, given and planned, in all courses and at all locations. How close they may be is the core's."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Text, and_, bindparam, cast, select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.doses import Dose, dose_of
from scheduler.core.lifecycle import LIVE, NOT_DOSED
from scheduler.core.visit import LONGEST_LIMIT_DAYS, VisitType
from scheduler.models import Appointment, VisitTypeRow
from scheduler.models.base import UtcDateTime
from scheduler.services.catalog import kind_of

_REACH = timedelta(days=LONGEST_LIMIT_DAYS + 1)

_SAME_KIND = and_(
    VisitTypeRow.organization_id == Appointment.organization_id, VisitTypeRow.id == Appointment.visit_type_id
)
#: Made once: it is asked for every look on behalf of a patient. A visit that is not flushed yet counts.
_DOSES = (
    select(
        Appointment.id,
        Appointment.starts_at,
        Appointment.local_start,
        Appointment.dosed_at,
        VisitTypeRow.id.label("kind_id"),
        cast(VisitTypeRow.definition, Text).label("definition"),
    )
    .join(VisitTypeRow, _SAME_KIND)
    .where(
        Appointment.organization_id == bindparam("organization"),
        Appointment.patient_id == bindparam("patient"),
        Appointment.starts_at > bindparam("since", type_=UtcDateTime()),
        Appointment.status.in_(sorted(LIVE)),
        Appointment.outcome.is_distinct_from(NOT_DOSED),
    )
    .order_by(Appointment.starts_at)
)


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
    found = []
    asked = {"organization": call.organization_id, "patient": patient_id, "since": call.now - _REACH}
    for row in session.execute(_DOSES, asked):
        other = kind_of(row.kind_id, row.definition).visit
        if other.kind == "dosing" and row.id not in ignoring:
            day = datetime.fromisoformat(row.local_start).date()
            found.append(dose_of(other, row.starts_at, day, row.dosed_at))
    return tuple(found)
