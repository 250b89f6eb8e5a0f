"""Late binding of rooms: which room each visit of a pool sits in, while nobody has sat down yet.

Rooms of one pool (same type, location and hours) are interchangeable. Where at every instant some room is free, the
visits can be told apart into rooms so that one is free throughout: intervals need no more rooms than ever meet. A visit
that is fixed (pinned, checked in) spoils that, and so does a room that goes or comes back while others stay; then a
coloring is looked for, exactly and within bounds.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property, reduce
from operator import and_, or_
from uuid import UUID

from scheduler.core.bitmap import SLOTS_PER_DAY, bits, counted
from scheduler.core.columns import Stay, Stays

#: How often a search within reach gives somebody a room before it gives up.
PATIENCE = 4_000
#: How many days around a newcomer others change rooms: the next only where that did not do. Who stays on beyond keeps
#: the room, so that nobody need know who is met there: in a clinic that never closes there is no end to it.
REACHES = (1, 2, 6, 14, 30)
#: What visits take before and after their own time, so that the first reach lies within every look.
_MARGIN = SLOTS_PER_DAY // 6


@dataclass(frozen=True)
class RoomPool:
    """Interchangeable rooms, the stays in them, and when each room is not to be had (slots as a bitmap).

    `look` says which stays there are: it is asked only when somebody must be moved.
    """

    rooms: tuple[UUID, ...]
    look: Callable[[], Stays]
    away: Mapping[UUID, int]
    #: Slots that each of the rooms needs before and after a stay.
    buffers: tuple[int, int] = (0, 0)
    #: Where stays are only tried out: the slots at which two of them are in one room, as can be between two tries.
    tried: int | None = None
    #: Nobody knows who stays before slot 0, or after so many; None where there is nobody.
    slots: int | None = None
    #: The same pool so many days farther both ways, and by how many slots everything comes later there.
    farther: Callable[[int], tuple[RoomPool, int]] | None = None

    @cached_property
    def stays(self) -> Stays:
        """By start."""
        return self._seen.by_start()

    @cached_property
    def _seen(self) -> Stays:
        return self.look()

    @cached_property
    def spoiled(self) -> int:
        """The slots of stays that meet each other, one by one, as far as a fixed one, an edge or a crowd.

        Elsewhere counting is exact: for whoever meets nobody there, and crosses no edge.
        """
        edges = self.edges
        if self.tried is not None:
            full = self.tried | self._overfull
            edges |= full | full << 1
        ends = [] if self.slots is None or not self._seen.reach_beyond(self.slots) else [0, self.slots]
        if not edges and not ends and not self._seen.fixed.any():
            return 0
        return self.stays.met_by_fixed(sorted({*bits(edges), *ends})) | edges

    def changed(
        self,
        stays: Sequence[Stay] = (),
        *,
        seats: Mapping[Hashable, UUID] | None = None,
        away: Mapping[UUID, int] | None = None,
        tried: int | None = None,
    ) -> RoomPool:
        """The pool with these stays besides, with others in these seats, and rooms away then too, however far."""
        seats, away, known = seats or {}, away or {}, self.farther

        def look() -> Stays:
            return Stays.joined([self.stays.seated(seats), Stays.of(stays)])

        @cache
        def farther(days: int) -> tuple[RoomPool, int]:
            assert known is not None  # noqa: S101 - it is asked only where it is
            pool, later = known(days)
            there = {room: slots << later for room, slots in away.items()}
            theirs = [stay.moved(later) for stay in stays]
            return pool.changed(theirs, seats=seats, away=there, tried=tried and tried << later), later

        return replace(
            self,
            look=look if stays or seats else self.look,
            away={room: self.away.get(room, 0) | away.get(room, 0) for room in self.rooms},
            tried=self.tried if tried is None else tried,
            farther=None if known is None else farther,
        )

    def within(self, first: int, past: int, days: int) -> tuple[RoomPool, int]:
        """The pool as it is known from `first` to `past`, which reach so many days beyond it, if it is known so far."""
        if self.farther is None or self.slots is None or (first >= 0 and past <= self.slots):
            return self, 0
        return self.farther(days)

    @cached_property
    def _overfull(self) -> int:
        """The slots at which more stay than there are rooms."""
        # away[k]: the slots at which k rooms are away, or more
        away = (-1, *counted((self.away.get(room, 0) for room in self.rooms), len(self.rooms)))
        return reduce(or_, (self.stays.more_than(len(self.rooms) - k) & each for k, each in enumerate(away) if each), 0)

    @cached_property
    def edges(self) -> int:
        """The slots before which a room goes or comes back, unless all rooms do."""
        away = [self.away.get(room, 0) for room in self.rooms]
        everywhere = reduce(and_, away)
        some = [each & ~everywhere for each in away]
        return reduce(or_, (each ^ (each << 1) for each in some))


@dataclass(frozen=True)
class Pools(Mapping[str, RoomPool]):
    """Pools by their selector, worked out when somebody first asks: mostly a room is free as it is."""

    find: Callable[[], Mapping[str, RoomPool]]

    def __getitem__(self, selector: str) -> RoomPool:
        return self._found[selector]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    @cached_property
    def _found(self) -> Mapping[str, RoomPool]:
        return self.find()


def rebound(pool: RoomPool, newcomer: Stay) -> dict[Hashable, UUID] | None:
    """A room for the newcomer, and for every stay that has to change; None when there is no way (or none was found).

    Stays keep their rooms where they can, also one that was closed around them: whoever decides what becomes of them is
    not asked here. A newcomer that is fixed has that room, or there is no way.
    """
    for days in REACHES:
        reach = days * SLOTS_PER_DAY - _MARGIN
        here, later = pool.within(newcomer.start - reach, newcomer.end + reach, days)
        search = _Search(here, newcomer.moved(later), reach)
        chosen = search.way()
        if chosen is not None:
            return chosen
        if not search.is_spent and not search.hangs_on_more:
            return None
        if search.is_spent and (cluster := search.cluster()) is not None:
            return _counted(here, search.newcomer, cluster)
    return None


@dataclass
class _Search:
    """Who makes way for the newcomer, who for them, and so on: every way there is within reach, the nearest first."""

    pool: RoomPool
    newcomer: Stay
    reach: int
    #: Whether it ended before every way was tried, and whether one was barred by somebody who stays on beyond.
    is_spent: bool = False
    hangs_on_more: bool = False
    _chosen: dict[Hashable, UUID] = field(default_factory=dict)
    _anew: dict[UUID, list[Stay]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._first, self._past = self.newcomer.start - self.reach, self.newcomer.end + self.reach
        if self.pool.slots is not None:
            self._first, self._past = max(self._first, 0), min(self._past, self.pool.slots)

    @cached_property
    def _there(self) -> dict[UUID, tuple[list[int], list[Stay]]]:
        """Who stays in each room, by their starts."""
        found: dict[UUID, tuple[list[int], list[Stay]]] = {room: ([], []) for room in self.pool.rooms}
        for stay in self._all:
            starts, stays = found[stay.room]  # type: ignore[index]
            starts.append(stay.start)
            stays.append(stay)
        return found

    @cached_property
    def _all(self) -> list[Stay]:
        return self.pool.stays.touching(self._first, self._past)

    @cached_property
    def _longest(self) -> int:
        return max((stay.end - stay.start for stay in self._all), default=0)

    def way(self) -> dict[Hashable, UUID] | None:
        """The rooms of those who change, and the newcomer's; None when no way was found."""
        budget = PATIENCE
        ways = [self._ways((self.newcomer, *self._twice()))]
        while ways:
            waiting = next(ways[-1], None)
            if waiting is None:
                ways.pop()
                continue
            if not waiting:
                return dict(self._chosen)
            budget -= 1
            if budget < 0:
                self.is_spent = True
                return None
            ways.append(self._ways(waiting))
        return None

    def _ways(self, waiting: tuple[Stay, ...]) -> Iterator[tuple[Stay, ...]]:
        """The first of those who wait in each room in turn; who waits then.

        Rooms come first that nobody holds already when it begins: by those alone everybody is seated where nobody is
        fixed, since there is a room for whoever comes.
        """
        stay, *others = waiting
        keys = {each.key for each in waiting}
        options = []
        for room in [stay.room] if stay.fixed and stay.room else self.pool.rooms:
            gone = self._in_the_way(stay, room, keys)
            if gone is not None:
                holders = sum(each.start < stay.start for each in gone)
                soonest = min((each.start for each in gone), default=self._past)
                options.append((holders, -soonest, room != stay.room, room, gone))
        for *_, room, gone in sorted(options, key=lambda each: each[:4]):
            self._chosen[stay.key] = room
            self._anew.setdefault(room, []).append(stay)
            yield tuple(sorted((*gone, *others), key=lambda each: (each.start, each.end)))
            self._anew[room].pop()
            del self._chosen[stay.key]

    def _in_the_way(self, stay: Stay, room: UUID, waiting: set[Hashable]) -> list[Stay] | None:
        """Who must change rooms when that stay is in that room; None when it cannot be."""
        is_left = room == stay.room and stay is not self.newcomer
        if _barred(self.pool, stay, room, left=is_left) or any(map(stay.meets, self._anew.get(room, ()))):
            return None
        starts, stays = self._there[room]
        near = stays[bisect_left(starts, stay.start - self._longest) : bisect_left(starts, stay.end)]
        met = [each for each in near if each.meets(stay) and each.key not in self._chosen and each.key not in waiting]
        if any(each.fixed for each in met):
            return None
        if any(each.start < self._first or each.end > self._past for each in met):
            self.hangs_on_more = True
            return None
        return met

    def _twice(self) -> list[Stay]:
        """Those of the newcomer's cluster who are only tried out where somebody else stays too."""
        if not self.pool.tried:
            return []
        found = []
        for stay in self.cluster() or self._all:
            _, stays = self._there.get(stay.room, ([], [])) if stay.room else ([], [])
            if not stay.fixed and stay is not self.newcomer:
                found += [stay] * any(each.key != stay.key and each.meets(stay) for each in stays)
        return found

    def cluster(self) -> list[Stay] | None:
        """The newcomer, what meets it, what meets that, and so on; None when that has no end within reach."""
        start, end, found = self.newcomer.start, self.newcomer.end, 0
        while True:
            touching = self.pool.stays.touching(start, end)
            if len(touching) == found:
                return [self.newcomer, *touching]
            found = len(touching)
            start, end = min(start, *(s.start for s in touching)), max(end, *(s.end for s in touching))
            if start < self._first or end > self._past:
                return None


def _counted(pool: RoomPool, newcomer: Stay, cluster: Sequence[Stay]) -> dict[Hashable, UUID] | None:
    """The rooms of a cluster that nothing keeps from being told apart: wherever counting allows it, there is a way."""
    first, past = max(0, min(stay.start for stay in cluster)), max(stay.end for stay in cluster)
    within = ((1 << (past - first)) - 1) << first
    if any(stay.fixed for stay in cluster) or pool.edges & within & ~(1 << first):
        return None
    there = [room for room in pool.rooms if not pool.away.get(room, 0) & within]
    moving = sorted(cluster, key=lambda stay: (stay.start, stay.end))
    return _first_fit(there, [stay for stay in moving if stay is newcomer or stay.room in there])


def _barred(pool: RoomPool, stay: Stay, room: UUID, *, left: bool) -> bool:
    """Whether the room is closed to the stay, unless that is left where it is; it may have begun before slot 0."""
    first, past = max(0, stay.start), max(0, stay.end)
    slots = ((1 << (past - first)) - 1) << first
    return not left and bool(pool.away.get(room, 0) & slots)


def _first_fit(rooms: Sequence[UUID], moving: Sequence[Stay]) -> dict[Hashable, UUID] | None:
    """In order of start, any free room: never fails for intervals unless more meet than there are rooms."""
    chosen: dict[Hashable, UUID] = {}
    for stay in moving:
        taken = {chosen[other.key] for other in moving if other.key in chosen and other.meets(stay)}
        room = next((room for room in rooms if room not in taken), None)
        if room is None:
            return None
        chosen[stay.key] = room
    return chosen


def some_free(masks: Sequence[int]) -> int:
    """The slots at which at least one room is free."""
    return reduce(or_, masks, 0)
