"""A pool of calendars cut out around one start, so that a search looks at short integers. What fits: `availability`.

A shift of a long integer copies all of it. Offers come by the day, so what was cut for one start serves its neighbors.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scheduler.core.demand import Thread

if TYPE_CHECKING:
    from scheduler.core.availability import Calendar

#: So many starts share one cut.
BLOCK = 256


@dataclass(frozen=True)
class Near:
    """A thread's pool for the starts of one block.

    `members`: who can serve at some start of it, with these starts (bit 0 is slot `block`), and when they are taken;
    `there`: who is on site when, for a thread that only wants presence. In the last two, bit 0 is slot `origin`.
    """

    block: int
    origin: int
    members: tuple[tuple[Calendar, int, int], ...] = ()
    there: tuple[tuple[Calendar, int], ...] = ()

    def can(self, slot: int) -> bool:
        """Whether any of them can serve a visit that starts then."""
        return any(starts >> (slot - self.block) & 1 for _, starts, _ in self.members)

    def able(self, thread: Thread, slot: int) -> list[Calendar]:
        """Who can serve a visit that starts then, the best first; among equals in the pool's order.

        Best is who has tight neighbors, so that what is left over stays in one piece, and who watches already.
        """
        start, at = slot - self.block, slot + thread.stretches[0].start - self.origin
        before, after = max(at - 1, -self.origin), slot + thread.stretches[-1].end - self.origin
        shared = thread.stretches[0].units is not None
        found = [
            ((taken >> before & 1) + (taken >> after & 1) + (taken >> at & 1 if shared else 0), each)
            for each, starts, taken in self.members
            if starts >> start & 1
        ]
        found.sort(key=_looseness)
        return [each for _, each in found]


def near(thread: Thread, block: int, able: Iterable[tuple[Calendar, int]]) -> Near:
    """Cut out those who can serve the thread, each given with the starts at which they can."""
    origin, wide = _window(thread, block)
    narrow = (1 << BLOCK) - 1
    cut = ((each, starts >> block & narrow) for each, starts in able)
    return Near(block, origin, tuple((each, starts, each.taken[0] >> origin & wide) for each, starts in cut if starts))


def near_present(thread: Thread, block: int, pool: Iterable[Calendar]) -> Near:
    """Cut out when each of the pool is on site and qualified."""
    origin, wide = _window(thread, block)
    stays = ((each, (each.there & each.serves[thread.selector]) >> origin & wide) for each in pool)
    return Near(block, origin, there=tuple(stays))


def _window(thread: Thread, block: int) -> tuple[int, int]:
    """The first slot that visits of the block touch, and ones for all that they touch; each side one for neighbors."""
    origin = max(block + thread.stretches[0].start - 1, 0)
    return origin, (1 << (block + BLOCK + thread.stretches[-1].end + 1 - origin)) - 1


def _looseness(ranked: tuple[int, Calendar]) -> int:
    return -ranked[0]
