"""What a number was texted of late: which visits an answer may be about, and of which class the last text was."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.models import Appointment, Message

#: What an answer may be an answer to.
REMEMBERED = timedelta(days=30)
#: Texts so close to the last one may be what is answered just as well.
TOGETHER = timedelta(hours=12)


def last_class(session: Session, call: Call, number: str, people: Collection[UUID]) -> str | None:
    """The class of the last text to this number."""
    texts = _texts(session, call, number, people)
    return texts[0].context.get("class") if texts else None


def asked_about(
    session: Session, call: Call, number: str, people: Collection[UUID], *, together: timedelta = TOGETHER
) -> list[Appointment]:
    """The visits to come that the last text told of, at the time that they still have; the soonest first.

    So do the texts of some hours before it, and whatever was merged into any of them.
    """
    texts = _texts(session, call, number, people)
    recent = [row for row in texts if row.sent_at > texts[0].sent_at - together]
    if not recent:
        return []
    merged = session.execute(
        select(Message.appointment_id, Message.sequence).where(
            Message.organization_id == call.organization_id, Message.merged_into.in_([row.id for row in recent])
        )
    ).all()
    alone = [row for row in recent if "visits" not in row.context]
    told = {(row.appointment_id, row.sequence) for row in (*alone, *merged) if row.appointment_id is not None}
    chosen = select(Appointment).where(
        Appointment.organization_id == call.organization_id,
        Appointment.id.in_({appointment_id for appointment_id, _ in told}),
        Appointment.status.in_(("pending", "booked")),
        Appointment.starts_at > call.now,
    )
    rows = session.scalars(chosen.order_by(Appointment.starts_at, Appointment.id))
    return [row for row in rows if (row.id, row.sequence) in told]


def _texts(session: Session, call: Call, number: str, people: Collection[UUID]) -> Sequence[Row[Any]]:
    """The texts to this number, the last one first."""
    since: datetime = call.now - REMEMBERED
    return session.execute(
        select(Message.id, Message.appointment_id, Message.sequence, Message.sent_at, Message.context)
        .where(
            Message.organization_id == call.organization_id,
            Message.patient_id.in_(people),
            Message.channel == "sms",
            Message.sent_to == number,
            Message.status.in_(("sent", "delivered")),
            Message.sent_at > since,
        )
        .order_by(Message.sent_at.desc(), Message.id.desc())
    ).all()
