"""What the staff may do about one message: try it again, call it off, hurry it. Looking at them lives in `messages`."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.errors import IllegalTransition, NotFound
from scheduler.models import Message, Task
from scheduler.services import audit, messages, outbox, records, tasks
from scheduler.services.messages import MessageView
from scheduler.services.records import Revision


def retry(session: Session, call: Call, message_id: UUID, *, revision: Revision | None = None) -> MessageView:
    """Let a message that failed for good be due again. What it speaks of is judged anew when a worker takes it.

    Raises NotFound, StaleRevision, IllegalTransition unless it has failed and is still of use.
    """
    row = _locked(session, call, message_id, revision)
    if row.status != "failed":
        raise IllegalTransition(f"The message is {row.status}: only one that failed is tried again.")
    if call.now >= row.expires_at:
        raise IllegalTransition("The time in which the message was of use is over.")
    if row.called_off_at is not None:
        raise IllegalTransition("The message was called off: its visit has changed.")
    context = {name: value for name, value in row.context.items() if name != "failed"}
    return _write(session, call, row, "retry", status="pending", reason=None, due_at=call.now, context=context)


def cancel(
    session: Session, call: Call, message_id: UUID, *, reason: str, revision: Revision | None = None
) -> MessageView:
    """Let a message that waits never leave. What it was to say for others, they say themselves.

    Raises NotFound, StaleRevision, IllegalTransition when it is on its way or has come to an end.
    """
    row = _waiting(session, call, message_id, revision)
    # A worker that went silent and comes back must not find its lease.
    gone = {"token": None, "lease_until": None, "called_off_at": call.now}
    view = _write(session, call, row, "cancel", why=reason, status="suppressed", reason="cancelled_by_staff", **gone)
    outbox.part(session, call.organization_id, [row.id])
    return view


def send_now(session: Session, call: Call, message_id: UUID, *, revision: Revision | None = None) -> MessageView:
    """Let a message that waits be due at once. Quiet hours, caps and the visit's state have their say as ever.

    Raises NotFound, StaleRevision, IllegalTransition when it is on its way or has come to an end.
    """
    row = _waiting(session, call, message_id, revision)
    if call.now >= row.expires_at:
        raise IllegalTransition("The time in which the message was of use is over.")
    return _write(session, call, row, "send-now", due_at=min(row.due_at, call.now))


def _waiting(session: Session, call: Call, message_id: UUID, revision: Revision | None) -> Message:
    row = _locked(session, call, message_id, revision)
    if row.status == "sending" and row.lease_until is not None and row.lease_until > call.now:
        raise IllegalTransition("A worker has the message in hand. Ask again in a minute.")
    if row.status not in {"pending", "sending"}:
        raise IllegalTransition(f"The message is {row.status} already.")
    return row


def _locked(session: Session, call: Call, message_id: UUID, revision: Revision | None) -> Message:
    """The message as it is now; a worker that has it in this moment is waited for."""
    row = session.scalars(
        select(Message)
        .where(Message.organization_id == call.organization_id, Message.id == message_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    ).one_or_none()
    if row is None:
        raise NotFound(f"No message {message_id}.")
    if revision is not None:
        records.expect(messages.get(session, call, message_id), revision)
    return row


def _write(
    session: Session, call: Call, row: Message, act: str, *, why: str | None = None, **values: Any
) -> MessageView:
    shown: list[str] = [name for name in ("status", "reason", "due_at") if name in values]
    before: dict[str, Any] = {name: getattr(row, name) for name in shown}
    for name, value in values.items():
        setattr(row, name, value)
    session.flush()
    after: dict[str, Any] = {name: values[name] for name in shown}
    audit.note(session, call, f"message.{act}", "message", row.id, before=before, after=after, reason=why)
    tasks.withdraw(session, call, f"Somebody has seen to the message: {act}.", Task.message_id == row.id)
    return messages.get(session, call, row.id)
