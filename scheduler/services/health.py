"""The facts by which an operator knows that the house works. Judges nothing but the schema's version."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, inspect, select, text
from sqlalchemy.orm import Session

from scheduler.models import Message, WorkerHeartbeat


@dataclass(frozen=True)
class Pulse:
    """`schema` is the migration that the database stands at; the times are None when there is nothing to tell."""

    schema: str | None
    last_tick_at: datetime | None
    oldest_unsent_due_at: datetime | None


def pulse(session: Session, now: datetime, *, schema: str) -> Pulse:
    """Look. What lies in the tables is told only when they are those of `schema`. Raises the driver's errors."""
    if not inspect(session.connection()).has_table("alembic_version"):
        return Pulse(None, None, None)
    current = session.scalar(text("SELECT version_num FROM alembic_version"))
    if current != schema:
        return Pulse(current, None, None)
    unsent = select(func.min(Message.due_at)).where(Message.status.in_(("pending", "sending")), Message.due_at <= now)
    return Pulse(
        schema=current,
        last_tick_at=session.scalar(select(func.max(WorkerHeartbeat.ticked_at))),
        oldest_unsent_due_at=session.scalar(unsent),
    )
