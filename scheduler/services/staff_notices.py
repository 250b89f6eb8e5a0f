"""Telling the staff, at addresses of the organization's choice, that tasks are due: how many of which kind, no more.

Nothing of a patient leaves the house here, nor of a visit. A notice is claimed under a lease with a token and tells of
all that fell due since the last one, so that it may come twice when a worker dies, and none is lost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, exists, func, or_, select, update
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.errors import Fault, Invalid, NotFound
from scheduler.core.pauses import DELIVERIES
from scheduler.models import Organization, StaffAddress, Task, new_id
from scheduler.services import audit
from scheduler.services.paging import Page, page
from scheduler.services.records import Revision, expect, hold

#: An organization has at most so many that are in use.
MOST = 20


@dataclass(frozen=True)
class Notice:
    """One notice on its way. Its id is the same at every try."""

    id: str
    organization_id: UUID
    address_id: UUID
    token: UUID
    url: str
    sender: str
    title: str
    body: str
    until: datetime


def create(session: Session, call: Call, *, name: str, url: str, schemes: Sequence[str]) -> StaffAddress:
    """A new address, told of what falls due from now on, by one of the `schemes`. Raises Invalid."""
    living = StaffAddress.organization_id == call.organization_id, StaffAddress.revoked_at.is_(None)
    if session.scalars(select(func.count()).select_from(StaffAddress).where(*living)).one() >= MOST:
        raise Invalid([Fault("", "too_many", f"There are {MOST} addresses already: revoke one.")])
    if scheme_of(url) not in schemes or not (url.isascii() and url.isprintable()):
        known = ", ".join(f"{scheme}://" for scheme in schemes) or "none"
        raise Invalid([Fault("/url", "invalid_url", f"An address begins as this installation allows: {known}.")])
    row = StaffAddress(
        organization_id=call.organization_id, id=new_id(), name=name, url=url, told_until=call.now, created_at=call.now
    )
    session.add(row)
    session.flush()
    what = {"name": name, "service": scheme_of(url)}
    audit.note(session, call, "staff_address.create", "staff_address", row.id, after=what)
    return row


def scheme_of(url: str) -> str:
    """By which service an address is reached: all of it that may be shown."""
    return url.partition("://")[0].lower()


def get(session: Session, call: Call, address_id: UUID) -> StaffAddress:
    """One address. Raises NotFound."""
    row = session.get(StaffAddress, (call.organization_id, address_id), populate_existing=True)
    if row is None:
        raise NotFound("There is no such staff address.")
    return row


def listed(session: Session, call: Call, *, limit: int = 50, cursor: str | None = None) -> Page[StaffAddress]:
    """The organization's addresses, oldest first, ended ones too."""
    wanted = select(StaffAddress).where(StaffAddress.organization_id == call.organization_id)
    return page(session, call, wanted, [StaffAddress.id], limit=limit, cursor=cursor)


def revoke(session: Session, call: Call, address_id: UUID, *, revision: Revision | None = None) -> StaffAddress:
    """Tell nothing there any more, and forget where it was; again changes nothing. Raises NotFound, StaleRevision."""
    row = hold(session, get(session, call, address_id))
    expect(row, revision)
    if row.revoked_at is None:
        row.revoked_at, row.url = call.now, f"{scheme_of(row.url)}://"
        session.flush()
        audit.note(session, call, "staff_address.revoke", "staff_address", row.id)
    return row


def due(session: Session, now: datetime) -> list[tuple[UUID, UUID]]:
    """(organization, address) wherever there is something to tell: a look, which locks nothing."""
    waiting = exists().where(Task.organization_id == StaffAddress.organization_id, *_fallen_due(now))
    chosen = select(StaffAddress.organization_id, StaffAddress.id).where(*_open(now), waiting)
    return [(row.organization_id, row.id) for row in session.execute(chosen.order_by(StaffAddress.id))]


def claim(session: Session, call: Call, address_id: UUID, *, lease: timedelta, token: UUID) -> Notice | None:
    """What is to be told there now, for `lease`; None when there is nothing, or another worker tells it."""
    mine = StaffAddress.organization_id == call.organization_id, StaffAddress.id == address_id
    row = session.scalars(
        select(StaffAddress)
        .where(*mine, *_open(call.now))
        .with_for_update(skip_locked=True, key_share=True)
        .execution_options(populate_existing=True)
    ).one_or_none()
    if row is None:
        return None
    counted = (
        select(Task.kind, func.count())
        .join(StaffAddress, StaffAddress.organization_id == Task.organization_id)
        .where(*mine, *_fallen_due(call.now))
        .group_by(Task.kind)
        .order_by(Task.kind)
    )
    kinds = [(kind, count) for kind, count in session.execute(counted)]
    if not kinds:
        return None
    row.token, row.lease_until, row.attempts = token, call.now + lease, row.attempts + 1
    session.flush()
    total = sum(count for _, count in kinds)
    return Notice(
        id=f"{row.id}-{int(row.told_until.timestamp())}",
        organization_id=row.organization_id,
        address_id=row.id,
        token=token,
        url=row.url,
        sender=session.get_one(Organization, call.organization_id).sender_name,
        title=f"{total} task{'' if total == 1 else 's'} due",
        body="\n".join(f"{kind}: {count}" for kind, count in kinds),
        until=call.now,
    )


def settle(session: Session, call: Call, notice: Notice, error: str) -> None:
    """Write down how it went, if it is still this worker's: told, or to be tried again after 1 minute to 6 hours."""
    row = session.get(
        StaffAddress, (notice.organization_id, notice.address_id), with_for_update=True, populate_existing=True
    )
    if row is None or row.token != notice.token:
        return
    values: Mapping[str, Any] = (
        {"error": error[:300], "retry_at": call.now + DELIVERIES.after(row.attempts - 1)}
        if error
        else {"error": None, "retry_at": None, "attempts": 0, "told_until": notice.until}
    )
    mine = StaffAddress.organization_id == notice.organization_id, StaffAddress.id == notice.address_id
    session.execute(update(StaffAddress).where(*mine).values(token=None, lease_until=None, **values))


def _open(now: datetime) -> tuple[ColumnElement[bool], ...]:
    """In use, not resting after a failure, and nobody tells there, or nobody alive."""
    return (
        StaffAddress.revoked_at.is_(None),
        or_(StaffAddress.retry_at.is_(None), StaffAddress.retry_at <= now),
        or_(StaffAddress.lease_until.is_(None), StaffAddress.lease_until <= now),
    )


def _fallen_due(now: datetime) -> tuple[ColumnElement[bool], ...]:
    return Task.status == "open", Task.due_at > StaffAddress.told_until, Task.due_at <= now
