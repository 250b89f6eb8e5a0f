"""Calendars as integers: bit i of a Python int stands for the i-th five-minute slot of a timeline.

A question such as "who is free for two hours" is then a few shifts and ands over the whole horizon at once. What a bit
means (free, taken, may start here) is the caller's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from typing import NamedTuple

from scheduler.core.intervals import Span

SLOT_MINUTES = 5
SLOT = timedelta(minutes=SLOT_MINUTES)
SLOTS_PER_DAY = 24 * 60 // SLOT_MINUTES


class Timeline(NamedTuple):
    """`days` whole UTC days of slots, the first beginning at `origin` (a UTC midnight)."""

    origin: datetime
    days: int

    @classmethod
    def covering(cls, start: datetime, end: datetime) -> Timeline:
        """The shortest timeline of whole UTC days that holds both instants."""
        first, last = start.astimezone(UTC), end.astimezone(UTC)
        origin = datetime.combine(first.date(), time(0), tzinfo=UTC)
        return cls(origin, (last.date() - first.date()).days + 1)

    def wider(self, days: int) -> Timeline:
        """With so many days more before it, and after."""
        return Timeline(self.origin - timedelta(days=days), self.days + 2 * days)

    @property
    def slots(self) -> int:
        """How many slots there are."""
        return self.days * SLOTS_PER_DAY

    @property
    def everything(self) -> int:
        """Every slot set."""
        return _ones(self.slots)

    @property
    def end(self) -> datetime:
        """The instant at which the last slot ends."""
        return self.origin + timedelta(days=self.days)

    def instant(self, slot: int) -> datetime:
        """When that slot begins, aware UTC."""
        return self.origin + slot * SLOT

    def slot(self, instant: datetime) -> int:
        """The slot that holds the instant; may lie outside the timeline."""
        return (instant - self.origin) // SLOT

    def slot_after(self, instant: datetime) -> int:
        """The first slot that begins at or after the instant."""
        return -((self.origin - instant) // SLOT)

    def inside(self, spans: Iterable[Span]) -> int:
        """The slots that lie wholly within one of the spans: for times that are open."""
        return self.covered((self.slot_after(span.start), self.slot(span.end)) for span in spans)

    def touched(self, spans: Iterable[Span]) -> int:
        """The slots that share an instant with one of the spans: for times that are taken."""
        return self.covered((self.slot(span.start), self.slot_after(span.end)) for span in spans)

    def from_slot(self, slot: int) -> int:
        """That slot and all later ones."""
        return self.everything & ~((1 << max(slot, 0)) - 1)

    def covered(self, ranges: Iterable[tuple[int, int]]) -> int:
        """The slots of ranges [first, past), as far as they lie within; many are painted in `columns`."""
        mask, slots = 0, self.slots
        for first, past in ranges:
            start, stop = max(first, 0), min(past, slots)
            if start < stop:
                mask |= ((1 << (stop - start)) - 1) << start
        return mask


@lru_cache(maxsize=64)
def _ones(slots: int) -> int:
    """That many slots, all set; clinics ask about the same few lengths of time all day."""
    return (1 << slots) - 1


def erode(mask: int, length: int) -> int:
    """The slots from which on `length` consecutive slots of the mask are set; log2(length) steps."""
    run = 1
    while run < length and mask:
        step = min(run, length - run)
        mask &= mask >> step
        run += step
    return mask


def dilate(mask: int, length: int) -> int:
    """The slots from which on one of `length` consecutive slots of the mask is set: where a start would collide."""
    spread = mask
    run = 1
    while run < length:
        step = min(run, length - run)
        spread |= spread >> step
        run += step
    # A start shortly before the timeline would be bit -1 and so on; those do not exist.
    return spread


def moved(mask: int, offset: int) -> int:
    """The starts whose slot `offset` later (earlier when negative) is in the mask."""
    return mask >> offset if offset >= 0 else mask << -offset


def counted(lanes: Iterable[int], units: int) -> tuple[int, ...]:
    """Element j holds the slots that more than j of the lanes hold, for j below `units`."""
    rungs = [0] * units
    for lane in lanes:
        carried = lane
        for j, rung in enumerate(rungs):
            rungs[j], carried = rung | carried, rung & carried
            if not carried:
                break
    return tuple(rungs)


def runs(mask: int) -> Iterator[tuple[int, int]]:
    """The unbroken runs [first, past) of set bits, lowest first."""
    left = mask
    while left:
        first = (left & -left).bit_length() - 1
        past = first + (~(left >> first) & ((left >> first) + 1)).bit_length() - 1
        yield first, past
        left = left >> past << past


def bits(mask: int) -> Iterator[int]:
    """Positions of the set bits, lowest first."""
    data = mask.to_bytes((mask.bit_length() + 7) // 8, "little")
    for index, byte in enumerate(data):
        left = byte
        while left:
            low = left & -left
            yield index * 8 + low.bit_length() - 1
            left ^= low


def run_from(mask: int, at: int, end: int) -> int:
    """How many slots from `at` on are set, up to `end`."""
    window = (mask >> at) & ((1 << (end - at)) - 1)
    gap = ~window
    return min((gap & -gap).bit_length() - 1, end - at)


def run_around(mask: int, slot: int) -> tuple[int, int]:
    """The unbroken run [first, past) of set bits that holds `slot`, which must be set."""
    past = slot
    while mask >> past & 1:
        past += 1
    first = slot
    while first and mask >> (first - 1) & 1:
        first -= 1
    return first, past
