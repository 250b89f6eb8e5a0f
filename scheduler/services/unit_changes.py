"""What becomes of visits ahead when a resource gets units or loses some: who needs all of it still has all of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from scheduler.core.bitmap import SLOT_MINUTES
from scheduler.core.call import Call
from scheduler.models import Appointment, Hold, Occupancy, Resource, new_id
from scheduler.services.catalog import Kind, visit_kinds

_COPIED = (
    *("organization_id", "resource_id", "starts_at", "ends_at", "kind", "blocking", "role", "fixed"),
    *("appointment_id", "hold_id"),
)


def stretch(session: Session, call: Call, row: Resource, units: int) -> None:
    """Let whoever needs all of it take the units that come as well, or others would be let in beside them.

    A unit that an override has made and uses at that time stays the override's. The caller holds the resource.
    """
    ahead = _ahead(session, call, row)
    for rows in _whole(session, call, row, ahead):
        one = rows[0]
        for unit in range(row.units, units):
            if any(each.unit == unit and _meets(each, one) for each in ahead):
                continue
            kept = {name: getattr(one, name) for name in _COPIED}
            session.add(Occupancy(**kept, id=new_id(), unit=unit))
    session.flush()


def shrink(session: Session, call: Call, row: Resource, units: int) -> None:
    """Let whoever needs all of it be content with the units that stay. The caller holds the resource."""
    for rows in _whole(session, call, row, _ahead(session, call, row)):
        for each in rows:
            if each.unit >= units:
                session.delete(each)
    session.flush()


def _ahead(session: Session, call: Call, row: Resource) -> Sequence[Occupancy]:
    wanted = select(Occupancy).where(
        Occupancy.organization_id == call.organization_id,
        Occupancy.resource_id == row.id,
        Occupancy.ends_at > call.now,
        Occupancy.blocking.is_(True),
    )
    return session.scalars(wanted.order_by(Occupancy.starts_at, Occupancy.unit)).all()


def _meets(one: Occupancy, other: Occupancy) -> bool:
    return one.starts_at < other.ends_at and other.starts_at < one.ends_at


def _whole(session: Session, call: Call, row: Resource, ahead: Sequence[Occupancy]) -> Iterator[list[Occupancy]]:
    """The rows by which one visit or hold has all the regular units for a time, because it needs all."""
    taken: dict[tuple[UUID, datetime, datetime, str], list[Occupancy]] = defaultdict(list)
    for each in ahead:
        owner_id = each.appointment_id or each.hold_id
        if owner_id is not None:
            taken[owner_id, each.starts_at, each.ends_at, each.role].append(each)
    owners = _owners(session, call, {owner_id for owner_id, *_ in taken})
    kinds = visit_kinds(session, call)
    for (owner_id, *_), rows in taken.items():
        owner = owners[owner_id]
        if {each.unit for each in rows} >= set(range(row.units)) and _needs_all(
            owner, kinds[owner.visit_type], rows[0]
        ):
            yield rows


def _owners(session: Session, call: Call, keys: set[UUID]) -> dict[UUID, Appointment | Hold]:
    mine = call.organization_id
    visits = select(Appointment).where(Appointment.organization_id == mine, Appointment.id.in_(keys))
    holds = select(Hold).where(Hold.organization_id == mine, Hold.id.in_(keys))
    return {owner.id: owner for owner in (*session.scalars(visits), *session.scalars(holds))}


def _needs_all(owner: Appointment | Hold, kind: Kind, one: Occupancy) -> bool:
    """Whether its visit type wants all units of who serves it so, at some time of that row."""
    slot = timedelta(minutes=SLOT_MINUTES)
    return any(
        owner.starts_at + each.start * slot < one.ends_at and one.starts_at < owner.starts_at + each.end * slot
        for thread in kind.demand.threads
        if thread.selector == one.role
        for each in thread.stretches
        if each.units is None
    )
