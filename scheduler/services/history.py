"""What became of an appointment, move by move, as the audit trail has it. Only reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.models import AuditEvent
from scheduler.services.appointments import row_of
from scheduler.services.paging import Page, page

#: Counters that every change moves; they say nothing that the order of the events does not.
_COUNTERS = frozenset({"revision"})


@dataclass(frozen=True)
class Step:
    """One change: who did what when, and what differed before and after. `action` is the bare move, like `check-in`."""

    id: UUID
    at: datetime
    actor: str
    action: str
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    reason: str | None


def of_appointment(
    session: Session, call: Call, appointment_id: UUID, *, limit: int = 50, cursor: str | None = None
) -> Page[Step]:
    """The changes of one appointment in the order in which they were made; who merely read it is left out.

    Raises NotFound.
    """
    row_of(session, call, appointment_id)
    chosen = select(AuditEvent).where(
        AuditEvent.organization_id == call.organization_id,
        AuditEvent.subject_type == "appointment",
        AuditEvent.subject_id == appointment_id,
        AuditEvent.action.notlike("%.read"),
    )
    found = page(session, call, chosen, [AuditEvent.at, AuditEvent.id], limit=limit, cursor=cursor)
    return Page([_step(event) for event in found.items], found.next_cursor)


def _step(event: AuditEvent) -> Step:
    before, after = event.before or {}, event.after or {}
    differ = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key) and key not in _COUNTERS}
    return Step(
        id=event.id,
        at=event.at,
        actor=event.actor,
        action=event.action.removeprefix("appointment."),
        before={key: value for key, value in before.items() if key in differ},
        after={key: value for key, value in after.items() if key in differ},
        reason=event.reason,
    )
