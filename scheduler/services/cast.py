"""Everyone and everything that could serve at a location, kept in memory; who of them is free is `calendars`'.

What they are changes seldom, their calendars with every booking. So one small statement asks for the revisions, and
tells of them only when what is kept is no longer so. A transaction that has itself changed somebody neither trusts nor
feeds the memory, because it may yet be rolled back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast
from uuid import UUID
from weakref import WeakKeyDictionary

from sqlalchemy import Engine, Table, Text, bindparam, func, literal_column, null, select, union_all
from sqlalchemy import cast as as_type
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.gathering import OpenGroup
from scheduler.models import Resource
from scheduler.services.doses import VISITS, asked_for
from scheduler.services.group_places import GROUPS, found_among
from scheduler.services.locks import has_changed_calendars
from scheduler.services.premises import Columns
from scheduler.services.ready import Ready
from scheduler.services.rosters import Place

_RESOURCES = cast("Table", Resource.__table__).c
_MINE = _RESOURCES.organization_id == bindparam("organization"), _RESOURCES.deleted_at.is_(None)
_COLUMNS = (
    _RESOURCES.id,
    _RESOURCES.kind,
    _RESOURCES.type_code,
    _RESOURCES.units,
    _RESOURCES.buffer_before_minutes,
    _RESOURCES.buffer_after_minutes,
    as_type(_RESOURCES.roles, Text).label("roles"),
    as_type(_RESOURCES.hours, Text).label("hours"),
    _RESOURCES.revision,
    _RESOURCES.calendar_revision,
)
#: The word for what each of those who are here is, and how many calendars it has seen: texts of as many parts.
_TOLD = "told"
#: The word for who serves a group, and the columns of it that others have too.
_GROUP, _SHARED = "group", frozenset({"id", "starts_at"})


def _here(*columns: Any) -> list[Any]:
    """These columns of who could serve, and of nobody else: an organization may have a hundred thousand patients."""

    def of(kind: str) -> Any:
        return select(*columns).where(*_MINE, _RESOURCES.kind == literal_column(f"'{kind}'", Text()))

    return [of("practitioner"), *(of(each).where(_RESOURCES.location_id == bindparam("location")) for each in _THINGS)]


_THINGS = ("room", "device")


def _statement(*, grouped: bool = False) -> Any:
    """What is known by its text needs not be told; else everybody. Then the patient, and the patient's visits.

    When `grouped`, groups too.

    All in one statement, so that a visit that it does not tell of has a later revision of the patient's calendar.
    """
    said = (_RESOURCES.id, _RESOURCES.revision, _RESOURCES.calendar_revision)
    who = union_all(*_here(*said)).subquery("who").c
    each = select(
        (as_type(who.id, Text) + literal_column("'/'", Text()) + as_type(who.revision, Text)).label("what"),
        as_type(who.calendar_revision, Text).label("calendar"),
    )
    in_order = each.order_by(who.id).subquery("each_one").c
    comma: Any = literal_column("','", Text())
    told = select(
        func.aggregate_strings(in_order.what, comma).label("people"),
        func.aggregate_strings(in_order.calendar, comma).label("calendars"),
    ).cte("told")
    visits = VISITS.subquery("visits").c
    further = [
        as_type(null(), column.type).label(column.key) for column in VISITS.selected_columns if column.key != "id"
    ]
    nothing = [as_type(null(), Text).label(name) for name in ("people", "calendars")]
    groups = GROUPS.subquery("groups_there").c
    besides = [as_type(null(), each.type).label(key) for key, each in groups.items() if grouped and key not in _SHARED]
    of_all = [*_COLUMNS, *further, *nothing, *besides]
    is_new = select(told.c.people).scalar_subquery().is_distinct_from(bindparam("known", type_=Text()))
    alone = {"kind": literal_column(f"'{_TOLD}'", Text()), "people": told.c.people, "calendars": told.c.calendars}
    together = {"kind": literal_column(f"'{_GROUP}'", Text()), **groups}
    ours = select(*(together.get(key, as_type(null(), column.type)).label(key) for key, column in _keyed(of_all)))
    return union_all(
        select(*(alone.get(key, as_type(null(), column.type)).label(key) for key, column in _keyed(of_all))),
        *(each.where(is_new) for each in _here(*of_all)),
        select(*of_all).where(*_MINE, _RESOURCES.kind == literal_column("'patient'", Text()), _IS_THE_PATIENT),
        select(*(visits.get(key, as_type(null(), column.type)).label(key) for key, column in _keyed(of_all))),
        *([ours] if grouped else []),
    )


def _keyed(columns: Sequence[Any]) -> list[tuple[str, Any]]:
    return [(column.key, column) for column in columns]


_IS_THE_PATIENT = _RESOURCES.id == bindparam("patient")
#: Made once: one is asked for every look at a calendar.
_STATEMENT, _WITH_GROUPS = Ready(_statement()), Ready(_statement(grouped=True))


@dataclass(frozen=True)
class Cast:
    """Everyone and everything that could serve, in id order; `text` says which and at which revision."""

    text: str
    rows: Mapping[UUID, Columns]
    _parts: dict[frozenset[str], tuple[dict[UUID, Columns], Sequence[int]]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def part(self, place: Place, only: frozenset[str] | None) -> tuple[Mapping[UUID, Columns], Sequence[int]]:
        """Those who serve one of these selectors at some time, and which of the calendars are theirs."""
        if only is None:
            return self.rows, range(len(self.rows))
        known = self._parts.get(only)
        if known is None:
            numbered = enumerate(self.rows.items())
            theirs = [(at, key, row) for at, (key, row) in numbered if _serves(row, place, only)]
            known = {key: row for _, key, row in theirs}, [at for at, _, _ in theirs]
            self._parts[only] = known
        return known


def _serves(row: Columns, place: Place, selectors: frozenset[str]) -> bool:
    return not selectors.isdisjoint(place.serves(row.kind, row.type_code, row.roles))


class Company(NamedTuple):
    """A cast as it is now, the patient, and the patient's visits where they were asked for."""

    cast: Cast
    calendars: Sequence[int]
    patient: Columns | None
    visits: Sequence[Columns]
    #: Likewise the groups that can be joined; None where they were not asked for.
    groups: Sequence[OpenGroup] | None


#: By organization and location.
_Known = dict[tuple[UUID, UUID], Cast]
_memories: WeakKeyDictionary[Engine, _Known] = WeakKeyDictionary()
#: How many locations one process remembers the people of.
_AT_MOST = 512


def gather(
    session: Session,
    call: Call,
    place: Place,
    patient_id: UUID | None,
    *,
    dosing: bool,
    groups: Mapping[str, Any] | None = None,
) -> Company:
    """Everyone at the place with their calendars' revisions, and the patient; with `dosing` the patient's visits.

    `groups` are the parameters by which groups are looked for, if they are.
    """
    engine = session.get_bind().engine
    memory = {} if has_changed_calendars(session) else _memories.setdefault(engine, {})
    view = call.organization_id, place.location_id
    known = memory.get(view, _NOBODY)
    asked = asked_for(session, call, patient_id if dosing else None)
    asked |= {"location": place.location_id, "patient": patient_id, "known": known.text or None}
    people, patient, visits, text, calendars = [], None, [], "", ""
    serving = []
    for row in _STATEMENT.rows(session, asked) if groups is None else _WITH_GROUPS.rows(session, {**groups, **asked}):
        if row.kind is None:
            visits.append(row)
        elif row.kind == _GROUP:
            serving.append(row)
        elif row.kind == _TOLD:
            text, calendars = row.people or "", row.calendars or ""
        elif row.kind == "patient":
            patient = row
        else:
            people.append(row)
    if text != known.text:
        known = Cast(text, {row.id: row for row in sorted(people, key=lambda row: row.id.int)})
        if len(memory) >= _AT_MOST:
            memory.clear()
        memory[view] = known
    revisions = [int(each) for each in calendars.split(",")] if calendars else []
    return Company(known, revisions, patient, visits, None if groups is None else found_among(serving))


_NOBODY = Cast("", {})
