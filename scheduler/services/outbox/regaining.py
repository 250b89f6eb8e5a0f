"""When a patient can be reached again: what no channel could bring is owed once more, and nobody need call for it."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import update
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.reminders import UNREACHABLE
from scheduler.models import Message, Patient, Task
from scheduler.services import tasks
from scheduler.services.outbox.people import addresses_of


def regain(session: Session, call: Call, patients: Iterable[Patient]) -> None:
    """See to those of these patients whom some channel reaches now. Whoever gave it calls this, before it commits."""
    for patient in patients:
        if addresses_of(patient, call.now):
            _regain(session, call, patient)


def _regain(session: Session, call: Call, patient: Patient) -> None:
    mine = Message.organization_id == call.organization_id, Message.patient_id == patient.id
    lost = Message.status == "suppressed", Message.reason == "no_channel", Message.called_off_at.is_(None)
    # By now it may be of no use, or there may be another visit: it is judged when a worker takes it.
    session.execute(
        update(Message)
        .where(*mine, *lost, Message.expires_at > call.now)
        .values(status="pending", reason=None)
        .execution_options(synchronize_session=False)
    )
    session.execute(
        update(Message)
        .where(*mine, Message.kind == UNREACHABLE, Message.status == "pending")
        .values(status="suppressed", reason="reachable")
        .execution_options(synchronize_session=False)
    )
    seen_to = Task.patient_id == patient.id, Task.kind == UNREACHABLE
    tasks.withdraw(session, call, "A channel reaches the patient now.", *seen_to)
