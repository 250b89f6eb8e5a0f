"""What a provider says became of a message: delivered, failed after all, or a call that nobody took.

The address that a provider reports to names the message, and the report is signed: told twice, it is done once, and it
is believed even when the answer to the hand-over was lost. What comes before that answer is kept until the hand-over is
over.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.errors import NotFound
from scheduler.core.oneline import one_line
from scheduler.models import EarlyReceipt, Message, new_id
from scheduler.services import outbox
from scheduler.services.outbox import telephone

#: A report about a message that is handed over again and again is not kept for longer.
_KEPT = timedelta(days=1)
_AT_ONCE = 200
#: Of what a provider says about it.
_LONGEST = 100


def settle(session: Session, call: Call, message_id: UUID, provider_id: str, outcome: str, detail: str) -> None:
    """Write it down, or keep it while the message is being handed over. Raises NotFound."""
    row = _locked(session, call, message_id)
    if row is None:
        raise NotFound("There is no such message.")
    if _is_under_way(call, row):
        session.add(
            EarlyReceipt(
                organization_id=call.organization_id,
                id=new_id(),
                message_id=message_id,
                provider_id=provider_id,
                outcome=outcome,
                detail=one_line(detail, _LONGEST),
                received_at=call.now,
            )
        )
        session.flush()
        return
    _apply(session, call, row, provider_id, outcome, detail)


def waiting(session: Session, _now: datetime) -> Sequence[UUID]:
    """The organizations for which a report is kept: a look, which locks nothing."""
    return session.scalars(select(EarlyReceipt.organization_id).distinct().order_by(EarlyReceipt.organization_id)).all()


def catch_up(session: Session, call: Call) -> bool:
    """A chore: what was reported too early is written down as soon as its hand-over is over. Nothing more is left."""
    mine = EarlyReceipt.organization_id == call.organization_id
    kept = select(EarlyReceipt).where(mine).order_by(EarlyReceipt.message_id, EarlyReceipt.id).limit(_AT_ONCE)
    done: list[UUID] = []
    for receipt in session.scalars(kept).all():
        row = _locked(session, call, receipt.message_id)
        if row is not None and _is_under_way(call, row) and call.now - receipt.received_at < _KEPT:
            continue
        if row is not None:
            _apply(session, call, row, receipt.provider_id, receipt.outcome, receipt.detail)
        done.append(receipt.id)
    if done:
        session.execute(delete(EarlyReceipt).where(mine, EarlyReceipt.id.in_(done)))
    return False


def _apply(session: Session, call: Call, row: Message, provider_id: str, outcome: str, detail: str) -> None:
    """What is about another than the last attempt, or comes after a final word, changes nothing."""
    is_known = row.status == "sent" and row.provider_id in {provider_id, None}
    # Its answer was lost, or its worker died: it has arrived all the same, and need not go again.
    is_open = row.status in {"pending", "sending"} and row.called_off_at is None
    is_lost = is_open and row.attempts > 0 and not row.context.get("failed")
    if outcome == "delivered" and (is_known or is_lost) and not telephone.was_heard(row):
        outbox.fall(session, call, row, row.channel, "Nobody who pressed a key took the call.")
    elif outcome == "delivered" and (is_known or is_lost):
        row.status, row.reason, row.provider_id = "delivered", None, provider_id
        row.sent_at, row.token, row.lease_until = row.sent_at or call.now, None, None
    elif outcome == "failed" and is_known:
        why = f"The provider could not deliver it: {one_line(detail, _LONGEST) or 'no reason'}."
        outbox.fall(session, call, row, row.channel, why)
    elif outcome == "unanswered" and is_known:
        telephone.unanswered(session, call, row, f"Nobody took the call: {one_line(detail, _LONGEST)}.")
    session.flush()


def _locked(session: Session, call: Call, message_id: UUID) -> Message | None:
    wanted = select(Message).where(Message.organization_id == call.organization_id, Message.id == message_id)
    return session.scalars(
        wanted.with_for_update(key_share=True).execution_options(populate_existing=True)
    ).one_or_none()


def _is_under_way(call: Call, row: Message) -> bool:
    return row.status == "sending" and row.lease_until is not None and row.lease_until > call.now
