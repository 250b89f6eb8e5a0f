"""Late binding of rooms: which room each visit of a pool sits in, while nobody has sat down yet.

Rooms of one pool (same type, location and hours) are interchangeable. Where at every instant some room is free, the
visits can be told apart into rooms so that one is free throughout: intervals need no more rooms than ever meet. A visit
that is fixed (pinned, checked in) spoils that; then a coloring is looked for, exactly and within bounds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from itertools import chain
from operator import or_
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from scheduler.core.bitmap import Slots

#: How many rooms the search tries before it gives up and refuses.
PATIENCE = 20_000


@dataclass(frozen=True)
class Stay:
    """A visit's time in a room, slots [start, end). `room` None has none yet; `fixed` may not move to another."""

    key: Hashable
    room: UUID | None
    start: int
    end: int
    fixed: bool = False

    def meets(self, other: Stay) -> bool:
        """Whether some slot lies in both."""
        return self.start < other.end and other.start < self.end


@dataclass(frozen=True, eq=False)
class Stays(Collection[Stay]):
    """Many stays as columns, so that who only counts them makes nothing of each: element i of all is of stay i."""

    keys: Sequence[Hashable]
    rooms: Sequence[UUID | None]
    first: Slots
    past: Slots
    fixed: NDArray[np.bool_]

    @classmethod
    def of(cls, stays: Iterable[Stay]) -> Stays:
        """These, in their order."""
        found = list(stays)
        times = np.array([(stay.start, stay.end) for stay in found], dtype=np.int64).reshape(-1, 2)
        fixed = np.array([stay.fixed for stay in found], dtype=np.bool_)
        return cls([stay.key for stay in found], [stay.room for stay in found], times[:, 0], times[:, 1], fixed)

    @classmethod
    def joined(cls, parts: Sequence[Stays]) -> Stays:
        """All of them as one."""
        if not parts:
            return cls.of(())
        return cls(
            list(chain.from_iterable(part.keys for part in parts)),
            list(chain.from_iterable(part.rooms for part in parts)),
            np.concatenate([part.first for part in parts]),
            np.concatenate([part.past for part in parts]),
            np.concatenate([part.fixed for part in parts]),
        )

    def __len__(self) -> int:
        return len(self.keys)

    def __iter__(self) -> Iterator[Stay]:
        return map(self.__getitem__, range(len(self)))

    def __contains__(self, stay: object) -> bool:
        return any(each == stay for each in self)

    def __getitem__(self, place: int) -> Stay:
        start, end = int(self.first[place]), int(self.past[place])
        return Stay(self.keys[place], self.rooms[place], start, end, bool(self.fixed[place]))

    def at(self, places: Iterable[int]) -> Stays:
        """Those at these places, in that order."""
        chosen = np.fromiter(places, dtype=np.int64)
        keys, rooms = [self.keys[each] for each in chosen], [self.rooms[each] for each in chosen]
        return Stays(keys, rooms, self.first[chosen], self.past[chosen], self.fixed[chosen])

    def settled(self, begun: int) -> Stays:
        """The same; fixed is also what has begun by that slot, and whoever stays in several rooms or pieces."""
        fixed = self.fixed | (self.first <= begun)
        if len(set(self.keys)) < len(self):
            pieces = Counter(self.keys)
            fixed |= np.fromiter((pieces[key] > 1 for key in self.keys), dtype=np.bool_, count=len(self))
        return replace(self, fixed=fixed)


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

    @cached_property
    def stays(self) -> Stays:
        """By start."""
        found = self.look()
        return found.at(np.argsort(found.first, kind="stable"))

    @cached_property
    def fixed(self) -> bool:
        """Whether some stay may not move to another room."""
        return bool(self.stays.fixed.any())

    def touching(self, start: int, end: int) -> list[Stay]:
        """The stays that share a slot with [start, end)."""
        stays = self.stays
        return [stays[place] for place in np.flatnonzero((stays.first < end) & (stays.past > start)).tolist()]

    @cached_property
    def spoiled(self) -> int:
        """The slots of stays that meet each other, one by one, as far as a fixed one: elsewhere counting is exact."""
        stays = self.stays
        if not len(stays):
            return 0
        latest = np.maximum.accumulate(stays.past)
        begins = np.flatnonzero(np.concatenate(([True], stays.first[1:] >= latest[:-1])))
        ends = latest[np.concatenate((begins[1:], [len(stays)])) - 1]
        has_fixed = np.logical_or.reduceat(stays.fixed, begins)
        found = 0
        for first, past in zip(stays.first[begins[has_fixed]].tolist(), ends[has_fixed].tolist(), strict=True):
            start = max(first, 0)
            found |= ((1 << (past - start)) - 1) << start
        return found


def rebound(pool: RoomPool, newcomer: Stay) -> dict[Hashable, UUID] | None:
    """A room for the newcomer and for every stay that it concerns, or None when there is no way (or none was found).

    Stays keep their rooms where they can. A newcomer that is fixed has that room, or there is no way.
    """
    concerned = _cluster(pool, newcomer)
    fixed = [stay for stay in concerned if stay.fixed and stay is not newcomer]
    moving = [stay for stay in concerned if not stay.fixed or stay is newcomer]
    moving.sort(key=lambda stay: (not stay.fixed, stay.start, stay.end))
    chosen: dict[Hashable, UUID] = {}
    budget = PATIENCE

    def free(stay: Stay, room: UUID) -> bool:
        slots = ((1 << (stay.end - stay.start)) - 1) << stay.start
        if pool.away.get(room, 0) & slots or any(other.room == room and other.meets(stay) for other in fixed):
            return False
        return not any(chosen.get(other.key) == room and other.meets(stay) for other in moving)

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
                if place(depth + 1):
                    return True
                del chosen[stay.key]
        return False

    if place(0):
        return chosen
    return None if fixed or newcomer.fixed or any(pool.away.values()) else _first_fit(pool.rooms, moving)


def _cluster(pool: RoomPool, newcomer: Stay) -> list[Stay]:
    """The newcomer, what meets it, what meets that, and so on."""
    start, end, found = newcomer.start, newcomer.end, 0
    while True:
        touching = pool.touching(start, end)
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
