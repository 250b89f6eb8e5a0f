"""What becomes of a message that a channel has refused for good: the next channel of its rule, or else a person."""

from __future__ import annotations

from sqlalchemy import update
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.reminders import UNTOLD
from scheduler.models import Message, Patient
from scheduler.services import opt_outs
from scheduler.services.outbox import mailbox
from scheduler.services.outbox.asking import ask
from scheduler.services.outbox.letters import Letter
from scheduler.services.outbox.parting import part
from scheduler.services.outbox.people import addresses_of


def refused(session: Session, call: Call, letter: Letter, why: str) -> bool:
    """A delivery was refused for good, as its worker says. False when the lease has passed to another."""
    key = letter.organization_id, letter.id
    row = session.get(Message, key, with_for_update={"key_share": True}, populate_existing=True)
    if row is None or row.status != "sending" or row.token != letter.token:
        return False
    row.token, row.lease_until = None, None
    fall(session, call, row, letter.channel, why)
    return True


def fall(session: Session, call: Call, row: Message, channel: str, why: str) -> None:
    """Let a message that is not to be had over `channel` go the next way that is open; without one, a person is asked.

    The caller holds the row. What it was to say for others goes with it, or their own ways.
    """
    if row.called_off_at is not None:
        row.status = "suppressed"
        part(session, row.organization_id, [row.id])
        return
    row.reason, row.provider_id, row.sent_at, row.sent_to, row.body = why[:300], None, None, None, None
    row.context = row.context | {"failed": [*row.context.get("failed", ()), channel]}
    other = _next(session, call, row)
    told = None if other is None else mailbox.copy_of(session, row, other)
    if told is not None:
        row.status, row.reason, row.merged_into = "suppressed", "merged", told.id
        return
    if other is not None and call.now < row.expires_at:
        row.status, row.channel, row.due_at = "pending", other, call.now
        session.flush()
        say_once(session, row, other)
        return
    row.status = "failed"
    session.flush()
    part(session, row.organization_id, [row.id])
    if not mailbox.is_copy(row):  # the other has told it, or does now
        ask(session, call, row, UNTOLD)


def _next(session: Session, call: Call, row: Message) -> str | None:
    patient = session.get_one(Patient, (row.organization_id, row.patient_id), populate_existing=True)
    addresses = addresses_of(patient, call.now)
    shut = opt_outs.closed(session, row.organization_id, set(addresses.values()))
    wanted, cls = row.context.get("channels", ()), row.context.get("class", "reminder")
    for name in wanted:
        is_open = name in addresses and not opt_outs.is_closed(shut.get(addresses[name], ()), cls)
        if is_open and name not in row.context["failed"]:
            return str(name)
    return None


def say_once(session: Session, row: Message, channel: str) -> None:
    """What would say the same over that channel, because nobody has confirmed, has nothing more to say."""
    session.execute(
        update(Message)
        .where(
            Message.organization_id == row.organization_id,
            Message.appointment_id == row.appointment_id,
            Message.sequence == row.sequence,
            Message.rule == f"{row.rule}+{channel}",
            Message.status == "pending",
        )
        .values(status="suppressed", reason="merged", merged_into=row.id)
    )
