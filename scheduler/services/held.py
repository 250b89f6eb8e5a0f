"""Whom a clinical hold stops, and why: a plain look. Holds are placed and released in `clinical_holds`."""

from __future__ import annotations

from collections.abc import Collection
from typing import cast
from uuid import UUID

from sqlalchemy import Table, bindparam, select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.models import ClinicalHold
from scheduler.models.among import among

_HOLDS = cast("Table", ClinicalHold.__table__).c
_STANDING = (
    select(_HOLDS.patient_id, _HOLDS.reason)
    .where(
        _HOLDS.organization_id == bindparam("organization"),
        among(_HOLDS.patient_id, "patients"),
        _HOLDS.released_at.is_(None),
    )
    .order_by(_HOLDS.id)
)


def holds_of(session: Session, call: Call, patient_ids: Collection[UUID]) -> dict[UUID, tuple[str, ...]]:
    """The reasons for which each of the patients is held; whoever is not is left out. One statement."""
    if not patient_ids:
        return {}
    found: dict[UUID, tuple[str, ...]] = {}
    wanted = {"organization": call.organization_id, "patients": list(patient_ids)}
    for patient_id, reason in session.execute(_STANDING, wanted):
        found[patient_id] = (*found.get(patient_id, ()), reason)
    return found


def is_held(session: Session, call: Call, patient_id: UUID) -> bool:
    """Whether any hold of the patient stands."""
    return bool(holds_of(session, call, {patient_id}))
