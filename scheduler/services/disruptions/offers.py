"""Repairs that were offered: kept for a day under a token, read again, made anew."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.errors import Fault, Invalid, NotFound, together
from scheduler.core.intervals import Span
from scheduler.models import Disruption, Resource, new_id
from scheduler.services.disruptions.lines import Line
from scheduler.services.disruptions.searching import propose

#: So long a repair can be accepted, stage by stage.
KEPT = timedelta(days=1)
_UNKNOWN = Fault("/resource_id", "unknown_resource", "There is no such resource.")


@dataclass(frozen=True)
class Offer:
    """A repair with the token that accepts it, or parts of it."""

    token: UUID
    resource_id: UUID
    span: Span
    reason: str
    absence_id: UUID | None
    expires_at: datetime
    lines: tuple[Line, ...]
    revision: str


def offer(session: Session, call: Call, resource_id: UUID, start: datetime, end: datetime, reason: str) -> Offer:
    """Look at every visit that the resource's absence touches, and keep the best joint repair under a token.

    Raises NotFound for a resource that is none, Invalid for a span that is empty or over.
    """
    span = check(session, call, resource_id, start, end)
    return keep(session, call, resource_id, span, reason, propose(session, call, resource_id, span))


def check(session: Session, call: Call, resource_id: UUID, start: datetime, end: datetime) -> Span:
    """The span. Raises NotFound for a resource that is none, Invalid for a span that is empty or over."""
    together(lambda: _expect_known(session, call, resource_id), lambda: expect_ahead(call, start, end))
    return Span(start.astimezone(UTC), end.astimezone(UTC))


def _expect_known(session: Session, call: Call, resource_id: UUID) -> None:
    row = session.get(Resource, (call.organization_id, resource_id))
    if row is None or row.kind == "patient" or row.deleted_at is not None:
        raise NotFound(f"No resource {resource_id}.", faults=[_UNKNOWN])


def expect_ahead(call: Call, start: datetime, end: datetime) -> None:
    """Raises Invalid for a span that is empty or over."""
    if end <= start:
        raise Invalid([Fault("/to", "ends_before_start", "The end is not after the start.")])
    if end <= call.now:
        raise Invalid([Fault("/to", "in_the_past", "It is over already.")])


def keep(session: Session, call: Call, resource_id: UUID, span: Span, reason: str, lines: tuple[Line, ...]) -> Offer:
    """Store a repair under a token."""
    row = Disruption(
        organization_id=call.organization_id,
        id=new_id(),
        resource_id=resource_id,
        starts_at=span.start,
        ends_at=span.end,
        reason=reason,
        body={"lines": [line.document() for line in lines]},
        created_at=call.now,
        expires_at=call.now + KEPT,
    )
    session.add(row)
    session.flush()
    return _offer(row)


def opened(session: Session, call: Call, token: UUID) -> Disruption:
    """The repair behind a token, locked until the transaction ends. Raises NotFound for none, or one that expired."""
    return _found(session, call, token, lock=True)


def _found(session: Session, call: Call, token: UUID, *, lock: bool) -> Disruption:
    wanted = select(Disruption).where(Disruption.organization_id == call.organization_id, Disruption.id == token)
    if lock:
        wanted = wanted.with_for_update(key_share=True).execution_options(populate_existing=True)
    row = session.scalars(wanted).one_or_none()
    if row is None or row.expires_at <= call.now:
        raise NotFound("There is no such repair, or its time is over.")
    return row


def get(session: Session, call: Call, token: UUID) -> Offer:
    """A repair as it stands. Raises NotFound."""
    return _offer(_found(session, call, token, lock=False))


def anew(session: Session, call: Call, token: UUID) -> Offer:
    """A fresh repair for what a token's repair was for. Raises NotFound."""
    row = opened(session, call, token)
    return offer(session, call, row.resource_id, row.starts_at, row.ends_at, row.reason)


def forget(session: Session, call: Call) -> bool:
    """Delete the repairs whose time is over; nothing is left to do."""
    over = Disruption.organization_id == call.organization_id, Disruption.expires_at <= call.now
    session.execute(delete(Disruption).where(*over))
    return False


def _offer(row: Disruption) -> Offer:
    lines = tuple(Line.read(each) for each in row.body["lines"])
    span = Span(row.starts_at, row.ends_at)
    return Offer(row.id, row.resource_id, span, row.reason, row.absence_id, row.expires_at, lines, row.revision)
