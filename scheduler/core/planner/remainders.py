"""Pieces of a room's or a therapist's day that a visit would leave useless, in levels that the planner may price.

A piece is the time between the visit, with what its resource needs before and after it, and whatever comes before or
after that: useless when it is too short for every visit type that the resource could serve. So a resource is left with
none, one or two. Rooms are bound late: what counts is the least number among those that are free for the whole stay,
and none where visits would have to change rooms first. A therapist's pieces are told person by person.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import and_, or_

from scheduler.core.availability import Calendar, Clinic
from scheduler.core.bitmap import erode, moved
from scheduler.core.demand import Demand, Thread
from scheduler.core.planner.problem import THERAPIST

#: What is told here, by the names of the levels.
PIECES = frozenset({"room_remainders", "therapist_remainders"})


@dataclass(frozen=True)
class Left:
    """Where a visit may start, and where it then leaves a useless piece, or one on either side."""

    able: int
    one: int
    two: int


@dataclass(frozen=True)
class Remainders:
    """Asked of all that a clinic has visits for: the shortest of them tells what is too short."""

    demands: tuple[Demand, ...]

    def of_rooms(self, demand: Demand, clinic: Clinic) -> tuple[int, ...]:
        """The levels of a visit: for each of its stays in a room those of the room that is left best."""
        found: list[int] = []
        for thread in demand.counts:
            if thread.selector.startswith("room:"):
                found += least(self._left(clinic, each, [thread]) for each in clinic.pool(thread))
        return tuple(found)

    def of_therapists(
        self, demand: Demand, clinic: Clinic
    ) -> tuple[tuple[int, ...], Mapping[Hashable, tuple[int, ...]]]:
        """The levels of a visit whoever serves, and for each person what that very one adds to them."""
        threads = [each for each in demand.counts if each.selector == f"role:{THERAPIST}" and not each.present]
        if not threads:
            return (), {}
        left = {each.resource_id: self._left(clinic, each, threads) for each in clinic.pool(threads[0])}
        some, both = least(left.values())
        return (some, both), {who: (each.one & ~some, each.two & ~both) for who, each in left.items()}

    def _left(self, clinic: Clinic, calendar: Calendar, threads: list[Thread]) -> Left:
        stays = [stretch for thread in threads for stretch in thread.around(calendar.buffers)]
        first, last = min(stays, key=lambda each: each.start), max(stays, key=lambda each: each.end)
        able = reduce(and_, (calendar.starts(thread) for thread in threads)) & clinic.timeline.everything
        shortest = self._shortest(calendar)
        before = moved(short_before(calendar.free(first.units), shortest), first.start)
        after = moved(short_from(calendar.free(last.units), shortest, clinic.timeline.slots), last.end)
        return Left(able, able & (before | after), able & before & after)

    def _shortest(self, calendar: Calendar) -> int:
        """The slots of the shortest stay that any visit may have there."""
        threads = {each for demand in self.demands for each in demand.counts if each.selector in calendar.serves}
        stays = [stay.length for each in threads if not each.present for stay in each.around(calendar.buffers)]
        return min(stays, default=1)


def least(left: Iterable[Left]) -> tuple[int, int]:
    """Where the one that is left best has a useless piece, and where it has two."""
    each = list(left)
    able = reduce(or_, (one.able for one in each), 0)
    whole = reduce(or_, (one.able & ~one.one for one in each), 0)
    better = reduce(or_, (one.able & ~one.two for one in each), 0)
    return able & ~whole, able & ~better


def short_before(free: int, shortest: int) -> int:
    """The slots before which fewer than that are free, but one at least; what lies before the timeline is free."""
    ends_long = erode(free << shortest | (1 << shortest) - 1, shortest)
    return (free << 1 | 1) & ~ends_long


def short_from(free: int, shortest: int, slots: int) -> int:
    """The slots from which on fewer than that are free, but one at least; so is what lies after the timeline."""
    return free & ~erode(free | -1 << slots, shortest)
