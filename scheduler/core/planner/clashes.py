"""Rules between sessions that are not neighbors in the chain, and how a search goes around a broken one.

The dynamic program does not see these rules. Where its best plan breaks one, every lawful plan keeps away from at
least one side of the clash: two smaller problems, both without this plan, which together lose no lawful one.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import NamedTuple

from scheduler.core.bitmap import SLOT_MINUTES
from scheduler.core.planner.dp import Itinerary
from scheduler.core.planner.planes import INF, Bar, Bars, Planes
from scheduler.core.planner.problem import Leaf, Visit

Branches = tuple[Bars, Bars]


class Placed(NamedTuple):
    """A session at its start; `day` is local."""

    visit: Visit
    slot: int
    day: int

    @property
    def end(self) -> int:
        """The first slot after the visit."""
        return self.slot + self.visit.minutes // SLOT_MINUTES

    def under_way(self, slot: int) -> tuple[int, int]:
        """The starts, from the first up to but not including the second, with which it is under way at that slot."""
        return slot - (self.end - self.slot) + 1, slot + 1

    def not_before(self, slot: int) -> Bar:
        """Bar it from starting before that slot."""
        return Bar(self.visit.session_id, -INF, slot)

    def not_from(self, slot: int) -> Bar:
        """Bar it from starting at that slot or later."""
        return Bar(self.visit.session_id, slot, INF)

    def apart(self, other: Placed, mine: tuple[int, int], others: tuple[int, int]) -> Branches:
        """Not both start within these slots: this one does not, or it does and the other does not."""
        here = self.visit.session_id
        return (
            (Bar(here, *mine),),
            (Bar(here, -INF, mine[0]), Bar(here, mine[1], INF), Bar(other.visit.session_id, *others)),
        )


def first_clash(planes: Planes, itinerary: Itinerary) -> Branches | None:
    """Two ways around the first broken rule; None when the plan is lawful."""
    placed = {place.visit.session_id: place for place in _placed(planes, itinerary)}
    mains = [placed[main.session_id] for main in planes.problem.mains]
    for branches in (*_long_spans(planes, mains), *_shared_days(planes, mains, placed), *_overlaps(planes, placed)):
        return branches
    return None


def _placed(planes: Planes, itinerary: Itinerary) -> Iterator[Placed]:
    leaves = iter(itinerary.leaves)
    for main, slot in zip(planes.problem.mains, itinerary.mains, strict=True):
        yield Placed(main, slot, planes.calendar.local(slot)[0])
        if main.leaf is not None:
            slot_of_leaf = next(leaves)
            yield Placed(main.leaf, slot_of_leaf, planes.calendar.local(slot_of_leaf)[0])


def _long_spans(planes: Planes, mains: list[Placed]) -> Iterator[Branches]:
    """Both ends move towards each other, or the first one goes past a day that lies between."""
    for span in planes.problem.spans:
        first, last = mains[span.first], mains[span.last]
        excess = last.day - first.day - span.max_days
        if excess > 0 and planes.problem.judged(first.visit.session_id, last.visit.session_id):
            pivot = first.day + (excess - 1) // 2
            after_pivot = planes.calendar.midnight(pivot + 1)
            too_late = planes.calendar.midnight(pivot + span.max_days + 1)
            yield (first.not_from(after_pivot), last.not_from(too_late)), (first.not_before(after_pivot),)


def _shared_days(planes: Planes, mains: list[Placed], placed: dict[str, Placed]) -> Iterator[Branches]:
    """A leaf keeps off the days of all main sessions: one of the two is on another day."""
    for leaf in placed.values():
        if not isinstance(leaf.visit, Leaf) or leaf.visit.same_day:
            continue
        for main in mains:
            if main.day == leaf.day and planes.problem.judged(main.visit.session_id, leaf.visit.session_id):
                day = planes.calendar.midnight(leaf.day), planes.calendar.midnight(leaf.day + 1)
                yield leaf.apart(main, day, day)


def _overlaps(planes: Planes, placed: dict[str, Placed]) -> Iterator[Branches]:
    """The patient is one person: at the slot that two visits share, one of them is not under way."""
    for one, other in combinations(placed.values(), 2):
        # The last shared slot: plans are as early as they can be, so most other starts in conflict lie ahead.
        shared = min(one.end, other.end) - 1
        if shared >= max(one.slot, other.slot) and planes.problem.judged(one.visit.session_id, other.visit.session_id):
            yield one.apart(other, one.under_way(shared), other.under_way(shared))
