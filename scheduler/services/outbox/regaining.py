"""When a patient can be reached again: what no channel could bring is owed once more, and nobody need call for it."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.reminders import UNREACHABLE, VOICE
from scheduler.models import Message, Patient, Task
from scheduler.services import tasks
from scheduler.services.outbox.people import addresses_of


def regain(session: Session, call: Call, patients: Iterable[Patient]) -> None:
    """See to those of these patients whom some channel reaches now. Whoever gave it calls this, before it commits."""
    for patient in patients:
        _regain(session, call, patient, set(addresses_of(patient, call.now)))


def _regain(session: Session, call: Call, patient: Patient, reach: AbstractSet[str]) -> None:
    mine = Message.organization_id == call.organization_id, Message.patient_id == patient.id
    lost = Message.status == "suppressed", Message.reason == "no_channel", Message.called_off_at.is_(None)
    # By now it may be of no use, or there may be another visit: it is judged when a worker takes it.
    found = session.execute(select(Message.id, Message.context).where(*mine, *lost, Message.expires_at > call.now))
    mended = [row.id for row in found if not reach.isdisjoint(row.context.get("channels", ()))]
    if not mended and reach <= {VOICE}:  # few rules call, and a number to call is no way for the others
        return
    session.execute(
        update(Message)
        .where(Message.organization_id == call.organization_id, Message.id.in_(mended))
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
