"""The locking law as functions: which rows are taken, how strongly, in which order. What is decided under them is not.

The order is always: idempotency key, locations, course, appointment, group, resources (patients too), each by id. A
booking shares the location; whoever changes what presence rests on (hours, closures, absences, roles) takes it alone.
SQLite has one writer, whose lock was taken when the transaction began, so there nothing is left to do.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple, TypeVar, cast
from uuid import UUID

from sqlalchemy import BigInteger, Table, Uuid, any_, bindparam, event, func, select, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session, SessionTransaction, object_session

from scheduler.core.call import Call
from scheduler.models import Appointment, Course, Location, Resource
from scheduler.services.ready import Ready, unseen

Row = TypeVar("Row", Appointment, Course)

_CHANGED = "calendars_changed"

_LOCATIONS = cast("Table", Location.__table__).c
_RESOURCES = cast("Table", Resource.__table__).c

# Made once: a booking asks all of them, and making a statement costs more than sending it.
_THESE_LOCATIONS = (
    select(_LOCATIONS.id)
    .where(_LOCATIONS.organization_id == bindparam("organization"), _LOCATIONS.id.in_(bindparam("ids", expanding=True)))
    .order_by(_LOCATIONS.id)
)
_SHARE_LOCATIONS = _THESE_LOCATIONS.with_for_update(read=True)
_TAKE_LOCATIONS = _THESE_LOCATIONS.with_for_update(key_share=True)
_SHARED_TURN = select(func.pg_advisory_xact_lock_shared(bindparam("turn", type_=BigInteger())))
_OWN_TURN = select(func.pg_advisory_xact_lock(bindparam("turn", type_=BigInteger())))
_THESE_RESOURCES = (
    select(_RESOURCES.id, _RESOURCES.calendar_revision)
    .where(
        _RESOURCES.organization_id == bindparam("organization"),
        # One text for any number of ids: the server keeps its plan. SQLite is never asked.
        _RESOURCES.id == any_(unseen(bindparam("ids", type_=ARRAY(Uuid())))),
    )
    .order_by(_RESOURCES.id)
    .with_for_update(key_share=True)
)
_BUMP_CALENDARS = (
    update(cast("Table", Resource.__table__))
    .where(_RESOURCES.organization_id == bindparam("organization"), _RESOURCES.id.in_(bindparam("ids", expanding=True)))
    .values(calendar_revision=_RESOURCES.calendar_revision + 1)
)
#: Longer than any search; the usual half minute ends what hangs.
_PONDER = "SET LOCAL idle_in_transaction_session_timeout = '10min'"
_TAKE_RESOURCES = Ready(_THESE_RESOURCES)
_IN_ORDER = _THESE_RESOURCES.cte("taken")
# Each row is locked by the inner SELECT, in id order, before the UPDATE comes to it; it then sees the row as it is
# under the lock. An array of them is found by the index, where a join would read all patients of a small organization.
_TAKE_AND_BUMP = Ready(
    update(cast("Table", Resource.__table__))
    .where(
        _RESOURCES.organization_id == bindparam("organization"),
        _RESOURCES.id == any_(func.array(select(_IN_ORDER.c.id).scalar_subquery(), type_=ARRAY(Uuid()))),
    )
    .values(calendar_revision=_RESOURCES.calendar_revision + 1)
    .returning(_RESOURCES.id, _RESOURCES.revision, (_RESOURCES.calendar_revision - 1).label("calendar"))
)


class Revisions(NamedTuple):
    """How often a resource itself was changed, and how often its calendar."""

    own: int
    calendar: int


def lock_locations(session: Session, call: Call, ids: Collection[UUID], *, share: bool) -> None:
    """Take these locations until the transaction ends: with others who `share`, or alone (FOR NO KEY UPDATE).

    An id that does not exist is passed over. What is read after this call is what the lock protects.
    """
    if ids and not _one_writer(session):
        stand_in_line(session, call, ids, share=share)
        session.execute(_SHARE_LOCATIONS if share else _TAKE_LOCATIONS, _named(call, ids)).all()


def stand_in_line(session: Session, call: Call, ids: Collection[UUID], *, share: bool) -> None:
    """Wait for one's turn at these locations, before their rows are locked.

    Row locks that are shared are given to newcomers while somebody waits for the row alone, who would wait for ever at
    a busy desk. Advisory locks are given in the order in which they were asked for.
    """
    if not _one_writer(session):
        for each in sorted(ids):
            session.execute(_SHARED_TURN if share else _OWN_TURN, {"turn": turn_at(call, each)})


def turn_at(call: Call, location_id: UUID) -> int:
    """The number of the advisory lock in which one stands in line for the location."""
    return _half(location_id) ^ _half(call.organization_id)


def _half(value: UUID) -> int:
    return int.from_bytes(value.bytes[8:], signed=True)


def lock_row(session: Session, call: Call, table: type[Row], key: UUID) -> Row | None:
    """Take one course or appointment until the transaction ends; the row as it is under the lock, None without one.

    `Session.get` could lock too, but calls it stale data when the row has changed since it was read without the lock:
    that is for whoever named a revision to decide.
    """
    wanted = select(table).where(table.organization_id == call.organization_id, table.id == key)
    locked = wanted.with_for_update(key_share=True).execution_options(populate_existing=True)
    return session.scalars(locked).one_or_none()


def lock_courses(session: Session, call: Call, ids: Collection[UUID]) -> None:
    """Take these courses until the transaction ends, in the order of their ids. Unknown ids are passed over."""
    if ids and not _one_writer(session):
        wanted = select(Course.id).where(Course.organization_id == call.organization_id, Course.id.in_(ids))
        session.execute(wanted.order_by(Course.id).with_for_update(key_share=True)).all()


def lock_resources(session: Session, call: Call, ids: Collection[UUID]) -> dict[UUID, int]:
    """Take these resources alone until the transaction ends, in the order of their ids. Unknown ids are passed over.

    Returns each one's calendar revision as it is under the lock; none on SQLite, where nobody else can have written
    since the transaction began.
    """
    if not ids or _one_writer(session):
        return {}
    return {row.id: row.calendar_revision for row in _TAKE_RESOURCES.rows(session, _named(call, ids))}


def take_and_bump(session: Session, call: Call, ids: Collection[UUID]) -> dict[UUID, Revisions]:
    """`lock_resources` and `bump_calendars` in one statement; returns the revisions as they were under the lock.

    From here on the transaction trusts no calendar that is kept in memory.
    """
    if not ids or _one_writer(session):
        bump_calendars(session, call, ids)
        return {}
    session.info[_CHANGED] = True
    rows = _TAKE_AND_BUMP.rows(session, _named(call, ids))
    return {key: Revisions(own, calendar) for key, own, calendar in rows}


def bump_calendars(session: Session, call: Call, ids: Collection[UUID], *, locked: bool = False) -> None:
    """Say that the calendars of these resources have changed, so that nobody goes on with a cached one.

    Takes the rows' locks itself, in order, unless the caller holds them (`locked`). It goes around the ORM: the
    `revision` that clients see stays as it is.
    """
    if not ids:
        return
    if not locked:
        lock_resources(session, call, ids)
    session.info[_CHANGED] = True
    session.execute(_BUMP_CALENDARS, _named(call, ids))


def has_changed_calendars(session: Session) -> bool:
    """Whether this transaction has changed a calendar: what it sees may yet be rolled back."""
    return bool(session.info.get(_CHANGED))


@event.listens_for(Resource, "after_insert")
@event.listens_for(Resource, "after_update")
def _note(_mapper: object, _connection: object, resource: Resource) -> None:
    """What a calendar hangs on has changed too: hours, roles, buffers."""
    session = object_session(resource)
    if session is not None:
        session.info[_CHANGED] = True


@event.listens_for(Session, "after_transaction_end")
def _forget(session: Session, transaction: SessionTransaction) -> None:
    if transaction.parent is None:
        session.info.pop(_CHANGED, None)


def take_time(session: Session) -> None:
    """Let this transaction compute for minutes, as a search on a busy machine may: the database would end it.

    Not for one that holds what others want: whoever hangs must not keep them waiting.
    """
    if not _one_writer(session):
        session.connection().exec_driver_sql(_PONDER)


def _named(call: Call, ids: Collection[UUID]) -> dict[str, Any]:
    return {"organization": call.organization_id, "ids": list(ids)}


def _one_writer(session: Session) -> bool:
    return session.get_bind().dialect.name == "sqlite"
