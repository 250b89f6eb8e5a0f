"""The one statement that reads what is taken: the database hands over all rows of a resource at once.

What the lines mean for a resource, and how long they are remembered, is `busy`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple, cast
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    Table,
    Text,
    Uuid,
    any_,
    bindparam,
    case,
    false,
    func,
    literal_column,
    null,
    select,
    true,
    union_all,
)
from sqlalchemy import cast as as_type
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session

from scheduler.core.bitmap import Timeline
from scheduler.core.call import Call
from scheduler.core.taken import piles, read
from scheduler.models import Absence, ExtraHours, Hold, Occupancy, Resource
from scheduler.models.base import UtcDateTime
from scheduler.models.slots import ids_of, runs_of
from scheduler.services.ready import Ready, unseen

#: No blocking occupancy is longer (a constraint says so): how far back an overlap can begin.
LONGEST = timedelta(hours=24)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

#: A run of slots [first, past).
Run = tuple[int, int]
#: Who has no appointment.
NOBODY = UUID(int=0).hex

_ROWS = cast("Table", Occupancy.__table__).c
_HOLDS = cast("Table", Hold.__table__).c
_ABSENCES = cast("Table", Absence.__table__).c
_SHIFTS = cast("Table", ExtraHours.__table__).c
_RESOURCES = cast("Table", Resource.__table__).c
_SINCE, _ORIGIN, _END = (unseen(bindparam(each, type_=UtcDateTime())) for each in ("since", "origin", "end"))


class Line(NamedTuple):
    """Runs of slots of one unit that belong together, and the same as a bitmap.

    `visits` take the `unit`; a `hold` takes it until `until`; what is `freed` is in `visits` too, but belongs to an
    appointment that was to be told apart. Units mean nothing for what is `away` and for a `shift`. `key` is the hold's
    or appointment's id, or the shift's location.
    """

    what: Literal["visits", "hold", "freed", "away", "shift"]
    resource_id: UUID
    unit: int
    runs: Collection[Run]
    lane: int
    #: For a room's only unit whose each run is, and whose are fixed there: appointments, as `keys_in` reads them.
    owners: bytes | str | None = None
    fixed: bytes | str | None = None
    #: Whether a hold is fixed there.
    pinned: bool = False
    key: UUID | None = None
    until: datetime | None = None


class Answer(NamedTuple):
    """What a look at calendars was told, and the sum of their revisions as it was told it."""

    lines: list[Line]
    revisions: int


def lines(
    session: Session,
    call: Call,
    timeline: Timeline,
    ids: Sequence[UUID],
    apart: Collection[UUID] = (),
    *,
    since: datetime | None = None,
) -> Answer:
    """What is taken of these resources over the timeline; what the appointments `apart` take is told once more.

    What ended before `since` is left out.
    """
    first = timeline.origin if since is None else max(since, timeline.origin)
    rows = _STATEMENTS[session.get_bind().dialect.name, bool(apart)].rows(
        session,
        {
            "organization": call.organization_id,
            "ids": list(ids),
            "apart": list(apart),
            "since": first - LONGEST,
            "origin": first,
            "end": timeline.end,
        },
    )
    held = [line for row in rows if row.held for line in _holds(row, timeline)]
    revisions = sum(row.revisions for row in rows if row.revisions is not None)
    return Answer([*_lines([row for row in rows if row.runs], timeline), *held], revisions)


def _lines(rows: Sequence[Any], timeline: Timeline) -> Iterator[Line]:
    """A line for each unit that a row tells of."""
    for pile in piles([row.runs for row in rows], timeline):
        row = rows[pile.place]
        owners = row.owners
        if owners and pile.which is not None:
            owners = "".join(map(keys_in(owners).__getitem__, pile.which))
        yield Line(row.what, row.resource_id, pile.unit, pile.runs, pile.lane, owners, row.fixed, key=row.key)


def _holds(row: Any, timeline: Timeline) -> Iterator[Line]:
    """A line for each row of a hold."""
    taken = read([row.held], timeline.origin, with_until=True)
    each = zip(keys_in(row.holds), taken.units.tolist(), taken.runs, taken.until.tolist(), strict=True)
    fixed = set(keys_in(row.fixed))
    for key, unit, run, until in each:
        ends, lane = _EPOCH + until * _MICROSECOND, timeline.covered([run])
        yield Line("hold", row.resource_id, unit, [run], lane, pinned=key in fixed, key=UUID(key), until=ends)


def keys_in(told: bytes | str | None) -> list[str]:
    """The ids that `ids_of` tells of, by their digits."""
    digits = told.hex() if isinstance(told, bytes) else told or ""
    return [digits[at : at + 32] for at in range(0, len(digits), 32)]


def _said(text: str) -> Any:
    """A word that is part of the statement's text: each parameter costs something whenever the statement is asked."""
    return literal_column(f"'{text}'", Text())


#: The column is one of the values of that name. On PostgreSQL one text for any number of them, and so one plan.
_Among = Callable[[ColumnElement[UUID], str], ColumnElement[bool]]


def _one_of(column: ColumnElement[UUID], name: str) -> ColumnElement[bool]:
    return column == any_(unseen(bindparam(name, type_=ARRAY(Uuid()))))


def _listed(column: ColumnElement[UUID], name: str) -> ColumnElement[bool]:
    return column.in_(bindparam(name, expanding=True))


def _statement(among: _Among, *, apart: bool, one_by_one: bool) -> Any:
    """With `one_by_one` each resource's rows are put together by themselves, and none is sorted."""
    wanted = (
        select(_RESOURCES.id, _RESOURCES.kind, _RESOURCES.calendar_revision)
        .where(_RESOURCES.organization_id == bindparam("organization"), among(_RESOURCES.id, "ids"))
        .cte("wanted")
    )
    within = (
        _ROWS.organization_id == bindparam("organization"),
        # As good as `blocking`, but not what the guard's index is about: it knows people and no time, and the planner
        # of a database without statistics would take it.
        _ROWS.blocking.is_not(false()),
        _ROWS.starts_at > _SINCE,
        _ROWS.starts_at < _END,
        _ROWS.ends_at > _ORIGIN,
    )
    its = _ROWS.resource_id == wanted.c.id
    if one_by_one:
        of_each = select(*_told(wanted)).where(its, *within).lateral("of_each")
        told = select(wanted.c.id, *of_each.c).select_from(wanted.join(of_each, true()))
    else:
        told = select(wanted.c.id, *_told(wanted)).where(its, *within).group_by(wanted.c.id)
    [resource_id, *values] = told.subquery("told").c
    taken = select(
        _said("visits").label("what"),
        resource_id.label("resource_id"),
        *values,
        as_type(null(), Uuid).label("key"),
        as_type(null(), BigInteger).label("revisions"),
    )
    freed = (
        select(
            _said("freed"),
            _ROWS.resource_id,
            runs_of(_ROWS.unit, _ROWS.starts_at, _ROWS.ends_at),
            *[null()] * (len(values) - 1),
            _ROWS.appointment_id,
            null(),
        )
        .where(*within, among(_ROWS.appointment_id, "apart"))
        .group_by(_ROWS.resource_id, _ROWS.appointment_id)
    )
    besides = [_besides(what, table, place, wanted, len(values) - 1) for what, table, place in _BESIDES]
    revisions = as_type(func.sum(wanted.c.calendar_revision), BigInteger)
    so_far = select(_said("revisions"), null(), *[null()] * len(values), null(), revisions)
    return union_all(taken, *([freed] if apart else []), *besides, so_far)


def _told(wanted: Any) -> list[Any]:
    """Of many rows: when visits take which unit, whose they are and whose are fixed, if in a room; and holds."""
    run = _ROWS.unit, _ROWS.starts_at, _ROWS.ends_at
    in_room, is_hold = wanted.c.kind == _said("room"), _ROWS.hold_id.is_not(null())
    its = case((_ROWS.role.like(_said("room:%")), _ROWS.appointment_id))
    nobody = literal_column(f"'{NOBODY}'", Uuid())
    owner = func.coalesce(its, nobody)
    until = (
        select(_HOLDS.expires_at)
        .where(_HOLDS.organization_id == bindparam("organization"), _HOLDS.id == _ROWS.hold_id)
        .scalar_subquery()
    )
    return [
        runs_of(*run).filter(~is_hold).label("runs"),
        ids_of(owner).filter(in_room, ~is_hold).label("owners"),
        ids_of(func.coalesce(its, _ROWS.hold_id, nobody)).filter(in_room, _ROWS.fixed).label("fixed"),
        runs_of(*run, until).filter(is_hold).label("held"),
        ids_of(_ROWS.hold_id).filter(is_hold).label("holds"),
    ]


#: What is said of a resource besides its units: the word for it, the table, and the place that it goes by.
_BESIDES = (("away", _ABSENCES, None), ("shift", _SHIFTS, _SHIFTS.location_id))


def _besides(what: str, table: Any, place: Any, wanted: Any, nothing: int) -> Any:
    return (
        select(
            _said(what),
            table.resource_id,
            runs_of(literal_column("0", Integer()), table.starts_at, table.ends_at),
            *[null()] * nothing,
            as_type(null(), Uuid) if place is None else place,
            null(),
        )
        .where(
            table.resource_id.in_(select(wanted.c.id)),  # a join would have SQLite read what everybody has
            table.organization_id == bindparam("organization"),
            table.ends_at > _ORIGIN,
            table.starts_at < _END,
        )
        .group_by(table.resource_id, *([] if place is None else [place]))
    )


#: Made once: they are asked whenever somebody's calendar has changed.
#: Without anything to be told apart, SQLite would look for it in all that the organization has stored.
_STATEMENTS = {
    (name, apart): Ready(_statement(among, apart=apart, one_by_one=name == "postgresql"), in_bytes=True)
    for name, among in (("postgresql", _one_of), ("sqlite", _listed))
    for apart in (False, True)
}
