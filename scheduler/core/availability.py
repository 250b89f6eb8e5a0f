"""When a visit may start and who serves it: the one law by which a time is offered, accepted or refused.

`starts` finds the starts that every pool could serve, over the whole horizon at once; `assign` decides one start
exactly. What is offered, what is booked and what is explained all go through `assign`. Reading calendars from rows, and
writing them, is done elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, reduce
from operator import or_
from typing import TYPE_CHECKING
from uuid import UUID

from scheduler.core.bar import Bar
from scheduler.core.bitmap import Timeline, bits, dilate, erode, moved
from scheduler.core.columns import Stay
from scheduler.core.demand import Buffers, Demand, Stretch, Thread
from scheduler.core.near import BLOCK, Near, cover, digit_of, near_present, row_of
from scheduler.core.rooms import RoomPool, rebound, some_free
from scheduler.core.seating import Crew, Piece, Seating, crew_of, seated
from scheduler.core.value import lightweight

if TYPE_CHECKING:
    from scheduler.core.gathering import OpenGroup


@lightweight
class Calendar:
    """One resource at one location over a timeline.

    `rostered`: slots it is meant to be there; `absent`: slots it is not, all the same; `taken[j]`: slots at which more
    than j of its `units` are taken; `serves`: selector (`role:nurse`) to the slots at which it qualifies; -1 is all;
    `buffers`: slots that it needs for itself before and after each visit, taken like the visit's own.
    """

    resource_id: UUID
    kind: str
    units: int
    rostered: int
    absent: int
    taken: tuple[int, ...]
    serves: Mapping[str, int]
    buffers: Buffers = (0, 0)
    _starts: dict[Thread, int] = field(default_factory=dict, init=False, repr=False, compare=False)
    _rows: dict[tuple[Thread, int], str] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def there(self) -> int:
        """Slots at which it is on site."""
        return self.rostered & ~self.absent

    def free(self, units: int | None) -> int:
        """Slots at which it is on site with that many units free; None means all of them."""
        wanted = self.units if units is None else units
        return self.rostered & ~(self.absent | self.taken[self.units - wanted]) if wanted <= self.units else 0

    def starts(self, thread: Thread) -> int:
        """Slots at which a visit may start so that this resource serves the whole thread; found once."""
        known = self._starts.get(thread)
        if known is None:
            known = self._starts[thread] = self._found(thread)
        return known

    def row(self, thread: Thread, block: int) -> str:
        """The starts of one block as a search looks at them; found once."""
        known = self._rows.get((thread, block))
        if known is None:
            known = self._rows[thread, block] = row_of(self.starts(thread), self.taken[0], thread, block)
        return known

    def _found(self, thread: Thread) -> int:
        qualified = self.serves.get(thread.selector, 0)
        found = -1 if qualified else 0
        for stretch in thread.around(self.buffers):
            if not found:
                break
            found &= moved(erode(self.free(stretch.units) & qualified, stretch.length), stretch.start)
        return found

    def can_serve(self, thread: Thread, slot: int) -> bool:
        """Whether `starts` holds that slot, without looking at any other where that is not known yet."""
        if self._starts and (known := self._starts.get(thread)) is not None:
            return slot >= 0 and known >> slot & 1 == 1
        qualified = self.serves.get(thread.selector, 0)
        for stretch in thread.stretches if self.buffers == (0, 0) else thread.around(self.buffers):
            at, full = slot + stretch.start, (1 << stretch.end - stretch.start) - 1
            if at < 0 or (self.free(stretch.units) & qualified) >> at & full != full:
                return False
        return True

    def digit(self, thread: Thread, slot: int) -> str:
        """What `row` says of that start, without looking at any other."""
        return digit_of(self.taken[0], thread, slot) if self.can_serve(thread, slot) else "0"


@dataclass(frozen=True)
class Clinic:
    """A location as one visit's search sees it. `bars` hold every rule that is not somebody's calendar."""

    timeline: Timeline
    calendars: Mapping[UUID, Calendar]
    bars: tuple[Bar, ...] = ()
    patient: Calendar | None = None
    #: Selector to the only resources that may serve it, as the caller asked.
    pins: Mapping[str, frozenset[UUID]] = field(default_factory=dict)
    #: Selector to rooms that may change places under the visits in them.
    pools: Mapping[str, RoomPool] = field(default_factory=dict)
    #: Selector to the only people who may serve it, as the course asks: whoever is merely present may be another.
    bound: Mapping[str, frozenset[UUID]] = field(default_factory=dict)
    #: Start slot to the groups that the visit may join then, the fullest first: what `core/gathering` makes of them.
    groups: Mapping[int, tuple[OpenGroup, ...]] = field(default_factory=dict)
    _pools: dict[Thread, Sequence[Calendar]] = field(default_factory=dict, init=False, repr=False, compare=False)
    _able: dict[Thread, tuple[tuple[Calendar, int], ...]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    #: The same with those of the pool who can serve at none, where that was asked.
    _served: dict[Thread, Sequence[tuple[Calendar, int]]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    _attended: dict[int, int] = field(default_factory=dict, init=False, repr=False, compare=False)
    _near: dict[tuple[Thread, int], Near] = field(default_factory=dict, init=False, repr=False, compare=False)
    _asked: set[tuple[Thread, int]] = field(default_factory=set, init=False, repr=False, compare=False)
    _crews: dict[Demand, Crew] = field(default_factory=dict, init=False, repr=False, compare=False)
    _open: dict[int, int] = field(default_factory=dict, init=False, repr=False, compare=False)

    @cached_property
    def lawful(self) -> int:
        """The starts that no bar forbids."""
        return self.timeline.everything & ~reduce(or_, (bar.starts for bar in self.bars), 0)

    @cached_property
    def widest(self) -> Buffers:
        """The most slots that anybody needs before, and after."""
        needed = [each.buffers for each in self.calendars.values()] or [(0, 0)]
        return max(before for before, _ in needed), max(after for _, after in needed)

    def pool(self, thread: Thread) -> Sequence[Calendar]:
        """Those who could ever serve the thread, pins respected, in id order; found once."""
        known = self._pools.get(thread)
        if known is None:
            selector, only = thread.selector, self.pins.get(thread.selector)
            known = [each for each in self.calendars.values() if selector in each.serves]
            if only is not None:
                known = [each for each in known if each.resource_id in only]
            same = None if thread.present else self.bound.get(selector)
            if same is not None:
                known = [each for each in known if each.resource_id in same]
            self._pools[thread] = known
        return known

    def attended(self, slots: int) -> int:
        """Starts from which on the patient is free for so many slots; all when no patient is given."""
        if self.patient is None:
            return self.timeline.everything
        known = self._attended.get(slots)
        if known is None:
            known = self._attended[slots] = erode(self.patient.free(None), slots)
        return known

    def open_for(self, slots: int) -> int:
        """Starts that no bar forbids and from which on the patient is free for so many slots; found once."""
        known = self._open.get(slots)
        if known is None:
            known = self._open[slots] = self.lawful & self.attended(slots)
        return known

    def able(self, thread: Thread) -> tuple[tuple[Calendar, int], ...]:
        """Those of the pool who can serve the thread at some start, each with these starts."""
        known = self._able.get(thread)
        if known is None:
            served = [(each, each.starts(thread)) for each in self.pool(thread)]
            self._served[thread] = served
            known = self._able[thread] = tuple(pair for pair in served if pair[1])
        return known

    def near(self, thread: Thread, slot: int) -> Near:
        """The pool of a thread around a start."""
        block = slot // BLOCK * BLOCK
        known = self._near.get((thread, block))
        if known is None:
            if thread.present:
                known = near_present(thread, block, self.pool(thread))
            else:
                known = Near(block, rows="".join(each.row(thread, block) for each in self.pool(thread)))
            self._near[thread, block] = known
        return known

    def digits(self, thread: Thread, slot: int) -> str:
        """A digit for each of the pool at that start, as in `near`. Who asks of one start only needs no rows."""
        block = slot // BLOCK * BLOCK
        if (thread, block) in self._asked:
            return self.near(thread, slot).digits(slot)
        self._asked.add((thread, block))
        if (served := self._served.get(thread)) is None:
            return "".join([each.digit(thread, slot) for each in self.pool(thread)])
        return "".join([digit_of(each.taken[0], thread, slot) if on >> slot & 1 else "0" for each, on in served])

    def crew(self, demand: Demand) -> Crew:
        """Who could ever serve the visit, in the order in which `near` tells of them."""
        known = self._crews.get(demand)
        if known is None:
            pools = [[] if thread.present else self.pool(thread) for thread in demand.threads]
            named = [tuple([(each.resource_id, each.buffers) for each in pool]) for pool in pools]
            known = self._crews[demand] = crew_of(demand, tuple(named))
        return known


@dataclass(frozen=True)
class Taking:
    """That resource serves from slot `start` to `end`, taking `units` (None: all; 0: merely present).

    With a `pool`, some room of it will be free once the visits in them are bound anew; `resource_id` is one of them.
    """

    resource_id: UUID
    selector: str
    start: int
    end: int
    units: int | None
    pool: tuple[UUID, ...] = ()

    @property
    def slots(self) -> int:
        """The same as a bitmap."""
        return ((1 << (self.end - self.start)) - 1) << max(self.start, 0)


def starts(demand: Demand, clinic: Clinic) -> int:
    """Starts that no bar forbids and every pool could serve by itself.

    Every start that can be booked is among them. The cost is the sum of the pools' members, never their product.
    """
    found = clinic.open_for(demand.patient_slots)
    for thread, count in demand.counts.items():
        if not found:
            break
        found &= thread_starts(thread, clinic, 1 if thread.present else count)
    return found


def thread_starts(thread: Thread, clinic: Clinic, count: int = 1) -> int:
    """Starts at which at least `count` members of the pool can serve the thread."""
    if count == 1 and (rooms := _rooms(thread, clinic)) is not None:
        return moved(erode(rooms.may_be_free(clinic), rooms.stretch.length), rooms.stretch.start)
    if thread.present:
        there = reduce(or_, (each.there & each.serves[thread.selector] for each in clinic.pool(thread)), 0)
        stretch = thread.stretches[0]
        return moved(erode(there, stretch.length), stretch.start)
    rungs = [0] * count  # rungs[j]: starts that more than j members can serve
    for _, able in clinic.able(thread):
        carried = able
        for j in range(count):
            rungs[j], carried = rungs[j] | carried, rungs[j] & carried
    return rungs[-1]


def assign(demand: Demand, clinic: Clinic, slot: int, prefer: Sequence[UUID] = ()) -> tuple[Taking, ...] | None:
    """Who serves the visit that starts at that slot, or None when it cannot be served: the whole law, exactly.

    Of several answers: those in `prefer`, then the same person throughout, then shared watchers who already watch, and
    things whose day is fullest around the visit, so that open days stay open. Deterministic.
    """
    found = seat(demand, clinic, slot, prefer)
    return None if found is None else takings_from(found, slot)


def takings_from(seating: Seating, slot: int) -> tuple[Taking, ...]:
    """What is taken when the visit starts at that slot."""
    return tuple(
        Taking(who, selector, slot + start, slot + end, units, pool)
        for who, selector, start, end, units, pool in seating.pieces
    )


def seat(demand: Demand, clinic: Clinic, slot: int, prefer: Sequence[UUID] = ()) -> Seating | None:
    """The same as `assign`, counted from the visit's start."""
    if not clinic.open_for(demand.patient_slots) >> slot & 1:
        return None
    settled: list[Piece] = []
    digits: list[str | None] = []
    for thread in demand.threads:
        able = None if thread.present else clinic.digits(thread, slot)
        if able is None:
            found = cover(thread, clinic.near(thread, slot), slot)
            if found is None:
                return None
            settled += found
        elif not able.strip("0") and thread.selector in clinic.pools and demand.counts[thread] == 1:
            late = late_room(thread, clinic, slot)
            if late is None:
                return None
            first, past = late.start - slot, late.end - slot
            settled.append((late.resource_id, late.selector, first, past, late.units, late.pool))
            able = None
        digits.append(able)
    return seated(clinic.crew(demand), tuple(digits), tuple(settled), prefer)


def exact_starts(demand: Demand, clinic: Clinic, among: int | None = None) -> int:
    """The starts that can be booked, and no others; `among` narrows the search."""
    candidates = starts(demand, clinic) if among is None else starts(demand, clinic) & among
    doubtful = candidates & in_doubt(demand, clinic)
    found = candidates & ~doubtful
    return found | sum(1 << slot for slot in bits(doubtful) if assign(demand, clinic, slot) is not None)


def occupied(clinic: Clinic, takings: Sequence[Taking]) -> Clinic:
    """The clinic once these takings are written."""
    calendars = dict(clinic.calendars)
    for taking in takings:
        calendar = calendars[taking.resource_id]
        slots = taking.slots
        if taking.pool:  # which room it is will be seen; what counts is that one fewer is free
            for room in (calendars[each] for each in taking.pool):
                here = slots & room.free(None)
                if here:  # a calendar that stays remembers what was asked of it
                    calendars[room.resource_id] = replace(room, taken=(room.taken[0] | here,))
                    slots &= ~here
            continue
        rungs = list(calendar.taken)
        for _ in range(calendar.units if taking.units is None else taking.units):
            carried = slots
            for j, rung in enumerate(rungs):
                rungs[j], carried = rung | carried, rung & carried
        calendars[taking.resource_id] = replace(calendar, taken=tuple(rungs))
    return replace(clinic, calendars=calendars)


def in_doubt(demand: Demand, clinic: Clinic) -> int:
    """The starts at which `starts` may not be the whole truth: all, when threads that meet draw on overlapping pools.

    Equal threads are counted together, so they do not matter here. Counting rooms of a pool is exact where the visit
    meets nobody, directly or by others, who is fixed, and no room goes or comes back meanwhile.
    """
    groups = [thread for thread in demand.counts if not thread.present]
    pools = [{each.resource_id for each in clinic.pool(thread)} for thread in groups]
    pairs = ((i, j) for j in range(len(groups)) for i in range(j))
    if any(pools[i] & pools[j] and groups[i].meets(groups[j]) for i, j in pairs) or clinic.pins.keys() & clinic.pools:
        return -1
    found = 0
    for thread in groups:
        pool = clinic.pools.get(thread.selector)
        spoiled = 0 if pool is None else pool.spoiled
        for stretch in thread.around(clinic.widest) if spoiled else ():
            found |= moved(dilate(spoiled, stretch.length), stretch.start)
    return found


@dataclass(frozen=True)
class _Rooms:
    """A thread that any room of a pool may serve; only `room` when that was asked for: others make way for it."""

    pool: RoomPool
    stretch: Stretch
    room: UUID | None = None

    def may_be_free(self, clinic: Clinic) -> int:
        """The slots at which some room of the pool is free, and the one that was asked for is there."""
        some = some_free([clinic.calendars[each].free(None) for each in self.pool.rooms])
        return some if self.room is None else some & clinic.calendars[self.room].there


def _rooms(thread: Thread, clinic: Clinic) -> _Rooms | None:
    """The pool behind a thread; None when it is not one unbroken stay in one room."""
    pool, only = clinic.pools.get(thread.selector), clinic.pins.get(thread.selector)
    if pool is None or len(thread.stretches) != 1:
        return None
    stretch = thread.around(pool.buffers)[0]
    if only is None:
        return _Rooms(pool, stretch)
    return _Rooms(pool, stretch, *only) if len(only) == 1 and only <= set(pool.rooms) else None


def late_room(thread: Thread, clinic: Clinic, slot: int) -> Taking | None:
    """A room that will be free once the visits in its pool have changed places; None when there is no such way."""
    rooms = _rooms(thread, clinic)
    if rooms is None or slot + rooms.stretch.start < 0:
        return None
    start, end = slot + rooms.stretch.start, slot + rooms.stretch.end
    window = (1 << (end - start)) - 1
    if (rooms.may_be_free(clinic) >> start) & window != window:
        return None
    chosen = rebound(rooms.pool, Stay(None, rooms.room, start, end, fixed=rooms.room is not None))
    if chosen is None:
        return None
    return Taking(chosen[None], thread.selector, start, end, rooms.stretch.units, rooms.pool.rooms)
