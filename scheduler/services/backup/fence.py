"""The fence around what a restored house would send: what was due by then may have left since the backup was made.

It is held for a person to look at, in the transaction that fills the tables: no worker ever sees it waiting.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import cast

from sqlalchemy import Table, func, or_, select, update
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.models import Job, Message, WebhookDelivery
from scheduler.services import audit, tasks

_MESSAGES = cast("Table", Message.__table__)
_DELIVERIES = cast("Table", WebhookDelivery.__table__)
_JOBS = cast("Table", Job.__table__)

#: The reason of a message that is held so.
HELD = "restored_from_backup"
_SOON = timedelta(hours=1)


def hold_back(session: Session, now: datetime, *, covered: timedelta = timedelta(0)) -> int:
    """Let nothing that is due leave by itself, of all organizations; returns how many messages are held.

    `covered` is how long providers drop what they were given before under the same id: what fell due within it may
    leave again. What a webhook is owed leaves again under the id by which its reader knows it. Nobody holds a lease.
    """
    free = {"token": None, "lease_until": None}
    waits = or_(_MESSAGES.c.status == "sending", _MESSAGES.c.status == "pending")
    due = _MESSAGES.c.due_at <= now - covered
    held = update(_MESSAGES).where(waits, due).values(status="failed", reason=HELD, **free)
    count: int = session.execute(held).rowcount  # type: ignore[attr-defined]
    session.execute(update(_MESSAGES).where(_MESSAGES.c.status == "sending").values(status="pending", **free))
    session.execute(update(_DELIVERIES).where(_DELIVERIES.c.status == "sending").values(status="pending", **free))
    session.execute(update(_JOBS).where(_JOBS.c.status == "running").values(status="queued", **free))
    return count


def owe_reviews(session: Session, call: Call) -> int:
    """Owe the organization's staff one task for all that is held; how many messages that are."""
    mine = _MESSAGES.c.organization_id == call.organization_id, _MESSAGES.c.reason == HELD
    count: int = session.execute(select(func.count()).where(*mine, _MESSAGES.c.status == "failed")).scalar_one()
    if count:
        tasks.owe(
            session,
            call,
            kind="restored_messages",
            key=call.now.isoformat(),
            title="Messages wait for a look: a backup was restored",
            detail=f"{count} that were due may have been sent since the backup was made: GET /v1/messages?dead=true."
            " Send again what nobody got, by POST /v1/messages/{id}/retry; leave the rest.",
            due_at=call.now + _SOON,
        )
        audit.note(session, call, "message.hold-back", "organization", call.organization_id, after={"held": count})
    return count
