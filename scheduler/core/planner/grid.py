"""A grid seen through its zone: which slot a local start falls on, and which local day a slot is in.

Everything later works on these indexes, so that a change of clocks is settled here and nowhere else.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from scheduler.core.bitmap import SLOT, SLOT_MINUTES, SLOTS_PER_DAY
from scheduler.core.civil import zone
from scheduler.core.planner.problem import Grid

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

#: A wall time that does not exist on that day, exists twice, or lies outside the timeline.
NOWHERE = -1


class Calendar:
    """The local view of one grid. Days are counted from its first day; slots may lie outside the timeline."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self._zone = zone(grid.zone)
        self._first = datetime(grid.first_day.year, grid.first_day.month, grid.first_day.day)  # noqa: DTZ001 - wall time
        #: Wall minutes of the rows, ascending.
        self.minute: Ints = np.arange(0, 24 * 60, grid.row_minutes, dtype=np.int64)
        self._midnights: Ints = np.array([self._find_midnight(day) for day in range(grid.days + 1)], dtype=np.int64)
        #: The slot of each row (axis 0) on each day (axis 1), or NOWHERE; ascending down a column.
        self.slot: Ints = self._slots()
        self._least_between: dict[int, int] = {}
        for shared in (self.minute, self._midnights, self.slot):
            shared.setflags(write=False)

    @cached_property
    def rows(self) -> int:
        """The slots of all rows, as a bitmap."""
        bits = np.zeros(self.grid.slots, dtype=np.bool_)
        bits[self.slot[self.slot != NOWHERE]] = True
        return bitmap_of(bits)

    def days_with(self, bitmap: int) -> int:
        """The local days of the grid on which some slot is set, as a bitmap of days."""
        return _days_with(self.grid, bitmap)

    def edges(self) -> Ints:
        """The first slot of each local day of the grid and the end of the last, none outside the timeline."""
        edges: Ints = np.clip(self._midnights, 0, self.grid.slots)
        return edges

    def local(self, slot: int) -> tuple[int, int]:
        """The local day of a slot and its minute on the wall clock."""
        wall = (self.grid.origin + slot * SLOT).astimezone(self._zone).replace(tzinfo=None)
        return (wall - self._first).days, wall.hour * 60 + wall.minute

    def weekday(self, day: int) -> int:
        """Monday is 0."""
        return (self._first + timedelta(days=day)).weekday()

    def midnight(self, day: int) -> int:
        """The first slot of a local day, and so the end of the one before."""
        return int(self._midnights[day]) if 0 <= day <= self.grid.days else self._find_midnight(day)

    def least_between(self, days: int) -> int:
        """The fewest slots from the end of a local day of the grid to the beginning of another so many days later."""
        if days not in self._least_between:
            ends, begins = self._midnights[1:], self._midnights[max(days, 0) :]
            pairs = min(len(ends), len(begins))
            self._least_between[days] = int((begins[:pairs] - ends[:pairs]).min(initial=days * SLOTS_PER_DAY))
        return self._least_between[days]

    def days_of(self, slot: Ints) -> Ints:
        """The local days of an array of slots."""
        first, last = self.local(int(slot.min()))[0], self.local(int(slot.max()))[0]
        midnights = [self.midnight(day) for day in range(first + 1, last + 1)]
        days: Ints = first + np.searchsorted(midnights, slot, side="right")
        return days

    def _find_midnight(self, day: int) -> int:
        # fold=0 takes the first of two midnights, and where there is none the instant at which the day begins.
        begins = (self._first + timedelta(days=day)).replace(tzinfo=self._zone, fold=0).astimezone(UTC)
        return -((self.grid.origin - begins) // SLOT)

    def _slots(self) -> Ints:
        slot: Ints = self._midnights[np.newaxis, :-1] + self.minute[:, np.newaxis] // SLOT_MINUTES
        # No zone changes its clocks twice within a day: 24 hours from midnight to midnight are 24 plain hours.
        for day in np.nonzero(np.diff(self._midnights) != SLOTS_PER_DAY)[0]:
            slot[:, day] = [self._only_slot(int(day), int(minute)) for minute in self.minute]
        slot[(slot < 0) | (slot >= self.grid.slots)] = NOWHERE
        return slot

    def _only_slot(self, day: int, minute: int) -> int:
        wall = self._first + timedelta(days=day, minutes=minute)
        readings = {wall.replace(tzinfo=self._zone, fold=fold).astimezone(UTC) for fold in (0, 1)}
        if len(readings) > 1:
            return NOWHERE
        slot, rest = divmod(readings.pop() - self.grid.origin, SLOT)
        return NOWHERE if rest else slot


def bitmap_of(bits: Bools) -> int:
    """The set places as a number."""
    return int.from_bytes(np.packbits(bits, bitorder="little").tobytes(), "little")


@lru_cache(maxsize=512)
def bools_of(bitmap: int, size: int) -> Bools:
    """Which of the first places are set in a number."""
    known = (bitmap & ((1 << size) - 1)).to_bytes(-(-size // 8), "little")
    bits: Bools = np.unpackbits(np.frombuffer(known, dtype=np.uint8), bitorder="little")[:size].astype(np.bool_)
    return bits


@lru_cache(maxsize=64)
def calendar_of(grid: Grid) -> Calendar:
    """The calendar of a grid; clinics plan on the same few grids all day."""
    return Calendar(grid)


@lru_cache(maxsize=256)
def _days_with(grid: Grid, bitmap: int) -> int:
    size = grid.slots // 8 + 1  # the slot after the last one is never set
    bits = np.unpackbits(np.frombuffer(bitmap.to_bytes(size, "little"), dtype=np.uint8), bitorder="little")
    edges = calendar_of(grid).edges()
    some = np.bitwise_or.reduceat(bits, edges)[:-1] > 0
    return bitmap_of(some & (edges[1:] > edges[:-1]))
