"""Links that the staff end by hand: of a visit, or all of a patient, whose calendar feeds end with them.

A message that is still to leave gets its link as it leaves, which is not ended here; one that is tried again carries
the link that it had, which stays ended. How links are made and opened lives in `patient_links`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.models import Appointment, CalendarFeed, PatientLink
from scheduler.services import appointments, audit, feeds, patients, records
from scheduler.services.records import Revision


@dataclass(frozen=True)
class Ended:
    """How many opened something until now, and do no more."""

    links: int
    calendar_feeds: int


def of_visit(
    session: Session, call: Call, appointment_id: UUID, *, reason: str, revision: Revision | None = None
) -> Ended:
    """End every link to the visit at once; again changes nothing. Raises NotFound, StaleRevision."""
    row = appointments.row_of(session, call, appointment_id, lock=revision is not None)
    records.expect(row, revision)
    ended = Ended(_end_links(session, call, PatientLink.appointment_id == row.id), 0)
    _note(session, call, "appointment", row.id, ended, reason)
    return ended


def of_patient(
    session: Session, call: Call, patient_id: UUID, *, reason: str, revision: Revision | None = None
) -> Ended:
    """End every link to any visit of the patient, and their calendar feeds. Raises NotFound, StaleRevision."""
    records.expect(patients.get(session, call, patient_id), revision)
    living = select(CalendarFeed.id).where(
        CalendarFeed.organization_id == call.organization_id,
        CalendarFeed.resource_id == patient_id,
        CalendarFeed.revoked_at.is_(None),
    )
    shown = session.scalars(living.order_by(CalendarFeed.id)).all()
    for feed_id in shown:
        feeds.revoke(session, call, feed_id)
    # By the visits, which are found by their patient; links are only found by their visit.
    visits = select(Appointment.id).where(
        Appointment.organization_id == call.organization_id, Appointment.patient_id == patient_id
    )
    ended = Ended(_end_links(session, call, PatientLink.appointment_id.in_(visits)), len(shown))
    _note(session, call, "patient", patient_id, ended, reason)
    return ended


def _end_links(session: Session, call: Call, whose: Any) -> int:
    rows = session.scalars(
        select(PatientLink)
        .where(PatientLink.organization_id == call.organization_id, whose, PatientLink.revoked_at.is_(None))
        .order_by(PatientLink.id)
        .with_for_update()
    ).all()
    for row in rows:
        row.revoked_at = call.now
    session.flush()
    return sum(row.expires_at > call.now for row in rows)


def _note(session: Session, call: Call, noun: str, subject_id: UUID, ended: Ended, reason: str) -> None:
    audit.note(session, call, f"{noun}.revoke_links", noun, subject_id, after=vars(ended), reason=reason)
