"""One resource for each thread of a visit, out of those who can serve it at its start. Who can, `near` says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from scheduler.core.demand import Demand
from scheduler.core.near import Able

if TYPE_CHECKING:
    from scheduler.core.availability import Calendar


def seated(demand: Demand, able: Mapping[int, Able], wanted: Sequence[Calendar]) -> dict[int, Calendar] | None:
    """Who serves each thread, by its place; different ones for threads that meet; None when there is no way.

    Backtracks, the scarcest first.
    """
    order = sorted(able, key=lambda place: able[place].count)
    chosen: dict[int, Calendar] = {}

    def candidates(place: int) -> Iterator[Calendar]:
        """Wanted people first, then whoever serves already; nobody who is needed elsewhere at the same time."""
        selector, meeting = demand.threads[place].selector, demand.meeting[place]
        barred = {id(who) for other, who in chosen.items() if other in meeting}
        same = [who for other, who in chosen.items() if demand.threads[other].selector == selector]
        early = able[place].among(wanted, same) if wanted or same else []
        yield from (each for each in early if id(each) not in barred)
        barred.update(id(each) for each in early)
        yield from (each for each in able[place].best_first() if id(each) not in barred)

    def place_from(depth: int) -> bool:
        if depth == len(order):
            return True
        place = order[depth]
        for member in candidates(place):
            chosen[place] = member
            if place_from(depth + 1):
                return True
            del chosen[place]
        return False

    return chosen if place_from(0) else None
