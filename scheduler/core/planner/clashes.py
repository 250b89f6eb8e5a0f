"""Rules between sessions that are not neighbors in the chain, and how a search goes around a broken one.

The dynamic program does not see these rules. Where its best plan breaks one, every lawful plan keeps away from at
least one side of the clash: two smaller problems, both without this plan, which together lose no lawful one.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, combinations
from typing import NamedTuple

from scheduler.core.bitmap import SLOT_MINUTES
from scheduler.core.planner.dp import Itinerary
from scheduler.core.planner.planes import INF, Bar, Bars, Planes
from scheduler.core.planner.problem import Leaf, Visit

#: One of these holds in every lawful plan: smaller problems that together lose none.
Branches = tuple[Bars, ...]


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

    def only(self) -> Bars:
        """Bar it from starting at any other slot."""
        return self.not_before(self.slot), self.not_from(self.slot + 1)

    def apart(self, other: Placed, mine: tuple[int, int], others: tuple[int, int]) -> Branches:
        """Not both start within these slots: this one does not, or it does and the other does not."""
        here = self.visit.session_id
        return (
            (Bar(here, *mine),),
            (Bar(here, -INF, mine[0]), Bar(here, mine[1], INF), Bar(other.visit.session_id, *others)),
        )


def first_clash(planes: Planes, itinerary: Itinerary) -> Branches | None:
    """The ways around the first broken rule; None when the plan is lawful."""
    placed = {place.visit.session_id: place for place in _placed(planes, itinerary)}
    mains = [placed[main.session_id] for main in planes.problem.mains]
    found = chain(
        _long_spans(planes, mains),
        _short_spans(planes, mains),
        _full_caps(planes, mains),
        _shared_days(planes, mains, placed),
        _overlaps(planes, placed),
        _discords(planes, placed),
    )
    return next(found, None)


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


def _short_spans(planes: Planes, mains: list[Placed]) -> Iterator[Branches]:
    for span in planes.problem.spans:
        first, last = mains[span.first], mains[span.last]
        judged = planes.problem.judged(first.visit.session_id, last.visit.session_id)
        if judged and last.day - first.day < span.min_days:
            yield _further(planes, first, last, span.min_days)


def _full_caps(planes: Planes, mains: list[Placed]) -> Iterator[Branches]:
    """One session too many in some days: of the first and the last of them, one moves away."""
    for cap in planes.problem.caps:
        for place in range(cap.first, cap.last - cap.most + 1):
            some = mains[place : place + cap.most + 1]
            first, last = some[0], some[-1]
            judged = planes.problem.judged(*(each.visit.session_id for each in some))
            if not judged or not cap.counts_both(first.day, last.day, planes.calendar.weekday(0)):
                continue
            if cap.days is not None:
                yield _further(planes, first, last, cap.days)
            else:
                monday = first.day - planes.calendar.weekday(first.day)
                week = planes.calendar.midnight(monday), planes.calendar.midnight(monday + 7)
                yield first.apart(last, week, week)


def _further(planes: Planes, first: Placed, last: Placed, days: int) -> Branches:
    """At least so many days apart: the first one is before a day that lies between, or both are later."""
    pivot = (first.day - 1 + last.day - days) // 2
    after_pivot = planes.calendar.midnight(pivot + 1)
    soon_enough = planes.calendar.midnight(pivot + 1 + days)
    return (first.not_from(after_pivot),), (first.not_before(after_pivot), last.not_before(soon_enough))


def _discords(planes: Planes, placed: dict[str, Placed]) -> Iterator[Branches]:
    """Starts that exclude each other: the first is left, or the first stays and the second is left, and so on."""
    for discord in planes.problem.discords:
        some = [placed[session_id] for session_id, slot in sorted(discord) if placed[session_id].slot == slot]
        if len(some) == len(discord) and planes.problem.judged(*(each.visit.session_id for each in some)):
            left = ((Bar(each.visit.session_id, each.slot, each.slot + 1),) for each in some)
            yield tuple((*chain.from_iterable(e.only() for e in some[:i]), *bars) for i, bars in enumerate(left))


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
