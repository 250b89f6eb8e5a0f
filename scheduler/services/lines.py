"""The one statement that reads what is taken: the database counts in slots and hands over a line per unit.

What the lines mean for a resource, and how long they are remembered, is `busy`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple, cast
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Integer,
    Table,
    Text,
    Uuid,
    and_,
    any_,
    bindparam,
    case,
    func,
    literal_column,
    null,
    select,
    union_all,
)
from sqlalchemy import cast as as_type
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session

from scheduler.core.bitmap import SLOT, Timeline
from scheduler.core.call import Call
from scheduler.core.columns import Runs
from scheduler.models import Absence, ExtraHours, Hold, Occupancy, Resource
from scheduler.models.base import UtcDateTime
from scheduler.models.slots import slot_after, slot_of
from scheduler.services.ready import Ready

#: No blocking occupancy is longer (a constraint says so): how far back an overlap can begin.
LONGEST = timedelta(hours=24)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

#: A run of slots [first, past).
Run = tuple[int, int]
#: What follows an appointment's id that is fixed in its room.
FIXED = "!"

_ROWS = cast("Table", Occupancy.__table__).c
_HOLDS = cast("Table", Hold.__table__).c
_ABSENCES = cast("Table", Absence.__table__).c
_SHIFTS = cast("Table", ExtraHours.__table__).c
_RESOURCES = cast("Table", Resource.__table__).c


class Line(NamedTuple):
    """Runs of slots of one resource that belong together.

    `visits` take the `unit`; a `hold` takes it until `until`; what is `freed` is in `visits` too, but belongs to an
    appointment that was to be told apart. Units mean nothing for what is `away` and for a `shift`. `key` is the hold's
    or appointment's id, or the shift's location.
    """

    what: Literal["visits", "hold", "freed", "away", "shift"]
    resource_id: UUID
    unit: int
    runs: Runs
    #: For a room's visits whose each run is: an appointment's id as the database writes it, and FIXED if it is.
    owners: Sequence[str]
    key: UUID | None
    until: datetime | None


def lines(
    session: Session,
    call: Call,
    timeline: Timeline,
    ids: Sequence[UUID],
    apart: Collection[UUID] = (),
    *,
    since: datetime | None = None,
) -> Iterator[Line]:
    """What is taken of these resources over the timeline; what the appointments `apart` take is told once more.

    What ended before `since` is left out.
    """
    first = timeline.origin if since is None else max(since, timeline.origin)
    base = (timeline.origin - _EPOCH) // SLOT
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
    for what, resource_id, unit, text, owners, key, until in rows:
        told = owners.split(",") if owners and owners.strip(",") else ()
        yield Line(what, resource_id, unit, Runs.read(text, base), told, key, until)


def _line(starts_at: ColumnElement[Any], ends_at: ColumnElement[Any]) -> ColumnElement[str]:
    run = as_type(slot_of(starts_at), Text) + _said(",") + as_type(slot_after(ends_at), Text)
    return func.aggregate_strings(run, _said(","))


def _said(text: str) -> Any:
    """A word that is part of the statement's text: each parameter costs something whenever the statement is asked."""
    return literal_column(f"'{text}'", Text())


#: The column is one of the values of that name. On PostgreSQL one text for any number of them, and so one plan.
_Among = Callable[[ColumnElement[UUID], str], ColumnElement[bool]]


def _one_of(column: ColumnElement[UUID], name: str) -> ColumnElement[bool]:
    return column == any_(bindparam(name, type_=ARRAY(Uuid())))


def _listed(column: ColumnElement[UUID], name: str) -> ColumnElement[bool]:
    return column.in_(bindparam(name, expanding=True))


def _statement(among: _Among, *, apart: bool) -> Any:
    wanted = (
        select(_RESOURCES.id)
        .where(_RESOURCES.organization_id == bindparam("organization"), among(_RESOURCES.id, "ids"))
        .cte("wanted")
    )
    within = (
        _ROWS.organization_id == bindparam("organization"),
        _ROWS.blocking,
        _ROWS.starts_at > bindparam("since", type_=UtcDateTime()),
        _ROWS.starts_at < bindparam("end", type_=UtcDateTime()),
        _ROWS.ends_at > bindparam("origin", type_=UtcDateTime()),
    )
    fixed = case((_ROWS.fixed, _said(FIXED)), else_=_said(""))
    owner = case((_ROWS.role.like(_said("room:%")), as_type(_ROWS.appointment_id, Text) + fixed))
    told = (
        select(
            _ROWS.resource_id,
            _ROWS.unit,
            _line(_ROWS.starts_at, _ROWS.ends_at).label("runs"),
            func.aggregate_strings(func.coalesce(owner, _said("")), _said(",")).label("owners"),
            _ROWS.hold_id,
        )
        .select_from(wanted.join(Occupancy.__table__, _ROWS.resource_id == wanted.c.id))
        .where(*within)
        .group_by(_ROWS.resource_id, _ROWS.unit, _ROWS.hold_id)
        .subquery("told")
    )
    # Holds are looked up for a line each, not for each row.
    hold = and_(_HOLDS.organization_id == bindparam("organization"), _HOLDS.id == told.c.hold_id)
    taken = select(
        case((told.c.hold_id.is_(None), _said("visits")), else_=_said("hold")),
        told.c.resource_id,
        told.c.unit,
        told.c.runs,
        told.c.owners,
        told.c.hold_id,
        _HOLDS.expires_at,
    ).select_from(told.outerjoin(Hold.__table__, hold))
    freed = (
        select(
            _said("freed"),
            _ROWS.resource_id,
            _ROWS.unit,
            _line(_ROWS.starts_at, _ROWS.ends_at),
            as_type(null(), Text),
            _ROWS.appointment_id,
            as_type(null(), UtcDateTime),
        )
        .where(*within, among(_ROWS.appointment_id, "apart"))
        .group_by(_ROWS.resource_id, _ROWS.unit, _ROWS.appointment_id)
    )
    return union_all(
        taken, *([freed] if apart else []), *(_besides(what, table, place, wanted) for what, table, place in _BESIDES)
    )


#: What is said of a resource besides its units: the word for it, the table, and the place that it goes by.
_BESIDES = (("away", _ABSENCES, None), ("shift", _SHIFTS, _SHIFTS.location_id))


def _besides(what: str, table: Any, place: Any, wanted: Any) -> Any:
    return (
        select(
            _said(what),
            table.resource_id,
            as_type(null(), Integer),
            _line(table.starts_at, table.ends_at),
            as_type(null(), Text),
            as_type(null(), Uuid) if place is None else place,
            as_type(null(), UtcDateTime),
        )
        .where(
            table.resource_id.in_(select(wanted.c.id)),  # a join would have SQLite read what everybody has
            table.organization_id == bindparam("organization"),
            table.ends_at > bindparam("origin", type_=UtcDateTime()),
            table.starts_at < bindparam("end", type_=UtcDateTime()),
        )
        .group_by(table.resource_id, *([] if place is None else [place]))
    )


#: Made once: they are asked whenever somebody's calendar has changed.
#: Without anything to be told apart, SQLite would look for it in all that the organization has stored.
_STATEMENTS = {
    (name, apart): Ready(_statement(among, apart=apart))
    for name, among in (("postgresql", _one_of), ("sqlite", _listed))
    for apart in (False, True)
}
