"""Visits that a change of the ground has left without what they need, as flags. Who owes these tasks is elsewhere."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.visit_day import Flag
from scheduler.models import Task

#: The kind of the tasks that are owed for such visits.
AFFECTED = "visit_affected"


def lacking(session: Session, call: Call, ids: Collection[UUID]) -> dict[UUID, list[Flag]]:
    """A flag for each of these visits' tasks of that kind that is still open; in one statement."""
    wanted = (
        select(Task.appointment_id, Task.detail)
        .where(
            Task.organization_id == call.organization_id,
            Task.kind == AFFECTED,
            Task.status == "open",
            Task.appointment_id.in_(ids),
        )
        .order_by(Task.id)
    )
    found: dict[UUID, list[Flag]] = {}
    for row in session.execute(wanted) if ids else ():
        if row.appointment_id is not None:
            found.setdefault(row.appointment_id, []).append(Flag(AFFECTED, row.detail))
    return found
