"""What was written with each change: its audit events, the answers kept for replay, the numbers of what is told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from sqlalchemy import Table, and_, case, func, or_, select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.models import Appointment, AuditEvent, IdempotencyRecord, WebhookDelivery
from scheduler.services.doctor.reading import ids, stream

_VISITS = cast("Table", Appointment.__table__)
_EVENTS = cast("Table", AuditEvent.__table__)
_ANSWERS = cast("Table", IdempotencyRecord.__table__)
_DELIVERIES = cast("Table", WebhookDelivery.__table__)
_visit, _event = _VISITS.c, _EVENTS.c

_BOOKED, _CANCELLED = "appointment.book", "appointment.cancel"


def audit(session: Session, call: Call) -> Iterator[str]:
    """Visits not booked by exactly one event, or cancelled by none, and events of visits that are not there."""
    of_it = and_(_event.organization_id == _visit.organization_id, _event.subject_id == _visit.id)
    booked = func.sum(case((_event.action == _BOOKED, 1), else_=0))
    cancelled = func.sum(case((_event.action == _CANCELLED, 1), else_=0))
    wanted = (
        select(_visit.id)
        .select_from(_VISITS.outerjoin(_EVENTS, of_it))
        .where(_visit.organization_id == call.organization_id)
        .group_by(_visit.id, _visit.status)
        .having(or_(booked != 1, and_(_visit.status == "cancelled", cancelled == 0)))
    )
    yield from ids(session, wanted)
    strange = (
        select(_event.subject_id)
        .select_from(_EVENTS.outerjoin(_VISITS, of_it))
        .where(
            _event.organization_id == call.organization_id,
            _event.subject_type == "appointment",
            _visit.id.is_(None),
        )
    )
    yield from (f"the trail knows {key}, which is not there" for key in ids(session, strange))


def replays(session: Session, call: Call) -> Iterator[str]:
    """Keys that were taken for good without an answer to replay."""
    wanted = select(_ANSWERS.c.key).where(
        _ANSWERS.c.organization_id == call.organization_id, _ANSWERS.c.status.is_(None)
    )
    yield from ids(session, wanted)


def numbers(session: Session, call: Call) -> Iterator[str]:
    """Subjects of which an address was told two things under one number."""
    each = _DELIVERIES.c.webhook_id, _DELIVERIES.c.subject_id, _DELIVERIES.c.number
    wanted = select(*each).where(_DELIVERIES.c.organization_id == call.organization_id)
    for row in stream(session, wanted.group_by(*each).having(func.count() > 1)):
        yield f"webhook {row.webhook_id}: number {row.number} of {row.subject_id}"
