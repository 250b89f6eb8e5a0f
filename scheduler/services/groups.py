"""Groups as they are entered, left and looked up: places, and whose appointment carries the room and the staff.

Whether a start can be booked is `finding`'s, what a group is called to the outside `meetings`'. A group's row is locked
after appointments and before resources.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Table, and_, case, exists, func, insert, or_, select, update
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.errors import LostRace
from scheduler.core.gathering import OpenGroup, Served
from scheduler.core.lifecycle import LIVE
from scheduler.core.visit import VisitType
from scheduler.models import Appointment, Group, GroupPlace, Hold, Occupancy, Resource
from scheduler.services.group_places import is_free, is_living
from scheduler.services.locks import bump_calendars, lock_resources

_PLACES = cast("Table", GroupPlace.__table__)
_ROWS = cast("Table", Occupancy.__table__)
_HOLDS = cast("Table", Hold.__table__)


def found(session: Session, call: Call, visit: VisitType, row: Appointment | Hold, group_id: UUID) -> None:
    """Begin a group at the time of a visit or of a hold, with all its places; whoever begins it has the first."""
    assert visit.group is not None  # noqa: S101 - only such visit types get here
    size, is_visit = visit.group, isinstance(row, Appointment)
    group = Group(
        organization_id=call.organization_id,
        id=group_id,
        visit_type_id=row.visit_type_id,
        visit_type=row.visit_type,
        location_id=row.location_id,
        time_zone=row.time_zone,
        starts_at=row.starts_at,
        ends_at=row.ends_at,
        minimum=size.minimum,
        maximum=size.maximum,
        below_minimum=size.below_minimum,
        decide_at=_decide_at(call, visit, row.starts_at) if is_visit else None,
        created_at=call.now,
    )
    session.add(group)
    session.flush()
    key = {"organization_id": call.organization_id, "group_id": group.id, "maximum": size.maximum}
    places = [key | {"place": place, "appointment_id": None, "hold_id": None} for place in range(size.maximum)]
    places[0]["appointment_id" if is_visit else "hold_id"] = row.id
    session.execute(insert(_PLACES), places)
    if isinstance(row, Appointment):
        row.group_id = group.id


def _decide_at(call: Call, visit: VisitType, start: datetime) -> datetime | None:
    """When it is looked whether enough come. Whoever begins a group after that moment knows how late it is."""
    decide_at = start - timedelta(hours=visit.group.decide_hours if visit.group is not None else 0)
    return decide_at if decide_at > call.now else None


def lock(session: Session, call: Call, group_id: UUID) -> Group:
    """Take the group until the transaction ends; as it is under the lock."""
    wanted = select(Group).where(Group.organization_id == call.organization_id, Group.id == group_id)
    locked = wanted.with_for_update(key_share=True).execution_options(populate_existing=True)
    return session.scalars(locked).one()


def lock_at(session: Session, call: Call, location_id: UUID, visit_type: str, start: datetime) -> None:
    """Take every group that a visit could join there, in id order: on the last try nothing may be lost any more."""
    wanted = select(Group.id).where(
        Group.organization_id == call.organization_id,
        Group.location_id == location_id,
        Group.visit_type == visit_type,
        Group.starts_at == start,
    )
    session.execute(wanted.order_by(Group.id).with_for_update(key_share=True)).all()


def lock_at_starts(
    session: Session, call: Call, location_id: UUID, starts: Collection[datetime], rows: Iterable[Appointment] = ()
) -> set[UUID]:
    """Take the groups that begin there then, and those of these visits, in id order; which begin then.

    No statement is sent where there are no starts.
    """
    if not starts:
        return set()
    at = Group.location_id == location_id, Group.starts_at.in_(starts)
    there = set(session.scalars(select(Group.id).where(Group.organization_id == call.organization_id, *at)))
    _lock_all(session, call, there.union(row.group_id for row in rows if row.group_id is not None))
    return there


def lock_of(session: Session, call: Call, rows: Iterable[Appointment]) -> None:
    """Take the groups of these visits, in id order: before the locks of anybody's resources."""
    _lock_all(session, call, {row.group_id for row in rows if row.group_id is not None})


def lock_to_move(session: Session, call: Call, rows: Sequence[Appointment], starts: Collection[datetime]) -> None:
    """Take what these visits need to leave their groups and to come to `starts` instead, in the order of all.

    Those are their groups and the ones that begin then. Where one of them carries the room and the staff and is not
    alone, everybody at the place too: these change hands before it is known who will serve at the new time.
    """
    if all(row.group_id is None for row in rows):
        return
    there = select(Group.id).where(
        Group.organization_id == call.organization_id,
        Group.location_id.in_({row.location_id for row in rows}),
        Group.starts_at.in_(starts),
    )
    _lock_all(session, call, {row.group_id for row in rows if row.group_id is not None}.union(session.scalars(there)))
    shared = select(_PLACES.c.group_id).where(
        _PLACES.c.organization_id == call.organization_id,
        _PLACES.c.group_id.in_({row.group_id for row in rows}),
        ~is_free(call),
        _PLACES.c.appointment_id.is_distinct_from(rows[0].id if len(rows) == 1 else None),
    )
    if session.scalars(shared.limit(1)).first() and any(_carried(session, call, row) for row in rows):
        everyone = select(Resource.id).where(
            Resource.organization_id == call.organization_id,
            or_(
                Resource.kind == "practitioner",
                Resource.location_id.in_({row.location_id for row in rows}),
                Resource.id.in_({row.patient_id for row in rows}),
            ),
        )
        lock_resources(session, call, set(session.scalars(everyone)))


def lock_open(session: Session, call: Call, group_id: UUID) -> None:
    """Take a group that is about to be entered. Raises LostRace when it is over, or the hold that began it."""
    if lock(session, call, group_id).status != "open":
        raise LostRace("The group was called off at the same moment.")
    mine = _PLACES.c.organization_id == call.organization_id, _PLACES.c.group_id == group_id
    theirs = _ROWS.c.organization_id == call.organization_id, _ROWS.c.role != "patient"
    owners = _ROWS.c.appointment_id == _PLACES.c.appointment_id, _ROWS.c.hold_id == _PLACES.c.hold_id
    carried = (exists().where(*mine, *theirs, owner) for owner in owners)
    if not session.execute(select(or_(*carried))).scalar_one():
        raise LostRace("The group has just come to its end.")


def kept(session: Session, call: Call, group_ids: Collection[UUID]) -> set[UUID]:
    """Whom and what holds take up for these groups, since nobody has booked them."""
    if not group_ids:
        return set()
    theirs = _ROWS.c.organization_id == call.organization_id, _ROWS.c.role != "patient"
    held = _ROWS.c.hold_id.in_(_holds_of(call, group_ids))
    return set(session.scalars(select(_ROWS.c.resource_id).where(*theirs, held)))


def carry(session: Session, call: Call, group_id: UUID, *, ending: UUID | None = None) -> None:
    """Let the hold that lasts longest keep the room and the staff, as long as nobody has booked; one is `ending`.

    So they are kept while any hold is, whichever ends first. Without one, and without a visit, the group is over. It
    and whom holds keep for it are locked by the caller.
    """
    longest = _longest(session, call, group_id, ending)
    if longest is not None:
        _pass(session, call, group_id, {"hold_id": longest}, "hold")
    elif ending is not None and not session.scalars(select(_PLACES.c.appointment_id).where(
        _PLACES.c.organization_id == call.organization_id,
        _PLACES.c.group_id == group_id,
        _PLACES.c.appointment_id.is_not(None),
    )).first():  # fmt: skip
        lock(session, call, group_id).status = "cancelled"


def _pass(session: Session, call: Call, group_id: UUID, to: Mapping[str, Any], kind: str) -> None:
    """What holds keep for the group is another's."""
    theirs = _ROWS.c.organization_id == call.organization_id, _ROWS.c.role != "patient"
    held = _ROWS.c.hold_id.in_(_holds_of(call, [group_id]))
    session.execute(update(_ROWS).where(*theirs, held).values(**to, kind=_kind(kind)))


def _kind(kind: str) -> Any:
    return case((_ROWS.c.blocking, kind), else_=_ROWS.c.kind)


def _holds_of(call: Call, group_ids: Collection[UUID]) -> Any:
    mine = _PLACES.c.organization_id == call.organization_id, _PLACES.c.group_id.in_(group_ids)
    return select(_PLACES.c.hold_id).where(*mine, _PLACES.c.hold_id.is_not(None))


def holds_of(session: Session, call: Call, group_id: UUID) -> Sequence[Hold]:
    """The living holds of its places; it is locked by the caller."""
    mine = Hold.organization_id == call.organization_id, Hold.id.in_(_holds_of(call, [group_id]))
    living = select(Hold).where(*mine, is_living(call.now)).order_by(Hold.id)
    return session.scalars(living.execution_options(populate_existing=True)).all()


def _longest(session: Session, call: Call, group_id: UUID, ending: UUID | None = None) -> UUID | None:
    """The living hold of a place that ends last."""
    living = select(_HOLDS.c.id).where(
        _HOLDS.c.organization_id == call.organization_id,
        _HOLDS.c.id.in_(_holds_of(call, [group_id])),
        _HOLDS.c.id.is_distinct_from(ending),
        is_living(call.now),
    )
    return session.scalars(living.order_by(_HOLDS.c.expires_at.desc(), _HOLDS.c.id).limit(1)).one_or_none()


def enter(
    session: Session,
    call: Call,
    group_id: UUID,
    *,
    visit: VisitType,
    appointment: Appointment | None = None,
    hold_id: UUID | None = None,
    own_hold: UUID | None = None,
) -> None:
    """Take the lowest free place of a group that is locked; the place of the caller's own hold if that has one.

    Who books takes over what a hold kept; of holds, the one that lasts longest.

    Raises LostRace when there is none any more: no more can come than there are places.
    """
    mine = _PLACES.c.organization_id == call.organization_id, _PLACES.c.group_id == group_id
    key = appointment.id if appointment is not None else None
    rows = session.execute(
        select(_PLACES.c.place, _PLACES.c.hold_id)
        .where(*mine, is_free(call, key, own_hold))
        .order_by(func.coalesce(_PLACES.c.appointment_id == key, False).desc(), _PLACES.c.place)
    ).all()
    chosen = next((row for row in rows if own_hold is not None and row.hold_id == own_hold), rows[0] if rows else None)
    if chosen is None:
        raise LostRace("The last place of the group was taken at the same moment.")
    if chosen.hold_id not in (None, own_hold):
        _void(session, call, chosen.hold_id)
    if key is not None:
        _pass(session, call, group_id, {"appointment_id": key, "hold_id": None}, "visit")
    values = {"appointment_id": key, "hold_id": hold_id}
    session.execute(update(_PLACES).where(*mine, _PLACES.c.place == chosen.place).values(values))
    if appointment is None:
        carry(session, call, group_id)
        return
    appointment.group_id = group_id
    group = lock(session, call, group_id)
    if group.decide_at is None and group.decided_at is None:
        group.decide_at = _decide_at(call, visit, group.starts_at)


def hand_over(session: Session, call: Call, row: Appointment) -> None:
    """Let another visit of the group carry the room and the staff, before this one gives back what it takes up.

    Nothing happens when this one carries nothing, or when nobody else is left.
    """
    if row.group_id is None:
        return
    lock(session, call, row.group_id)
    others = _others(session, call, row)
    if others:
        _give(session, call, row, {"appointment_id": others[0]}, "visit")


def own(session: Session, call: Call, row: Appointment) -> OpenGroup | None:
    """The open group that the visit alone carries: it goes on there with people of its own. None when there is none."""
    if row.group_id is None or _others(session, call, row) or not _carried(session, call, row):
        return None
    group = lock(session, call, row.group_id)
    return OpenGroup(group.id, group.starts_at, group.ends_at, 0, group.maximum) if group.status == "open" else None


def leave(session: Session, call: Call, row: Appointment, *, towards: datetime | None = None) -> None:
    """Give the place back, to come `towards` that time instead if given; who was alone in the group ends it.

    The appointment is locked by the caller.
    """
    if row.group_id is None:
        return
    if towards is not None:
        lock_to_move(session, call, [row], [towards])
    hand_over(session, call, row)
    group = lock(session, call, row.group_id)
    if not _others(session, call, row, all_of_them=True):
        longest = _longest(session, call, group.id)
        if longest is None:
            group.status = "cancelled"
        else:  # its holder was promised a place with the room and the staff
            _give(session, call, row, {"appointment_id": None, "hold_id": longest}, "hold")
            group.decide_at = None
    session.execute(
        update(_PLACES)
        .where(
            _PLACES.c.organization_id == call.organization_id,
            _PLACES.c.group_id == row.group_id,
            _PLACES.c.appointment_id == row.id,
        )
        .values(appointment_id=None)
    )
    row.group_id = None
    session.flush()


def follow(session: Session, call: Call, row: Appointment) -> None:
    """Let the group come at the time of the visit that carries its room and staff, and was moved with them."""
    if row.group_id is not None and _carried(session, call, row):
        group = lock(session, call, row.group_id)
        group.starts_at, group.ends_at = row.starts_at, row.ends_at


def _give(session: Session, call: Call, row: Appointment, to: Mapping[str, Any], kind: str) -> None:
    """What the visit carries is somebody else's from now on."""
    ids = _carried(session, call, row)
    if not ids:
        return
    lock_resources(session, call, {*ids, row.patient_id})  # whom the caller locks next, and not out of order
    mine = _ROWS.c.organization_id == call.organization_id, _ROWS.c.appointment_id == row.id
    session.execute(update(_ROWS).where(*mine, _ROWS.c.role != "patient").values(**to, kind=_kind(kind)))
    bump_calendars(session, call, ids, locked=True)


def served_in(session: Session, call: Call, rows: Sequence[Appointment]) -> Mapping[UUID, list[Served]]:
    """Who and what serves the groups of these appointments, by group; no statement when there is none."""
    ids = {row.group_id for row in rows if row.group_id is not None}
    if not ids:
        return {}
    taken = and_(
        Occupancy.organization_id == GroupPlace.organization_id, Occupancy.appointment_id == GroupPlace.appointment_id
    )
    served: Any = session.execute(
        select(GroupPlace.group_id, Occupancy.resource_id, Occupancy.role, Occupancy.starts_at, Occupancy.ends_at)
        .join(Occupancy, taken)
        .where(
            GroupPlace.organization_id == call.organization_id,
            GroupPlace.group_id.in_(ids),
            Occupancy.role != "patient",
        )
    )
    found: dict[UUID, list[Served]] = {}
    for row in served:
        found.setdefault(row.group_id, []).append((row.resource_id, row.role, row.starts_at, row.ends_at))
    return found


def companions(session: Session, call: Call, ids: Collection[UUID]) -> set[UUID]:
    """The living visits of the groups that these appointments belong to: what happens to one's staff happens to all."""
    if not ids:
        return set()
    places = GroupPlace.organization_id == call.organization_id
    theirs = set(session.scalars(select(GroupPlace.group_id).where(places, GroupPlace.appointment_id.in_(ids))))
    if not theirs:  # as a rule; in one statement, a database that has not counted reads every visit for each of these
        return set()
    taken = and_(Appointment.organization_id == GroupPlace.organization_id, Appointment.id == GroupPlace.appointment_id)
    wanted = (
        select(Appointment.id)
        .join(GroupPlace, taken)
        .where(places, GroupPlace.group_id.in_(theirs), Appointment.status.in_(sorted(LIVE)))
    )
    return set(session.scalars(wanted))


def _lock_all(session: Session, call: Call, ids: Collection[UUID]) -> None:
    if ids:
        wanted = select(Group.id).where(Group.organization_id == call.organization_id, Group.id.in_(ids))
        session.execute(wanted.order_by(Group.id).with_for_update(key_share=True)).all()


def _carried(session: Session, call: Call, row: Appointment) -> set[UUID]:
    """Whom and what the visit takes up for its group."""
    mine = _ROWS.c.organization_id == call.organization_id, _ROWS.c.appointment_id == row.id
    return set(session.scalars(select(_ROWS.c.resource_id).where(*mine, _ROWS.c.role != "patient")))


def _others(session: Session, call: Call, row: Appointment, *, all_of_them: bool = False) -> list[UUID]:
    """The other visits that are in the group, in id order; those that are not over unless all are wanted."""
    statuses = LIVE if all_of_them else LIVE - {"fulfilled"}
    place = exists().where(
        GroupPlace.organization_id == Appointment.organization_id,
        GroupPlace.appointment_id == Appointment.id,
        GroupPlace.group_id == row.group_id,
    )
    wanted = select(Appointment.id).where(
        Appointment.organization_id == call.organization_id,
        Appointment.id != row.id,
        Appointment.status.in_(sorted(statuses)),
        place,
    )
    return list(session.scalars(wanted.order_by(Appointment.id)))


def _void(session: Session, call: Call, hold_id: UUID) -> None:
    """End a hold that has run over, so that nobody extends it by a clock that is behind."""
    over = _HOLDS.c.organization_id == call.organization_id, _HOLDS.c.id == hold_id, _HOLDS.c.ended_at.is_(None)
    session.execute(update(_HOLDS).where(*over).values(ended_at=call.now, revision=_HOLDS.c.revision + 1))
