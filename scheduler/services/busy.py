"""What is taken of each resource over a timeline, read from rows once per revision of its calendar. Decides nothing.

Readers keep what they read, by resource and calendar revision, within their process: any number of
processes stay right, since every change of a calendar bumps its revision in the same transaction. A transaction that
has itself changed a calendar neither trusts nor feeds that memory, because it may yet be rolled back.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import field, replace
from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple
from uuid import UUID
from weakref import WeakKeyDictionary

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from scheduler.core.availability import Calendar
from scheduler.core.bitmap import Timeline
from scheduler.core.call import Call
from scheduler.core.columns import Stay, Stays
from scheduler.core.value import lightweight
from scheduler.services.lines import LONGEST, NOBODY, Answer, Line, Run, keys_in, lines
from scheduler.services.locks import has_changed_calendars

__all__ = ["LONGEST", "REMEMBERED", "Busy", "Freed", "Held", "Left", "busy"]

#: How many calendars one process remembers.
REMEMBERED = 4096

#: The (unit, run) that appointments take of each resource.
Freed = Mapping[UUID, Sequence[tuple[int, Run]]]


class Held(NamedTuple):
    """One unit taken in slots [first, past) by a hold, until it expires, or by what a visit leaves of itself.

    A room may be `fixed` for it.
    """

    unit: int
    run: Run
    owner: UUID
    expires_at: datetime
    fixed: bool = False


class Left(NamedTuple):
    """What an ignored appointment takes of a resource all the same."""

    appointment_id: UUID
    resource_id: UUID
    unit: int
    starts_at: datetime
    ends_at: datetime

    def held(self, timeline: Timeline) -> Held:
        """The same in slots; nobody is given another room while theirs is made ready."""
        run = timeline.slot(self.starts_at), timeline.slot_after(self.ends_at)
        return Held(self.unit, run, self.appointment_id, self.ends_at, fixed=True)


@lightweight
class Busy:
    """A resource over a timeline: unit to the slots at which visits take it, the holds, and when it is away.

    `extra` are its one-off shifts, location to slots. Units beyond the regular ones belong to overrides. `told` is what
    was read of a room, without the visits that are `gone`; `seated` are those who hold it.
    """

    resource_id: UUID
    timeline: Timeline
    lanes: Mapping[int, int]
    holds: tuple[Held, ...]
    absent: int
    extra: Mapping[UUID, int]
    told: Line | None = None
    gone: Collection[str] = ()
    seated: tuple[Stay, ...] = ()
    #: The calendars made of it, by what they were made with besides.
    calendars: dict[Any, Calendar] = field(default_factory=dict, init=False, repr=False, compare=False)
    _standing: dict[frozenset[UUID], Busy] = field(default_factory=dict, init=False, repr=False, compare=False)

    @cached_property
    def stays(self) -> Stays:
        """Whose the slots are, for rooms only; an appointment's key are the digits of its id."""
        seated = Stays.of(self.seated)
        if self.told is None:
            return seated
        theirs = _stays(self.told)
        if not self.gone and not self.seated:
            return theirs
        return Stays.joined([theirs.without(self.gone), seated])

    def standing(
        self,
        now: datetime,
        ignoring: Collection[UUID],
        freed: Sequence[tuple[int, Run]],
        left: Sequence[Left] = (),
    ) -> Busy:
        """What counts at `now`, visits and holds alike, but for the owners to be ignored.

        `freed` are the (unit, run) that the ignored appointments take here, `left` what of that counts all the same.
        """
        if not self.holds and not freed:
            return self
        held = [each for each in self.holds if each.expires_at > now and each.owner not in ignoring]
        if freed:
            still = [each.held(self.timeline) for each in left if each.resource_id == self.resource_id]
            return self._with([*held, *still], freed, {owner.hex for owner in ignoring})
        known = frozenset(each.owner for each in held)
        if known not in self._standing:
            self._standing[known] = self._with(held, (), ())
        return self._standing[known]

    def _with(self, held: Sequence[Held], freed: Sequence[tuple[int, Run]], gone: Collection[str]) -> Busy:
        lanes, covered = dict(self.lanes), self.timeline.covered
        for unit, run in freed:
            lanes[unit] = lanes.get(unit, 0) & ~covered([run])
        for each in held:
            lanes[each.unit] = lanes.get(each.unit, 0) | covered([each.run])
        seated = (Stay(each.owner, self.resource_id, each.run[0], each.run[1], each.fixed) for each in held)
        return replace(self, lanes=lanes, gone=gone, seated=tuple(seated), holds=())


#: An organization's time: what one look spans, and since when it was read.
View = tuple[UUID, Timeline, datetime]
#: A calendar and the revision at which it was so.
Known = tuple[int, Busy]


class Taken(NamedTuple):
    """What is taken of each resource, and by what is ignored."""

    calendars: dict[UUID, Busy]
    freed: Freed
    #: Some were remembered, and others have changed since: they may never have been so at one moment.
    torn: bool


def busy(
    session: Session,
    call: Call,
    timeline: Timeline,
    revisions: Mapping[UUID, int],
    ignoring: Collection[UUID] = (),
    *,
    since: datetime | None = None,
    remember: bool = True,
) -> Taken:
    """The busy times of resources, given with their calendars' revisions; and what the ignored appointments take.

    One statement for all that is not known. The revisions must have been read before, in this transaction or an earlier
    one. What ended before `since` looks free. Who does not `remember` reads all of it now, as it is at one moment.
    """
    # What a transaction has changed itself is neither looked for nor left in the memory of all.
    memory = _memory(session) if remember and not has_changed_calendars(session) else _Memory()
    first = timeline.origin if since is None else max(since, timeline.origin)
    view = call.organization_id, timeline, first
    found = memory.of(view, revisions)
    missing = [key for key, known in zip(revisions, found, strict=True) if known is None]
    told: dict[int, list[Line]] = {}
    freed: dict[UUID, list[tuple[int, Run]]] = {}
    answer = lines(session, call, timeline, missing, ignoring, since=first) if missing or ignoring else Answer([], 0)
    for line in answer.lines:
        if line.what == "freed":
            freed.setdefault(line.resource_id, []).extend((line.unit, run) for run in line.runs)
        else:
            told.setdefault(line.resource_id.int, []).append(line)
    pairs = zip(revisions, found, strict=True)
    whole = [known or _as_told(key, timeline, told.get(key.int, ())) for key, known in pairs]
    if missing:
        memory.keep(view, revisions, whole)
    # They only rise: equal sums are equal revisions. What was read by one statement is of one moment anyway.
    torn = len(missing) < len(revisions) and answer.revisions != sum(revisions[key] for key in missing)
    return Taken(dict(zip(revisions, whole, strict=True)), freed, torn)


def _as_told(key: UUID, timeline: Timeline, told: Sequence[Line]) -> Busy:
    lanes: dict[int, int] = {}
    holds: list[Held] = []
    extra: dict[UUID, int] = {}
    room: Line | None = None
    absent = 0
    for line in told:
        if line.what == "visits":
            lanes[line.unit] = line.lane
            if line.unit == 0 and line.owners:
                room = line
        elif line.what == "hold" and line.key is not None and line.until is not None:
            holds += [Held(line.unit, run, line.key, line.until, line.pinned) for run in line.runs]
        elif line.what == "shift" and line.key is not None:
            extra[line.key] = line.lane
        elif line.what == "away":
            absent = line.lane
    return Busy(key, timeline, lanes, tuple(holds), absent, extra, room)


def _stays(line: Line) -> Stays:
    """Whose a room's runs are."""
    return Stays.in_room(line.resource_id, line.runs, keys_in(line.owners), set(keys_in(line.fixed)), NOBODY)


class _Memory:
    """The calendars that one process remembers of one database, by organization and timeline.

    The timeline that was not asked for longest is forgotten first, with everybody's calendars over it. Resources go by
    the number of their id, which is found faster.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[View, dict[int, Known]] = OrderedDict()
        self._size = 0

    def of(self, view: View, revisions: Mapping[UUID, int]) -> list[Busy | None]:
        """What is known of each at just this revision, in their order."""
        with self._lock:
            known = self._known.get(view)
            if known is None:
                return [None] * len(revisions)
            self._known.move_to_end(view)
            here = [(known.get(key.int), revision) for key, revision in revisions.items()]
            return [value[1] if value is not None and value[0] == revision else None for value, revision in here]

    def keep(self, view: View, revisions: Mapping[UUID, int], found: Sequence[Busy]) -> None:
        """Remember each at its revision; an older one never replaces a newer one."""
        with self._lock:
            known = self._known.setdefault(view, {})
            self._known.move_to_end(view)
            self._size -= len(known)
            for (key, revision), each in zip(revisions.items(), found, strict=True):
                value = known.get(key.int)
                if value is None or value[0] <= revision:
                    known[key.int] = revision, each
            self._size += len(known)
            while self._size > REMEMBERED:
                self._size -= len(self._known.popitem(last=False)[1])


_memories: WeakKeyDictionary[Engine, _Memory] = WeakKeyDictionary()
_memories_lock = threading.Lock()


def _memory(session: Session) -> _Memory:
    bind = session.get_bind()
    engine = bind if isinstance(bind, Engine) else bind.engine
    with _memories_lock:
        return _memories.setdefault(engine, _Memory())
