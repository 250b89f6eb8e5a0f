"""What is taken of each resource over a timeline, read from rows once per revision of its calendar. Decides nothing.

The database counts the rows in slots and hands over one line per unit, so that a month of a large clinic is a few
hundred lines. Readers keep what they read, by resource and calendar revision, within their process: any number of
processes stay right, since every change of a calendar bumps its revision in the same transaction. A transaction that
has itself changed a calendar neither trusts nor feeds that memory, because it may yet be rolled back.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID
from weakref import WeakKeyDictionary

from sqlalchemy import (
    ColumnElement,
    Engine,
    Integer,
    Text,
    Uuid,
    and_,
    case,
    cast,
    func,
    literal,
    null,
    select,
    union_all,
)
from sqlalchemy.orm import Session

from scheduler.core.availability import Calendar
from scheduler.core.bitmap import SLOT, Timeline
from scheduler.core.call import Call
from scheduler.core.rooms import Stay
from scheduler.models import Absence, ExtraHours, Hold, Occupancy
from scheduler.models.base import UtcDateTime
from scheduler.models.slots import slot_after, slot_of
from scheduler.services.locks import has_changed_calendars

#: No blocking occupancy is longer (a constraint says so): how far back an overlap can begin.
LONGEST = timedelta(hours=24)
#: How many calendars one process remembers.
REMEMBERED = 4096
_AWAY = -1
_EXTRA = -2
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

#: A run of slots [first, past).
Run = tuple[int, int]


class Held(NamedTuple):
    """One unit taken by a hold in slots [first, past); it counts until `expires_at`."""

    unit: int
    run: Run
    hold_id: UUID
    expires_at: datetime


@dataclass(frozen=True)
class Busy:
    """A resource over a timeline: unit to the slots at which visits take it, the holds, and when it is away.

    `extra` are its one-off shifts, location to slots. Units beyond the regular ones belong to overrides. `stays` say
    whose the slots are, for rooms only; an appointment's key is the hexadecimal digits of its id.
    """

    resource_id: UUID
    timeline: Timeline
    lanes: Mapping[int, int]
    stays: tuple[Stay, ...]
    holds: tuple[Held, ...]
    absent: int
    extra: Mapping[UUID, int] = field(default_factory=dict)
    #: The calendars made of it, by what they were made with besides.
    calendars: dict[Any, Calendar] = field(default_factory=dict, init=False, repr=False, compare=False)
    _standing: dict[frozenset[UUID], Busy] = field(default_factory=dict, init=False, repr=False, compare=False)

    def standing(self, now: datetime, ignoring: Collection[UUID], freed: Sequence[tuple[int, Run]]) -> Busy:
        """What counts at `now`, visits and holds alike, but for the owners to be ignored.

        `freed` are the (unit, run) that the ignored appointments take here.
        """
        if not self.holds and not freed:
            return self
        held = [each for each in self.holds if each.expires_at > now and each.hold_id not in ignoring]
        if freed:
            return self._with(held, freed, {owner.hex for owner in ignoring})
        known = frozenset(each.hold_id for each in held)
        if known not in self._standing:
            self._standing[known] = self._with(held, (), ())
        return self._standing[known]

    def _with(self, held: Sequence[Held], freed: Sequence[tuple[int, Run]], gone: Collection[str]) -> Busy:
        lanes = dict(self.lanes)
        for unit, run in freed:
            lanes[unit] = lanes.get(unit, 0) & ~self.timeline.lane([run])
        for each in held:
            lanes[each.unit] = lanes.get(each.unit, 0) | self.timeline.lane([each.run])
        kept = (stay for stay in self.stays if stay.key not in gone)
        seated = (Stay(each.hold_id, self.resource_id, each.run[0], each.run[1], fixed=True) for each in held)
        return replace(self, lanes=lanes, stays=(*kept, *seated), holds=())


def busy(session: Session, call: Call, timeline: Timeline, revisions: Mapping[UUID, int]) -> dict[UUID, Busy]:
    """The busy times of resources, given with their calendars' revisions; one statement for all that is not known.

    The revisions must have been read before, in this transaction or an earlier one.
    """
    if has_changed_calendars(session):
        return _read(session, call, timeline, list(revisions))
    memory = _memory(session)
    found: dict[UUID, Busy] = {}
    for key, revision in revisions.items():
        known = memory.get((call.organization_id, key, timeline))
        if known is not None and known[0] == revision:
            found[key] = known[1]
    missing = [key for key in revisions if key not in found]
    if missing:
        for key, each in _read(session, call, timeline, missing).items():
            memory.keep((call.organization_id, key, timeline), (revisions[key], each))
            found[key] = each
    return found


def freed_by(
    session: Session, call: Call, timeline: Timeline, appointment_ids: Collection[UUID]
) -> dict[UUID, list[tuple[int, Run]]]:
    """The (unit, run) that these appointments take, by resource. Asks nothing when there are none."""
    found: dict[UUID, list[tuple[int, Run]]] = {}
    if appointment_ids:
        mine = Occupancy.organization_id == call.organization_id, Occupancy.appointment_id.in_(appointment_ids)
        line = slot_of(Occupancy.starts_at), slot_after(Occupancy.ends_at)
        base = _base(timeline)
        for key, unit, first, past in session.execute(
            select(Occupancy.resource_id, Occupancy.unit, *line).where(*mine, Occupancy.blocking)
        ).all():
            found.setdefault(key, []).append((unit, (first - base, past - base)))
    return found


def _read(session: Session, call: Call, timeline: Timeline, ids: Sequence[UUID]) -> dict[UUID, Busy]:
    lanes: dict[UUID, dict[int, int]] = {key: {} for key in ids}
    stays: dict[UUID, list[Stay]] = {key: [] for key in ids}
    holds: dict[UUID, list[Held]] = {key: [] for key in ids}
    absent = dict.fromkeys(ids, 0)
    extra: dict[UUID, dict[UUID, int]] = {key: {} for key in ids}
    for key, unit, line, which, expires_at in session.execute(_statement(call, timeline, ids)).all():
        runs = list(_runs(line, _base(timeline)))
        if unit == _AWAY:
            absent[key] = timeline.lane(run for run, *_ in runs)
        elif unit == _EXTRA:
            extra[key][which] = timeline.lane(run for run, *_ in runs)
        elif which is not None:
            holds[key] += [Held(unit, run, which, expires_at) for run, *_ in runs]
        else:
            lanes[key][unit] = timeline.lane(run for run, *_ in runs)
            if unit == 0:
                stays[key] += [Stay(who[0], key, run[0], run[1], who[1] == "1") for run, *who in runs if who]
    return {
        key: Busy(key, timeline, lanes[key], tuple(stays[key]), tuple(holds[key]), absent[key], extra[key])
        for key in ids
    }


def _runs(line: str, base: int) -> Iterator[tuple[Any, ...]]:
    """The line's runs, each with whose it is and whether it is fixed, if the line says so."""
    for text in line.split(","):
        first, past, *owner = text.split("/")
        yield ((int(first) - base, int(past) - base), *owner)


def _statement(call: Call, timeline: Timeline, ids: Sequence[UUID]) -> Any:
    """A line for each unit of each resource, for each unit that a hold takes, and for each one's absences and shifts.

    The id in a line is the hold's, or the location's of a shift.
    """
    owner = func.replace(cast(Occupancy.appointment_id, Text), "-", "")
    fixed = case((Occupancy.fixed, "1"), else_="0")
    whose = case((Occupancy.role.like("room:%"), literal("/") + owner + "/" + fixed), else_="")
    run = _line(Occupancy.starts_at, Occupancy.ends_at) + func.coalesce(whose, "")
    unit_of = Occupancy.resource_id, Occupancy.unit, Occupancy.hold_id, Hold.expires_at
    occupied = (
        select(unit_of[0], unit_of[1], func.aggregate_strings(run, ","), unit_of[2], unit_of[3])
        .outerjoin(Hold, and_(Hold.organization_id == Occupancy.organization_id, Hold.id == Occupancy.hold_id))
        .where(
            Occupancy.organization_id == call.organization_id,
            Occupancy.resource_id.in_(ids),
            Occupancy.blocking,
            Occupancy.starts_at > timeline.origin - LONGEST,
            Occupancy.starts_at < timeline.end,
            Occupancy.ends_at > timeline.origin,
        )
        .group_by(*unit_of)
    )
    away = (
        select(
            Absence.resource_id,
            cast(literal(_AWAY), Integer),
            func.aggregate_strings(_line(Absence.starts_at, Absence.ends_at), ","),
            cast(null(), Uuid),
            cast(null(), UtcDateTime),
        )
        .where(
            Absence.organization_id == call.organization_id,
            Absence.resource_id.in_(ids),
            Absence.ends_at > timeline.origin,
            Absence.starts_at < timeline.end,
        )
        .group_by(Absence.resource_id)
    )
    shifts = (
        select(
            ExtraHours.resource_id,
            cast(literal(_EXTRA), Integer),
            func.aggregate_strings(_line(ExtraHours.starts_at, ExtraHours.ends_at), ","),
            ExtraHours.location_id,
            cast(null(), UtcDateTime),
        )
        .where(
            ExtraHours.organization_id == call.organization_id,
            ExtraHours.resource_id.in_(ids),
            ExtraHours.ends_at > timeline.origin,
            ExtraHours.starts_at < timeline.end,
        )
        .group_by(ExtraHours.resource_id, ExtraHours.location_id)
    )
    return union_all(occupied, away, shifts)


def _line(starts_at: Any, ends_at: Any) -> ColumnElement[str]:
    return cast(slot_of(starts_at), Text) + "/" + cast(slot_after(ends_at), Text)


def _base(timeline: Timeline) -> int:
    """The timeline's first slot, counted as the database does."""
    return (timeline.origin - _EPOCH) // SLOT


class _Memory:
    """The calendars that one process remembers of one database, the longest unused forgotten first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[UUID, UUID, Timeline], tuple[int, Busy]] = OrderedDict()

    def get(self, key: tuple[UUID, UUID, Timeline]) -> tuple[int, Busy] | None:
        """What is known under that key."""
        with self._lock:
            known = self._known.get(key)
            if known is not None:
                self._known.move_to_end(key)
            return known

    def keep(self, key: tuple[UUID, UUID, Timeline], value: tuple[int, Busy]) -> None:
        """Remember; an older revision never replaces a newer one."""
        with self._lock:
            known = self._known.get(key)
            if known is None or known[0] <= value[0]:
                self._known[key] = value
                self._known.move_to_end(key)
            while len(self._known) > REMEMBERED:
                self._known.popitem(last=False)


_memories: WeakKeyDictionary[Engine, _Memory] = WeakKeyDictionary()
_memories_lock = threading.Lock()


def _memory(session: Session) -> _Memory:
    bind = session.get_bind()
    engine = bind if isinstance(bind, Engine) else bind.engine
    with _memories_lock:
        return _memories.setdefault(engine, _Memory())
