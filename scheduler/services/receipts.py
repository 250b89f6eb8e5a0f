"""What a provider says became of a message that it took: delivered, or failed after all. Told twice, done once."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.errors import LostRace, NotFound
from scheduler.models import Message
from scheduler.services import tasks

_SOON = timedelta(hours=1)
#: What a patient should have known, and a person must now tell them.
_MUST_KNOW = frozenset({"change", "instruction"})


def settle(session: Session, call: Call, message_id: UUID, provider_id: str, outcome: str, detail: str) -> None:
    """Write it down. What is not about the last attempt, or comes after a final word, changes nothing.

    Raises NotFound, and LostRace while the message is still being handed over: the provider is to tell again.
    """
    wanted = select(Message).where(Message.organization_id == call.organization_id, Message.id == message_id)
    row = session.scalars(
        wanted.with_for_update(key_share=True).execution_options(populate_existing=True)
    ).one_or_none()
    if row is None:
        raise NotFound("There is no such message.")
    if row.status == "sending":
        raise LostRace("The message is being handed over.")
    if row.status != "sent" or row.provider_id != provider_id:
        return
    if outcome == "delivered":
        row.status = "delivered"
    elif outcome == "failed":
        row.status, row.reason = "failed", f"The provider could not deliver it: {_plain(detail) or 'no reason'}."
        if row.context.get("class") in _MUST_KNOW:
            _ask(session, call, row)
    session.flush()


def _ask(session: Session, call: Call, row: Message) -> None:
    tasks.owe(
        session,
        call,
        kind="patient_untold",
        key=str(row.id),
        title="The patient must be told in another way",
        detail=f"Message '{row.kind}' was taken by the provider and not delivered.",
        due_at=call.now + _SOON,
        patient_id=row.patient_id,
        appointment_id=row.appointment_id,
        course_id=row.course_id,
        message_id=row.id,
    )


def _plain(detail: str) -> str:
    return "".join(mark for mark in detail if mark.isprintable())[:100]
