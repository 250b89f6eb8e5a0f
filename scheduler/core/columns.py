"""Runs of slots by the thousand, as columns: who counts them, or paints them into a bitmap, makes nothing of each.

What a run means (taken, away, somebody's stay in a room) is the caller's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from scheduler.core.bitmap import SLOT_MINUTES, SLOTS_PER_DAY, Timeline

_MICROSECONDS = SLOT_MINUTES * 60 * 1_000_000
#: So many slots are painted at once: a few megabytes.
_CELLS = 4_000_000


@dataclass(frozen=True, eq=False)
class Runs(Collection[tuple[int, int]]):
    """Runs of slots [first, past): element i of both is of run i."""

    first: NDArray[np.int64]
    past: NDArray[np.int64]

    @classmethod
    def of(cls, runs: Iterable[tuple[int, int]]) -> Runs:
        """These, in their order."""
        return cls._split(np.array([end for run in runs for end in run], dtype=np.int64))

    @classmethod
    def touched(cls, starts: NDArray[np.int64], ends: NDArray[np.int64]) -> Runs:
        """Every slot that is touched by what starts and ends so many microseconds after the first one's beginning."""
        return cls(starts // _MICROSECONDS, -(-ends // _MICROSECONDS))

    @classmethod
    def _split(cls, ends: NDArray[np.int64]) -> Runs:
        return cls(ends[::2], ends[1::2])

    def __len__(self) -> int:
        return len(self.first)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(self.first.tolist(), self.past.tolist(), strict=True)

    def __contains__(self, run: object) -> bool:
        return any(each == run for each in self)

    def at(self, which: slice | NDArray[Any]) -> Runs:
        """These of them."""
        return Runs(self.first[which], self.past[which])

    def painted(self, lanes: NDArray[np.int64], number: int, timeline: Timeline) -> list[int]:
        """So many bitmaps of the timeline's slots: run i is painted into the one with number `lanes[i]`.

        Runs may overlap, and reach beyond the timeline.
        """
        at_once = max(1, _CELLS // timeline.slots)
        if number <= at_once:
            return list(self._painted(lanes, number, timeline))
        found: list[int] = []
        for first in range(0, number, at_once):
            here = (lanes >= first) & (lanes < first + at_once)
            found += self.at(here)._painted(  # noqa: SLF001 - its own kind
                lanes[here] - first, min(at_once, number - first), timeline
            )
        return found

    def _painted(self, lanes: NDArray[np.int64], number: int, timeline: Timeline) -> Iterator[int]:
        """All of them in one row of cells."""
        start = np.maximum(self.first, 0)
        lengths = np.minimum(self.past, timeline.slots) - start
        longest_first = np.argsort(-lengths)
        begins, lengths = (lanes * timeline.slots + start)[longest_first], lengths[longest_first]
        cells = np.zeros(number * timeline.slots, dtype=np.uint8)
        # So many runs have a slot k: their slots k are painted at once, unless a run is longer than a day.
        many = len(lengths) - np.searchsorted(lengths[::-1], np.arange(SLOTS_PER_DAY + 1), side="right")
        long, short = slice(many[-1]), slice(many[-1], None)
        for begin, length in zip(begins[long].tolist(), lengths[long].tolist(), strict=True):
            cells[begin : begin + length] = 1
        begins = begins[short]
        for slot, count in enumerate((many[many > many[-1]] - many[-1]).tolist()):
            cells[begins[:count] + slot] = 1
        packed = np.packbits(cells, bitorder="little").tobytes()
        size = timeline.slots // 8
        return (int.from_bytes(packed[at : at + size], "little") for at in range(0, len(packed), size))


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

    def moved(self, slots: int) -> Stay:
        """The same, so many slots later."""
        return replace(self, start=self.start + slots, end=self.end + slots) if slots else self


@dataclass(frozen=True, eq=False)
class Stays(Collection[Stay]):
    """Many stays: element i of each column is of stay i."""

    keys: Sequence[Hashable]
    rooms: Sequence[UUID | None]
    runs: Runs
    fixed: NDArray[np.bool_]

    @classmethod
    def of(cls, stays: Iterable[Stay]) -> Stays:
        """These, in their order."""
        found = list(stays)
        fixed = np.array([stay.fixed for stay in found], dtype=np.bool_)
        runs = Runs.of((stay.start, stay.end) for stay in found)
        return cls([stay.key for stay in found], [stay.room for stay in found], runs, fixed)

    @classmethod
    def in_room(
        cls, room: UUID, runs: Collection[tuple[int, int]], keys: Sequence[str], fixed: Collection[str], nobody: str
    ) -> Stays:
        """Whose the runs of one room are; `fixed` are keys too, and runs whose key is `nobody` are nobody's."""
        marks = [key in fixed for key in keys] if fixed else [False] * len(keys)
        columns = runs if isinstance(runs, Runs) else Runs.of(runs)
        found = cls(keys, [room] * len(keys), columns, np.array(marks, dtype=np.bool_))
        return found._at([at for at, key in enumerate(keys) if key != nobody]) if nobody in keys else found

    @classmethod
    def joined(cls, parts: Sequence[Stays]) -> Stays:
        """All of them as one."""
        return cls(
            list(chain.from_iterable(part.keys for part in parts)),
            list(chain.from_iterable(part.rooms for part in parts)),
            Runs(
                np.concatenate([part.runs.first for part in parts]), np.concatenate([part.runs.past for part in parts])
            ),
            np.concatenate([part.fixed for part in parts]),
        )

    def __len__(self) -> int:
        return len(self.keys)

    def __iter__(self) -> Iterator[Stay]:
        return map(self._stay, range(len(self)))

    def __contains__(self, stay: object) -> bool:
        return any(each == stay for each in self)

    def without(self, keys: Collection[Hashable]) -> Stays:
        """All but these."""
        return self._at([place for place, key in enumerate(self.keys) if key not in keys])

    def seated(self, seats: Mapping[Hashable, UUID]) -> Stays:
        """The same, but these in other rooms."""
        if not seats:
            return self
        return replace(self, rooms=[seats.get(*each) for each in zip(self.keys, self.rooms, strict=True)])

    def reach_beyond(self, slots: int) -> bool:
        """Whether somebody stays from before slot 0 on, or for longer than so many."""
        return bool((self.runs.first < 0).any() or (self.runs.past > slots).any())

    def settled(self, begun: int) -> Stays:
        """The same; fixed is also what has begun by that slot, and whoever stays in several rooms or pieces."""
        fixed = self.fixed | (self.runs.first <= begun)
        if len(set(self.keys)) < len(self):
            pieces = Counter(self.keys)
            fixed |= np.array([pieces[key] > 1 for key in self.keys], dtype=np.bool_)
        return replace(self, fixed=fixed)

    def by_start(self) -> Stays:
        """The same, the earliest first."""
        return self._at(np.argsort(self.runs.first, kind="stable").tolist())

    def touching(self, start: int, end: int) -> list[Stay]:
        """Those that share a slot with [start, end)."""
        return [self._stay(at) for at in np.flatnonzero((self.runs.first < end) & (self.runs.past > start)).tolist()]

    def met_by_fixed(self, edges: Sequence[int] = ()) -> int:
        """The slots of those who meet each other, one by one, as far as a fixed one or across an edge.

        They come by start; an edge lies before its slot, and edges are in order.
        """
        if not len(self):
            return 0
        latest = np.maximum.accumulate(self.runs.past)
        begins = np.flatnonzero(np.concatenate(([True], self.runs.first[1:] >= latest[:-1])))
        firsts, ends = self.runs.first[begins], latest[np.concatenate((begins[1:], [len(self)])) - 1]
        crossed = np.searchsorted(edges, firsts, side="right") < np.searchsorted(edges, ends, side="left")
        chosen = np.logical_or.reduceat(self.fixed, begins) | crossed
        found = 0
        for first, past in zip(firsts[chosen].tolist(), ends[chosen].tolist(), strict=True):
            start = max(first, 0)
            found |= ((1 << (past - start)) - 1) << start
        return found

    def more_than(self, number: int) -> int:
        """The slots at which more than so many stay."""
        if not len(self):
            return 0
        slots = np.concatenate((self.runs.first, self.runs.past))
        change = np.repeat((1, -1), len(self))
        order = np.lexsort((change, slots))  # whoever goes makes room for whoever comes
        slots, many = slots[order], np.cumsum(change[order]) > number
        found = 0
        for place in np.flatnonzero(many).tolist():
            first, past = max(int(slots[place]), 0), int(slots[place + 1])
            found |= ((1 << max(past - first, 0)) - 1) << first
        return found

    def _at(self, places: Sequence[int]) -> Stays:
        keys, rooms = [self.keys[place] for place in places], [self.rooms[place] for place in places]
        chosen = np.array(places, dtype=np.int64)
        return Stays(keys, rooms, Runs(self.runs.first[chosen], self.runs.past[chosen]), self.fixed[chosen])

    def _stay(self, place: int) -> Stay:
        start, end = int(self.runs.first[place]), int(self.runs.past[place])
        return Stay(self.keys[place], self.rooms[place], start, end, bool(self.fixed[place]))
