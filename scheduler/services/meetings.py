"""Groups as the staff see them: listed with who comes, decided when too few do, called off as a whole.

How a group is entered and left is `groups`'.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, exists, func, select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.errors import IllegalTransition, LostRace, NotFound
from scheduler.core.lifecycle import LIVE, OPEN
from scheduler.models import Appointment, Group, GroupPlace
from scheduler.services import audit, booking, groups, holds, tasks
from scheduler.services.group_places import is_free
from scheduler.services.locks import lock_locations, lock_resources, lock_row
from scheduler.services.occupying import held_by, resources_of
from scheduler.services.paging import Page, page
from scheduler.services.records import expect


@dataclass(frozen=True)
class GroupView:
    """A group with the living visits in it. `free` counts places that neither a visit nor a hold has."""

    row: Group
    appointment_ids: tuple[UUID, ...]
    free: int

    @property
    def id(self) -> UUID:
        """The group's."""
        return self.row.id

    @property
    def revision(self) -> int:
        """The group's."""
        return self.row.revision

    @property
    def status(self) -> str:
        """The group's by the clock: nobody writes down that the last of its holds has run out."""
        return "cancelled" if self.free == self.row.maximum else self.row.status


def get(session: Session, call: Call, group_id: UUID) -> GroupView:
    """One group. Raises NotFound."""
    row = session.get(Group, (call.organization_id, group_id), populate_existing=True)
    if row is None:
        raise NotFound(f"No group {group_id}.")
    return _views(session, call, [row])[0]


def listing(
    session: Session,
    call: Call,
    *,
    location_id: UUID | None = None,
    visit_type: str | None = None,
    status: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = 50,
    cursor: str | None = None,
) -> Page[GroupView]:
    """Groups by start; `since` and `until` bound it, half-open."""
    # One that began with a hold which is over never was.
    taken = exists().where(
        GroupPlace.organization_id == Group.organization_id, GroupPlace.group_id == Group.id, ~is_free(call)
    )
    chosen = select(Group).where(Group.organization_id == call.organization_id, (Group.status != "open") | taken)
    for column, value in ((Group.location_id, location_id), (Group.visit_type, visit_type), (Group.status, status)):
        if value is not None:
            chosen = chosen.where(column == value)
    if since is not None:
        chosen = chosen.where(Group.starts_at >= since)
    if until is not None:
        chosen = chosen.where(Group.starts_at < until)
    found = page(session, call, chosen, [Group.starts_at, Group.id], limit=limit, cursor=cursor)
    return Page(_views(session, call, found.items), found.next_cursor)


def cancel(session: Session, call: Call, group_id: UUID, *, reason: str, revision: int | None = None) -> GroupView:
    """Call a group off by the clinic: every visit in it is cancelled and every hold ended, or none.

    Raises NotFound, StaleRevision, IllegalTransition for one that is over already or with a visit that has begun,
    LostRace.
    """
    seen = get(session, call, group_id)
    lock_locations(session, call, [seen.row.location_id], share=True)
    for each in seen.appointment_ids:
        lock_row(session, call, Appointment, each)
    row = groups.lock(session, call, group_id)
    now = get(session, call, group_id)
    if set(now.appointment_ids) != set(seen.appointment_ids):
        raise LostRace("Somebody joined or left the group at the same moment.")
    expect(row, revision)
    if now.status != "open":
        raise IllegalTransition("The group is over already.")
    held = groups.holds_of(session, call, group_id)
    taken = [resources_of(session, call, each) for each in seen.appointment_ids]
    taken += [held_by(session, call, each.id) for each in held]
    lock_resources(session, call, set().union(*taken))
    for hold in held:  # first: the last visit to go would leave the room and the staff to them
        holds.call_off(session, call, hold, reason=reason)
    for each in seen.appointment_ids:
        booking.cancel(session, call, each, reason=reason, by="clinic")
    row.status = "cancelled"
    session.flush()
    after = {"visits": len(seen.appointment_ids), "holds": len(held)}
    audit.note(session, call, "group.cancel", "group", row.id, after=after)
    return get(session, call, group_id)


def decide(session: Session, call: Call) -> bool:
    """A chore: look at one group whose time to decide has come. True when there may be more.

    With fewer patients than it needs, the staff are owed a task, and the group is called off if its visit type says so.
    Raises LostRace when somebody else did so meanwhile.
    """
    due = select(Group.id).where(
        Group.organization_id == call.organization_id,
        Group.status == "open",
        Group.decided_at.is_(None),
        Group.decide_at <= call.now,
    )
    group_id = session.scalars(due.order_by(Group.decide_at, Group.id).limit(1)).one_or_none()
    if group_id is None:
        return False
    seen = get(session, call, group_id)
    few = len(seen.appointment_ids) < seen.row.minimum
    statuses = set(session.scalars(select(Appointment.status).where(*_in(call, group_id))))
    if few and seen.row.below_minimum == "cancel" and statuses <= OPEN:
        _owe(session, call, seen, "It was called off.")
        try:
            cancel(session, call, group_id, reason="Too few patients for the group.")
        except IllegalTransition as error:  # by another worker, or a visit has begun
            raise LostRace("Somebody decided about the group at the same moment.") from error
    elif few:
        _owe(session, call, seen, "Call the patients, find more, or call it off.")
    row = groups.lock(session, call, group_id)
    if row.decided_at is None:
        row.decided_at = call.now
    session.flush()
    return True


def due(session: Session, now: datetime) -> Sequence[UUID]:
    """The organizations with a group to decide about: a plain look, without locks."""
    wanted = select(Group.organization_id).where(
        Group.status == "open", Group.decided_at.is_(None), Group.decide_at <= now
    )
    return session.scalars(wanted.distinct().order_by(Group.organization_id)).all()


def _owe(session: Session, call: Call, seen: GroupView, what: str) -> None:
    row, coming = seen.row, len(seen.appointment_ids)
    first = seen.appointment_ids[0] if seen.appointment_ids else None
    tasks.owe(
        session,
        call,
        kind="group_below_minimum",
        key=str(row.id),
        title="Too few patients in a group",
        detail=f"{coming} of at least {row.minimum} come. {what}",
        due_at=max(row.starts_at, call.now),
        location_id=row.location_id,
        appointment_id=first,
    )


def _views(session: Session, call: Call, rows: Sequence[Group]) -> list[GroupView]:
    ids = [row.id for row in rows]
    if not ids:
        return []
    living = select(Appointment.id, Appointment.group_id).where(
        Appointment.organization_id == call.organization_id,
        Appointment.group_id.in_(ids),
        Appointment.status.in_(sorted(LIVE)),
    )
    coming: dict[UUID, list[UUID]] = {}
    for each in session.execute(living.order_by(Appointment.id)):
        if each.group_id is not None:
            coming.setdefault(each.group_id, []).append(each.id)
    counted = (
        select(GroupPlace.group_id, func.count().label("free"))
        .where(GroupPlace.organization_id == call.organization_id, GroupPlace.group_id.in_(ids), is_free(call))
        .group_by(GroupPlace.group_id)
    )
    free = {each.group_id: each.free for each in session.execute(counted)}
    return [GroupView(row, tuple(coming.get(row.id, ())), free.get(row.id, 0)) for row in rows]


def _in(call: Call, group_id: UUID) -> tuple[ColumnElement[bool], ...]:
    return (
        Appointment.organization_id == call.organization_id,
        Appointment.group_id == group_id,
        Appointment.status.in_(sorted(LIVE)),
    )
