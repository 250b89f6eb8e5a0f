"""A correction and the news of the change that made it needed say the same: patients are told once."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.models import Appointment, Message
from scheduler.services.outbox.telling import CORRECTION


def correct_by(session: Session, call: Call, visits: Sequence[Appointment], *news: ColumnElement[bool]) -> None:
    """Let the latest message that answers to `news` say what the corrections owed for these visits were to say.

    Should it not leave, they go their own way again. Without such news they stay as they are.
    """
    waiting = Message.organization_id == call.organization_id, Message.status == "pending"
    mine = Message.appointment_id.in_([visit.id for visit in visits])
    owed = session.scalars(select(Message.id).where(*waiting, mine, Message.kind == CORRECTION)).all()
    if not owed:
        return
    latest = select(Message.id).where(*waiting, *news, Message.rule.not_like("%+%")).order_by(Message.id.desc())
    host = session.scalars(latest.limit(1)).one_or_none()
    if host is None:
        return
    session.execute(
        update(Message)
        .where(Message.organization_id == call.organization_id, Message.id.in_(owed))
        .values(status="suppressed", reason="merged", merged_into=host)
        .execution_options(synchronize_session=False)
    )
