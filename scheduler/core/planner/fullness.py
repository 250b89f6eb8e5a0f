"""How full the clinic is at each possible start of a visit, in levels that the planner may price. Forbids nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scheduler.core.availability import Calendar
from scheduler.core.bitmap import Timeline, dilate
from scheduler.core.demand import Demand
from scheduler.core.planner.grid import bitmap_of

NURSE = "role:nurse"
#: Shares of the nurses' units on site, in percent, from which on one more visit is a level worse.
NURSE_SHARES = (50, 75, 90)
#: Rooms that are taken anew within a quarter of an hour of a start, from which on one more start is a level worse.
STARTS = (2, 4, 6)
_QUARTER_SLOTS = 3

Counts = NDArray[np.int16]


@dataclass(frozen=True)
class Fullness:
    """The levels of one clinic, as bitmaps of slots: when so many visits start, and when so many nurses are at work."""

    starts: tuple[int, ...]
    nurses: tuple[int, ...]

    def levels(self, demand: Demand) -> dict[str, tuple[int, ...]]:
        """What a visit's starts would rise above; nurses only for a visit that needs one."""
        found = {"start_profile": self.starts}
        if any(thread.selector == NURSE and not thread.present for thread in demand.threads):
            found["nurse_peak"] = tuple(dilate(mask, demand.patient_slots) for mask in self.nurses)
        return found


def fullness(calendars: Iterable[Calendar], timeline: Timeline) -> Fullness:
    """Counted from the calendars: a room that is taken right after it was left does not count as a start."""
    every = list(calendars)
    nurses = [each for each in every if NURSE in each.serves]
    there = {each.resource_id: each.there for each in nurses}
    at_work = _count((rung & there[each.resource_id] for each in nurses for rung in each.taken if rung), timeline)
    on_site = _count((there[each.resource_id] for each in nurses for _ in range(each.units)), timeline)
    rooms = [each.taken[0] for each in every if each.kind == "room" and each.taken]
    begun = _count((taken & ~(taken << 1) for taken in rooms), timeline)
    hundredths = np.where(on_site > 0, 100 * at_work.astype(np.int32), -1)
    near = begun.copy()
    for apart in range(1, _QUARTER_SLOTS):
        near[apart:] += begun[:-apart]
        near[:-apart] += begun[apart:]
    return Fullness(
        starts=tuple(bitmap_of(near >= level) for level in STARTS),
        nurses=tuple(bitmap_of(hundredths >= share * on_site.astype(np.int32)) for share in NURSE_SHARES),
    )


def _count(masks: Iterator[int] | Iterable[int], timeline: Timeline) -> Counts:
    """How many of the bitmaps have each slot set: added up as binary numbers, a slot a column, a digit a bitmap."""
    digits: list[int] = []
    for mask in masks:
        carried = mask
        for place, digit in enumerate(digits):
            digits[place], carried = digit ^ carried, digit & carried
            if not carried:
                break
        else:
            digits.append(carried)
    size = -(-timeline.slots // 8)
    total: Counts = np.zeros(timeline.slots, dtype=np.int16)
    for place, digit in enumerate(digits):
        known = (digit & timeline.everything).to_bytes(size, "little")
        bits = np.unpackbits(np.frombuffer(known, dtype=np.uint8), bitorder="little")[: timeline.slots]
        total += bits.astype(np.int16) << place
    return total
