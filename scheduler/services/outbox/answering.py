"""What a yes to a visit answers: instructions that have left by then. One that comes later is to be answered again.

Whoever says three days ahead that they will come has not yet been told from when on to fast.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.models import Appointment, Message
from scheduler.services.outbox.mailbox import is_copy
from scheduler.services.outbox.telling import LEFT


def is_asked(session: Session, call: Call, appointment: Appointment) -> bool:
    """Whether something that the patient was told waits for an answer, and would be said again without one."""
    return bool(_waiting(session, call, appointment))


def answered(session: Session, call: Call, appointment: Appointment) -> None:
    """The patient, or who spoke with them, has said yes: what has been told need not be told again."""
    waiting = _waiting(session, call, appointment)
    if waiting:
        session.execute(
            update(Message)
            .where(Message.organization_id == call.organization_id, Message.id.in_(waiting))
            .values(status="suppressed", reason="confirmed")
            .execution_options(synchronize_session=False)
        )


def _waiting(session: Session, call: Call, appointment: Appointment) -> Sequence[UUID]:
    """What follows messages that have left, each by itself or as a line of another, unless somebody answers."""
    rows = session.scalars(
        select(Message)
        .where(
            Message.organization_id == call.organization_id,
            Message.appointment_id == appointment.id,
            Message.sequence == appointment.sequence,
            Message.called_off_at.is_(None),
        )
        .execution_options(populate_existing=True)
    ).all()
    told = {row.rule for row in rows if row.status in LEFT or row.merged_into is not None}
    return [
        row.id
        for row in rows
        if row.status == "pending" and not is_copy(row) and row.rule.partition("+")[0] in told - {row.rule}
    ]
