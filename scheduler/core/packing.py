"""Which unit of a resource each occupancy takes. Units are book-keeping: any legal numbering is as good as another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from heapq import heapify, heappop, heappush
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Held:
    """A unit that is taken from `start` to `end`."""

    unit: int
    start: datetime
    end: datetime


def lowest_free(held: Sequence[Held], units: int, start: datetime, end: datetime, wanted: int) -> list[int] | None:
    """The `wanted` lowest units free for all of [start, end); None when the free ones are too few or in pieces."""
    taken = {each.unit for each in held if each.start < end and start < each.end}
    free = [unit for unit in range(units) if unit not in taken]
    return free[:wanted] if len(free) >= wanted else None


def repack(spans: Sequence[tuple[T, datetime, datetime]], units: int) -> dict[T, int] | None:
    """A unit for each (key, start, end) so that no two of one unit overlap; None when more than `units` ever meet.

    In order of start, each takes the lowest unit that is free: for intervals this uses as few units as any numbering.
    """
    free = list(range(units))
    heapify(free)
    running: list[tuple[datetime, int]] = []
    chosen: dict[T, int] = {}
    for key, start, end in sorted(spans, key=lambda span: (span[1], span[2])):
        while running and running[0][0] <= start:
            heappush(free, heappop(running)[1])
        if not free:
            return None
        chosen[key] = heappop(free)
        heappush(running, (end, chosen[key]))
    return chosen


def connected(
    spans: Sequence[tuple[T, datetime, datetime]], start: datetime, end: datetime
) -> list[tuple[T, datetime, datetime]]:
    """The spans that overlap [start, end), and those that overlap one of them, and so on."""
    found: list[tuple[T, datetime, datetime]] = []
    left = list(spans)
    while True:
        touching = [span for span in left if span[1] < end and start < span[2]]
        if not touching:
            return found
        found += touching
        left = [span for span in left if not (span[1] < end and start < span[2])]
        start = min(start, *(span[1] for span in touching))
        end = max(end, *(span[2] for span in touching))
