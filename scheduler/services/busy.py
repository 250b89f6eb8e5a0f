"""What is taken of each resource over a timeline, read from rows once per revision of its calendar. Decides nothing.

Readers keep what they read, by resource and calendar revision, within their process: any number of processes stay
right, since every change of a calendar bumps its revision in the same transaction. A transaction that has itself
changed a calendar neither trusts nor feeds that memory, because it may yet be rolled back.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, NamedTuple
from uuid import UUID
from weakref import WeakKeyDictionary

from sqlalchemy import Engine, Integer, Uuid, and_, cast, false, literal, null, select, union_all
from sqlalchemy.orm import Session

from scheduler.core.bitmap import Timeline
from scheduler.core.call import Call
from scheduler.models import Absence, Hold, Occupancy
from scheduler.models.base import UtcDateTime
from scheduler.services.locks import has_changed_calendars

#: No blocking occupancy is longer (a constraint says so): how far back an overlap can begin.
LONGEST = timedelta(hours=24)
#: How many calendars one process remembers.
REMEMBERED = 8192
_AWAY = -1


class Taken(NamedTuple):
    """One unit taken from `start` to `end` by an appointment or a hold; a hold's ends at `expires_at`."""

    unit: int
    start: datetime
    end: datetime
    owner: UUID
    expires_at: datetime | None
    fixed: bool


@dataclass(frozen=True)
class Busy:
    """A resource's rows over a timeline: the units taken, and the times it is away."""

    timeline: Timeline
    units: int
    taken: tuple[Taken, ...]
    away: tuple[tuple[datetime, datetime], ...]

    @cached_property
    def absent(self) -> int:
        """The slots at which it is away."""
        return self.timeline.ladder(self.away, 1)[0]

    @cached_property
    def _whole(self) -> tuple[int, ...]:
        return self._laddered(self.taken)

    @cached_property
    def _has_holds(self) -> bool:
        return any(each.expires_at is not None for each in self.taken)

    def standing(self, now: datetime, ignoring: Collection[UUID]) -> tuple[Taken, ...]:
        """What still counts at `now`, but for the rows of the owners to be ignored."""
        if not ignoring and not self._has_holds:
            return self.taken
        return tuple(
            each
            for each in self.taken
            if each.owner not in ignoring and (each.expires_at is None or each.expires_at > now)
        )

    def ladder(self, standing: tuple[Taken, ...]) -> tuple[int, ...]:
        """Element j holds the slots at which more than j units are taken by those rows."""
        return self._whole if standing is self.taken else self._laddered(standing)

    def _laddered(self, rows: Iterable[Taken]) -> tuple[int, ...]:
        # Units beyond the regular ones belong to overrides: they take nothing from anybody.
        return self.timeline.ladder(((e.start, e.end) for e in rows if e.unit < self.units), self.units)


def busy(
    session: Session, call: Call, timeline: Timeline, resources: Mapping[UUID, tuple[int, int]]
) -> dict[UUID, Busy]:
    """The busy times of resources, given as id to (calendar revision, units); one statement for all that is not known.

    The revisions must have been read before, in this transaction or an earlier one.
    """
    if has_changed_calendars(session):
        return _read(session, call, timeline, resources)
    memory = _memory(session)
    found: dict[UUID, Busy] = {}
    for key, (revision, units) in resources.items():
        known = memory.get((call.organization_id, key, timeline))
        if known is not None and known[0] == revision and known[1].units == units:
            found[key] = known[1]
    missing = {key: value for key, value in resources.items() if key not in found}
    if missing:
        for key, each in _read(session, call, timeline, missing).items():
            memory.keep((call.organization_id, key, timeline), (resources[key][0], each))
            found[key] = each
    return found


def _read(
    session: Session, call: Call, timeline: Timeline, resources: Mapping[UUID, tuple[int, int]]
) -> dict[UUID, Busy]:
    taken: dict[UUID, list[Taken]] = {key: [] for key in resources}
    away: dict[UUID, list[tuple[datetime, datetime]]] = {key: [] for key in resources}
    for row in session.execute(_statement(call, timeline, list(resources))):
        if row.unit == _AWAY:
            away[row.resource_id].append((row.starts_at, row.ends_at))
        else:
            owner = row.appointment_id or row.hold_id
            fixed = row.fixed or row.hold_id is not None
            taken[row.resource_id].append(
                Taken(row.unit, row.starts_at, row.ends_at, owner, row.expires_at, bool(fixed))
            )
    return {key: Busy(timeline, units, tuple(taken[key]), tuple(away[key])) for key, (_, units) in resources.items()}


def _statement(call: Call, timeline: Timeline, ids: Sequence[UUID]) -> Any:
    """Blocking occupancies (with their holds' ends) and absences, in one."""
    occupied = (
        select(
            Occupancy.resource_id,
            Occupancy.unit,
            Occupancy.starts_at,
            Occupancy.ends_at,
            Occupancy.appointment_id,
            Occupancy.hold_id,
            Occupancy.fixed,
            Hold.expires_at,
        )
        .outerjoin(Hold, and_(Hold.organization_id == Occupancy.organization_id, Hold.id == Occupancy.hold_id))
        .where(
            Occupancy.organization_id == call.organization_id,
            Occupancy.resource_id.in_(ids),
            Occupancy.blocking,
            Occupancy.starts_at > timeline.origin - LONGEST,
            Occupancy.starts_at < timeline.end,
            Occupancy.ends_at > timeline.origin,
        )
    )
    away = select(
        Absence.resource_id,
        cast(literal(_AWAY), Integer),
        Absence.starts_at,
        Absence.ends_at,
        cast(null(), Uuid),
        cast(null(), Uuid),
        false(),
        cast(null(), UtcDateTime),
    ).where(
        Absence.organization_id == call.organization_id,
        Absence.resource_id.in_(ids),
        Absence.ends_at > timeline.origin,
        Absence.starts_at < timeline.end,
    )
    return union_all(occupied, away)


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
