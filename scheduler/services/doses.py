"""A patient's doses, given and planned, in all courses and at all locations. How close they may be is the core's."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Table, Text, Uuid, and_, bindparam, literal_column, select
from sqlalchemy import cast as as_type
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.doses import Dose, dose_of
from scheduler.core.lifecycle import LIVE, NOT_DOSED
from scheduler.core.visit import LONGEST_LIMIT_DAYS, VisitType
from scheduler.models import Appointment, VisitTypeRow
from scheduler.models.base import UtcDateTime
from scheduler.services.catalog import kind_of
from scheduler.services.premises import Columns
from scheduler.services.ready import unseen

_REACH = timedelta(days=LONGEST_LIMIT_DAYS + 1)

_ROWS = cast("Table", Appointment.__table__).c
_KINDS = cast("Table", VisitTypeRow.__table__).c
#: A patient's live visits, as `doses_among` takes them.
VISITS = (
    select(
        _ROWS.id,
        _ROWS.starts_at,
        _ROWS.local_start,
        _ROWS.dosed_at,
        _KINDS.id.label("kind_id"),
        as_type(_KINDS.definition, Text).label("definition"),
    )
    .join(
        VisitTypeRow.__table__,
        and_(_KINDS.organization_id == _ROWS.organization_id, _KINDS.id == _ROWS.visit_type_id),
    )
    .where(
        _ROWS.organization_id == bindparam("organization"),
        _ROWS.patient_id == unseen(bindparam("dosed", type_=Uuid())),
        _ROWS.starts_at > unseen(bindparam("since", type_=UtcDateTime())),
        _ROWS.status.in_([literal_column(f"'{each}'", Text()) for each in sorted(LIVE)]),  # their number is known
        _ROWS.outcome.is_distinct_from(NOT_DOSED),
    )
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
    return doses_among(session.execute(VISITS, asked_for(session, call, patient_id)).all(), ignoring)


def asked_for(session: Session, call: Call, patient_id: UUID | None) -> dict[str, Any]:
    """The parameters of `VISITS`. A visit that is not flushed yet counts: it is now."""
    session.flush()
    return {"organization": call.organization_id, "dosed": patient_id, "since": call.now - _REACH}


def doses_among(visits: Iterable[Columns], ignoring: Collection[UUID] = ()) -> tuple[Dose, ...]:
    """The doses among these visits, in order."""
    found = []
    for row in visits:
        visit = kind_of(row.kind_id, row.definition).visit
        if visit.kind == "dosing" and row.id not in ignoring:
            day = datetime.fromisoformat(row.local_start).date()
            found.append((row.starts_at, dose_of(visit, row.starts_at, day, row.dosed_at)))
    return tuple(dose for _, dose in sorted(found, key=lambda each: each[0]))
