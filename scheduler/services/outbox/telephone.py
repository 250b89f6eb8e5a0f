"""A message that goes by telephone: whether somebody heard it, and what follows when nobody took the call.

It is told when somebody pressed the key for it; a mailbox that took the call has not. What is said lives in `calls`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.pauses import Pauses
from scheduler.core.reminders import VOICE
from scheduler.models import Message
from scheduler.services.outbox.falling import fall

#: So often a number is called about one message, and so long after a call that nobody took.
MOST_CALLS = 3
REDIAL = Pauses(timedelta(minutes=15), timedelta(hours=1))


def calls_made(context: Mapping[str, Any]) -> int:
    """How many calls about the message nobody took."""
    return int(context.get("calls", 0))


def was_heard(row: Message) -> bool:
    """Whether its words reached somebody; of what is no call nobody can tell."""
    return row.channel != VOICE or "heard" in row.context


def note_heard(row: Message, call: Call) -> None:
    """Somebody pressed the key. The caller holds the row."""
    row.context = row.context | {"heard": call.now.isoformat()}


def unanswered(session: Session, call: Call, row: Message, why: str) -> None:
    """Call again in a while, in no quiet hours; after some calls it goes the next way. The caller holds the row."""
    made = calls_made(row.context) + 1
    due = call.now + REDIAL.after(made - 1)
    if row.channel != VOICE or row.called_off_at is not None or made >= MOST_CALLS or due >= row.expires_at:
        fall(session, call, row, row.channel, why)
        return
    row.status, row.reason, row.due_at = "pending", why[:300], due
    row.provider_id, row.sent_at, row.sent_to, row.body = None, None, None, None
    row.context = row.context | {"calls": made}
