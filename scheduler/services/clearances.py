"""Clearances: dated statements about a patient, added and never changed. What they open or bar is the core's."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.errors import Fault, Invalid
from scheduler.models import Clearance, new_id
from scheduler.services import patients, records
from scheduler.services.paging import Page


@dataclass(frozen=True)
class ClearanceView:
    """One statement as clients see it; `valid_to` is inclusive, None is open."""

    id: UUID
    patient_id: UUID
    kind: str
    modality: str | None
    outcome: str
    valid_from: date
    valid_to: date | None
    by: str
    note: str
    created_at: datetime


def _view(row: Clearance) -> ClearanceView:
    return ClearanceView(
        row.id,
        row.patient_id,
        row.kind,
        row.modality,
        row.outcome,
        row.valid_from,
        row.valid_to,
        row.by,
        row.note,
        row.created_at,
    )


KIND = records.Kind("clearance", Clearance, _view)


def create(
    session: Session,
    call: Call,
    patient_id: UUID,
    *,
    kind: str,
    outcome: str,
    valid_from: date,
    by: str,
    modality: str | None = None,
    valid_to: date | None = None,
    note: str = "",
) -> ClearanceView:
    """Write down what a clinician (`by`) stated; a later one of the kind overrules it. Raises NotFound, Invalid."""
    patients.get(session, call, patient_id)
    check_days(call, valid_from, valid_to)
    row = Clearance(
        organization_id=call.organization_id,
        id=new_id(),
        patient_id=patient_id,
        kind=kind,
        modality=modality,
        outcome=outcome,
        valid_from=valid_from,
        valid_to=valid_to,
        by=by,
        note=note,
        created_at=call.now,
    )
    return records.add(session, call, KIND, row)


def check_days(_: Call, valid_from: date, valid_to: date | None) -> None:
    """Raises Invalid for days that end before they begin."""
    if valid_to is not None and valid_to < valid_from:
        raise Invalid([Fault("/valid_to", "ends_before_start", "The last day comes before the first.")])


def listing(
    session: Session, call: Call, patient_id: UUID, *, limit: int = 50, cursor: str | None = None
) -> Page[ClearanceView]:
    """The patient's clearances, in the order in which they were stated. Raises NotFound."""
    patients.get(session, call, patient_id)
    return records.listing(session, call, KIND, Clearance.patient_id == patient_id, limit=limit, cursor=cursor)
