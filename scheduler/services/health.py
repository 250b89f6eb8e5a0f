"""The facts by which an operator knows that the house works. Judges nothing but the schema's version."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import func, inspect, select, text
from sqlalchemy.orm import Session

from scheduler.models import Message, Organization, WorkerHeartbeat


@dataclass(frozen=True)
class Pulse:
    """`schema` is the migration that the database stands at; the times are None when there is nothing to tell.

    `skew` is by how many seconds this process's clock is ahead of the database's; None on SQLite, which has no other.
    `tallies` are what each worker has counted since it began.
    """

    schema: str | None
    last_tick_at: datetime | None = None
    oldest_unsent_due_at: datetime | None = None
    skew: float | None = None
    tallies: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def pulse(session: Session, now: datetime, *, schema: str, wall: Callable[[], datetime] | None = None) -> Pulse:
    """Look. What lies in the tables is told only when they are those of `schema`. Raises the driver's errors."""
    if not inspect(session.connection()).has_table("alembic_version"):
        return Pulse(None)
    current = session.scalar(text("SELECT version_num FROM alembic_version"))
    if current != schema:
        return Pulse(current)
    beats = session.execute(select(WorkerHeartbeat.worker, WorkerHeartbeat.ticked_at, WorkerHeartbeat.tallies)).all()
    return Pulse(
        schema=current,
        last_tick_at=max((beat.ticked_at for beat in beats), default=None),
        oldest_unsent_due_at=_oldest_unsent(session, now),
        skew=skew(session, wall) if wall is not None else None,
        tallies={beat.worker: beat.tallies for beat in beats if beat.tallies},
    )


def last_tick_at(session: Session) -> datetime | None:
    """When any worker last finished a tick, by its own clock."""
    found: datetime | None = session.scalar(select(func.max(WorkerHeartbeat.ticked_at)))
    return found


def skew(session: Session, wall: Callable[[], datetime]) -> float | None:
    """By how many seconds this process's clock is ahead of the database's, to half the time of one round trip."""
    if session.get_bind().dialect.name != "postgresql":
        return None
    before = wall()
    theirs: datetime = session.execute(select(func.clock_timestamp())).scalar_one()
    ahead = before + (wall() - before) / 2 - theirs
    return ahead.total_seconds()


def _oldest_unsent(session: Session, now: datetime) -> datetime | None:
    # One probe of the index per organization, whatever the number of messages.
    first = (
        select(func.min(Message.due_at))
        .where(
            Message.organization_id == Organization.id,
            Message.status.in_(("pending", "sending")),
            Message.due_at <= now,
        )
        .correlate(Organization)
        .scalar_subquery()
    )
    each = select(first.label("due_at")).select_from(Organization).subquery()
    found: datetime | None = session.scalar(select(func.min(each.c.due_at)))
    return found
