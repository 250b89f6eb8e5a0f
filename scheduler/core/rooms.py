"""Late binding of rooms: which room each visit of a pool sits in, while nobody has sat down yet.

Rooms of one pool (same type, location and hours) are interchangeable. Where at every instant some room is free, the
visits can be told apart into rooms so that one is free throughout: intervals need no more rooms than ever meet. A visit
that is fixed (pinned, checked in) spoils that, and so does a room that goes or comes back while others stay; then a
coloring is looked for, exactly and within bounds.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import and_, or_
from uuid import UUID

from scheduler.core.bitmap import bits, counted
from scheduler.core.columns import Stay, Stays

#: How many rooms the search tries before it gives up and refuses.
PATIENCE = 20_000


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
        if not edges and not self._seen.fixed.any():
            return 0
        return self.stays.met_by_fixed([*bits(edges)]) | edges

    def hangs_on_more(self, newcomer: Stay, past: int) -> bool:
        """Whether those who meet the newcomer, one by one, reach back to slot 0 or on to `past`: there may be more."""
        return any(stay.start <= 0 or stay.end >= past for stay in _cluster(self, newcomer))

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
    """A room for the newcomer and for every stay that it concerns, or None when there is no way (or none was found).

    Stays keep their rooms where they can, also one that was closed around them: whoever decides what becomes of them is
    not asked here. A newcomer that is fixed has that room, or there is no way.
    """
    concerned = _cluster(pool, newcomer)
    fixed = [stay for stay in concerned if stay.fixed and stay is not newcomer]
    moving = [stay for stay in concerned if not stay.fixed or stay is newcomer]
    moving.sort(key=lambda stay: (not stay.fixed, stay.start, stay.end))
    chosen: dict[Hashable, UUID] = {}
    seated = {room: [stay for stay in fixed if stay.room == room] for room in pool.rooms}
    budget = PATIENCE

    def free(stay: Stay, room: UUID) -> bool:
        left = room == stay.room and stay is not newcomer
        return not _barred(pool, stay, room, left=left) and not any(other.meets(stay) for other in seated[room])

    def place(depth: int) -> bool:
        nonlocal budget
        if depth == len(moving):
            return True
        stay = moving[depth]
        for room in sorted(pool.rooms, key=lambda room: (room != stay.room, room))[: 1 if stay.fixed else None]:
            budget -= 1
            if budget < 0:
                return False
            if free(stay, room):
                chosen[stay.key] = room
                seated[room].append(stay)
                if place(depth + 1):
                    return True
                seated[room].pop()
                del chosen[stay.key]
        return False

    if place(0):
        return chosen
    first, past = max(0, min(stay.start for stay in concerned)), max(stay.end for stay in concerned)
    within = ((1 << (past - first)) - 1) << first
    if fixed or newcomer.fixed or pool.edges & within & ~(1 << first):
        return None
    there = [room for room in pool.rooms if not pool.away.get(room, 0) & within]
    return _first_fit(there, [stay for stay in moving if stay is newcomer or stay.room in there])


def _barred(pool: RoomPool, stay: Stay, room: UUID, *, left: bool) -> bool:
    """Whether the room is closed to the stay, unless that is left where it is; it may have begun before slot 0."""
    first, past = max(0, stay.start), max(0, stay.end)
    slots = ((1 << (past - first)) - 1) << first
    return not left and bool(pool.away.get(room, 0) & slots)


def _cluster(pool: RoomPool, newcomer: Stay) -> list[Stay]:
    """The newcomer, what meets it, what meets that, and so on."""
    start, end, found = newcomer.start, newcomer.end, 0
    while True:
        touching = pool.stays.touching(start, end)
        if len(touching) == found:
            return [newcomer, *touching]
        found = len(touching)
        start, end = min(start, *(s.start for s in touching)), max(end, *(s.end for s in touching))


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
