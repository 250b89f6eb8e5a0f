"""The pulse of the workers: when each last finished a tick. Who worries about it lives in services/health."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import Table, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.models import WorkerHeartbeat

#: Workers that were silent for so long have been replaced.
FORGOTTEN_AFTER = timedelta(days=1)
#: One that was silent for less may be in the middle of a long batch.
ALIVE_WITHIN = timedelta(minutes=2)


def beat(session: Session, call: Call, worker: str, tallies: Mapping[str, Any] | None = None) -> None:
    """Say that this worker is going forward and what it has counted so far, and forget those long gone."""
    table = cast("Table", WorkerHeartbeat.__table__)
    make = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    row = {"worker": worker[:100], "ticked_at": call.now, "tallies": None if tallies is None else dict(tallies)}
    session.execute(make(table).values(row).on_conflict_do_update(index_elements=["worker"], set_=row))
    session.execute(delete(WorkerHeartbeat).where(WorkerHeartbeat.ticked_at < call.now - FORGOTTEN_AFTER))


def alive(session: Session, now: datetime) -> int:
    """How many workers are at work: a look, which locks nothing."""
    beats = select(func.count()).where(WorkerHeartbeat.ticked_at > now - ALIVE_WITHIN)
    return session.scalar(beats) or 0
