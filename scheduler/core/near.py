"""A pool of calendars cut out around one start, so that a search looks at a few characters. What fits: `availability`.

A shift of a long integer copies all of it. Offers come by the day, so what was cut for one start serves its neighbors.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from scheduler.core.bitmap import moved
from scheduler.core.demand import Thread

if TYPE_CHECKING:
    from scheduler.core.availability import Calendar

#: So many starts share one cut.
BLOCK = 256
_NARROW = (1 << BLOCK) - 1
#: A one in each digit of a row.
_ONES = int("1" * BLOCK, 16)
#: What a row may say of a start besides 0, the best first.
_BEST_FIRST = "4321"


@dataclass(frozen=True)
class Near:
    """A thread's pool for the starts of one block.

    `members`: who can serve at some start of it; `rows`: their digits, one row after the other, see `row_of`.
    `there`: who is on site when, for a thread that only wants presence; bit 0 is slot `origin`.
    """

    block: int
    origin: int = 0
    members: tuple[Calendar, ...] = ()
    rows: str = ""
    there: tuple[tuple[Calendar, int], ...] = ()

    @cached_property
    def places(self) -> Mapping[int, int]:
        """The place of each member, by its identity: asking a calendar whether it equals another takes long."""
        return {id(each): place for place, each in enumerate(self.members)}

    def able(self, slot: int) -> Able:
        """Who can serve a visit that starts then."""
        return Able(self, self.rows[slot - self.block :: BLOCK])


@dataclass(frozen=True)
class Able:
    """A thread's pool at one start: a digit for each member, 0 for who cannot serve, more for who does it better."""

    near: Near
    digits: str

    @property
    def count(self) -> int:
        """How many can."""
        return len(self.digits) - self.digits.count("0")

    def best_first(self) -> Iterator[Calendar]:
        """Those who can; among equals in the pool's order."""
        for digit in _BEST_FIRST:
            place = self.digits.find(digit)
            while place >= 0:
                yield self.near.members[place]
                place = self.digits.find(digit, place + 1)

    def among(self, wanted: Collection[Calendar], same: Collection[Calendar]) -> list[Calendar]:
        """Those of them who can: who is in both, in `wanted`, in `same`; each group the best first."""
        known, first = self.near.places, {id(each) for each in wanted}
        again = {id(each) for each in same}
        found = [known[key] for key in first | again if key in known and self.digits[known[key]] != "0"]
        keys = {place: id(self.near.members[place]) for place in found}
        found.sort(key=lambda at: (keys[at] not in first, keys[at] not in again, -int(self.digits[at]), at))
        return [self.near.members[place] for place in found]


def row_of(starts: int, taken: int, thread: Thread, block: int) -> str:
    """For each start of a block a digit: 0 cannot serve; else 1 and one more for each tight neighbor and for watching.

    Tight neighbors leave what is left over in one piece; who watches already may watch one more. No start: no row.
    """
    able = starts >> block & _NARROW
    if not able:
        return ""
    first, last = thread.stretches[0], thread.stretches[-1]
    before = taken << 1 | taken & 1
    better = [moved(before, block + first.start), moved(taken, block + last.end)]
    if first.units is not None:
        better.append(moved(taken, block + first.start))
    found = _ONES + sum(_spread(mask & _NARROW) for mask in better)
    return f"{found & 15 * _spread(able):0{BLOCK}x}"[::-1]


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
