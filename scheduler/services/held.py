"""Whom a clinical hold stops, and why: a plain look. Holds are placed and released in `clinical_holds`."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.models import ClinicalHold


def holds_of(session: Session, call: Call, patient_ids: Collection[UUID]) -> dict[UUID, tuple[str, ...]]:
    """The reasons for which each of the patients is held; whoever is not is left out. One statement."""
    if not patient_ids:
        return {}
    chosen = select(ClinicalHold.patient_id, ClinicalHold.reason).where(
        ClinicalHold.organization_id == call.organization_id,
        ClinicalHold.patient_id.in_(patient_ids),
        ClinicalHold.released_at.is_(None),
    )
    found: dict[UUID, tuple[str, ...]] = {}
    for patient_id, reason in session.execute(chosen.order_by(ClinicalHold.id)):
        found[patient_id] = (*found.get(patient_id, ()), reason)
    return found


def is_held(session: Session, call: Call, patient_id: UUID) -> bool:
    """Whether any hold of the patient stands."""
    return bool(holds_of(session, call, {patient_id}))
