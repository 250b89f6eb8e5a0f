"""A pool of calendars cut out around one start, so that a search looks at a few characters. What fits: `availability`.

A shift of a long integer copies all of it. Offers come by the day, so what was cut for one start serves its neighbors.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scheduler.core.bitmap import moved, run_from
from scheduler.core.demand import Thread

if TYPE_CHECKING:
    from scheduler.core.availability import Calendar
    from scheduler.core.seating import Piece

#: So many starts share one cut.
BLOCK = 256
_NARROW = (1 << BLOCK) - 1
#: A one in each digit of a row.
_ONES = int("1" * BLOCK, 16)
#: The row of who cannot serve at any start.
_NOBODY = "0" * BLOCK
#: What a row may say of a start besides 0, the best first.
_BEST_FIRST = "4321"


@dataclass(frozen=True)
class Near:
    """A thread's pool for the starts of one block.

    `rows`: the digits of each of the pool, one row after the other, see `row_of`. `there`: who is on site when, for a
    thread that only wants presence; bit 0 is slot `origin`.
    """

    block: int
    origin: int = 0
    rows: str = ""
    there: tuple[tuple[Calendar, int], ...] = ()

    def digits(self, slot: int) -> str:
        """A digit for each of the pool at that start: 0 cannot serve, the others the more the better."""
        return self.rows[slot - self.block :: BLOCK]


def best_first(digits: str) -> Iterator[int]:
    """The positions of those who can serve; among equals in the pool's order."""
    for digit in _BEST_FIRST:
        at = digits.find(digit)
        while at >= 0:
            yield at
            at = digits.find(digit, at + 1)


def row_of(starts: int, taken: int, thread: Thread, block: int) -> str:
    """For each start of a block a digit: 0 cannot serve; else 1 and one more for each tight neighbor and for watching.

    Tight neighbors leave what is left over in one piece; who watches already may watch one more.
    """
    able = starts >> block & _NARROW
    if not able:
        return _NOBODY
    first, last = thread.stretches[0], thread.stretches[-1]
    before = taken << 1 | taken & 1
    better = [moved(before, block + first.start), moved(taken, block + last.end)]
    if first.units is not None:
        better.append(moved(taken, block + first.start))
    found = _ONES + sum(_spread(mask & _NARROW) for mask in better)
    return f"{found & 15 * _spread(able):0{BLOCK}x}"[::-1]


def digit_of(taken: int, thread: Thread, slot: int) -> str:
    """The same for one start of somebody who can serve then."""
    first, last = thread.stretches[0], thread.stretches[-1]
    begins = slot + first.start
    found = 1 + (taken >> max(begins - 1, 0) & 1) + (taken >> slot + last.end & 1)
    return str(found if first.units is None else found + (taken >> begins & 1))


def _spread(mask: int) -> int:
    """Each bit in a hexadecimal digit of its own."""
    return int(f"{mask:b}", 16)


def near_present(thread: Thread, block: int, pool: Iterable[Calendar]) -> Near:
    """Cut out when each of the pool is on site and qualified."""
    stretch = thread.stretches[0]
    origin = max(block + stretch.start, 0)
    wide = (1 << (block + BLOCK + stretch.end - origin)) - 1
    stays = ((each, (each.there & each.serves[thread.selector]) >> origin & wide) for each in pool)
    return Near(block, origin, there=tuple(stays))


def cover(thread: Thread, around: Near, slot: int) -> list[Piece] | None:
    """Who is on site, minute by minute: the fewest people whose stays cover the stretch."""
    stretch = thread.stretches[0]
    at, end = slot + stretch.start, slot + stretch.end
    if at < 0:
        return None
    found: list[Piece] = []
    while at < end:
        longest, who = 0, None
        for each, there in around.there:
            stay = run_from(there, at - around.origin, end - around.origin)
            if stay > longest:
                longest, who = stay, each.resource_id
                if at + stay == end:
                    break
        if who is None:
            return None
        found.append((who, thread.selector, at - slot, at + longest - slot, 0, ()))
        at += longest
    return found
