"""One resource for each thread of a visit, out of those who can serve it at its start. Who can, `near` says.

What is decided here depends on few characters and counts from the visit's start, so that it is remembered: neither
another patient nor a booking at another time makes it untrue.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from uuid import UUID

from scheduler.core.demand import Buffers, Demand
from scheduler.core.near import best_first

#: (resource, selector, first slot, past slot, units, pool) as in `availability.Taking`, counted from the visit's start.
Piece = tuple[UUID, str, int, int, int | None, tuple[UUID, ...]]
#: For each thread, by its place, who can serve it how well, as in `near`; None where nobody has to be found.
Digits = tuple[str | None, ...]


@dataclass(frozen=True, eq=False)
class Crew:
    """Who could ever serve each thread of a visit, by its place; in the order of the digits, with their buffers."""

    demand: Demand
    pools: tuple[tuple[tuple[UUID, Buffers], ...], ...]

    @cached_property
    def numbers(self) -> Mapping[UUID, int]:
        """A number for everybody: it is compared faster than an id."""
        everybody = dict.fromkeys(who for pool in self.pools for who, _ in pool)
        return {who: number for number, who in enumerate(everybody)}

    @cached_property
    def members(self) -> tuple[tuple[int, ...], ...]:
        """The numbers of each pool."""
        return tuple(tuple(self.numbers[who] for who, _ in pool) for pool in self.pools)

    @cached_property
    def where(self) -> tuple[Mapping[int, int], ...]:
        """In each pool, number to its position."""
        return tuple({number: at for at, number in enumerate(pool)} for pool in self.members)

    @cached_property
    def alike(self) -> tuple[tuple[int, ...], ...]:
        """For each thread the places of the others that want the same role or type."""
        wanted = [thread.selector for thread in self.demand.threads]
        return tuple(
            tuple(j for j, other in enumerate(wanted) if i != j and other == selector)
            for i, selector in enumerate(wanted)
        )


@dataclass(frozen=True, eq=False)
class Seating:
    """Who serves a visit; for the same answer mostly the same object."""

    pieces: tuple[Piece, ...]


@lru_cache(maxsize=256)
def crew_of(demand: Demand, pools: tuple[tuple[tuple[UUID, Buffers], ...], ...]) -> Crew:
    """The crew: the same one for the same people."""
    return Crew(demand, pools)


def seated(crew: Crew, digits: Digits, settled: tuple[Piece, ...], prefer: Sequence[UUID] = ()) -> Seating | None:
    """Who serves the visit besides what is `settled`; None when there is no way."""
    if prefer:
        return _found(crew, digits, settled, {crew.numbers[who] for who in prefer if who in crew.numbers})
    return _known(crew, digits, settled)


@lru_cache(maxsize=8192)
def _known(crew: Crew, digits: Digits, settled: tuple[Piece, ...]) -> Seating | None:
    return _found(crew, digits, settled, ())


def _found(crew: Crew, digits: Digits, settled: tuple[Piece, ...], wanted: Collection[int]) -> Seating | None:
    chosen = _seated(crew, digits, wanted)
    if chosen is None:
        return None
    pieces = list(settled)
    for place, at in chosen.items():
        thread, (who, buffers) = crew.demand.threads[place], crew.pools[place][at]
        pieces += [(who, thread.selector, each.start, each.end, each.units, ()) for each in thread.around(buffers)]
    return Seating(tuple(sorted(pieces, key=lambda piece: (piece[2], piece[1], piece[0].int))))


def _seated(crew: Crew, digits: Digits, wanted: Collection[int]) -> dict[int, int] | None:
    """For each thread, by its place, the position in its pool of who serves it; different ones for threads that meet.

    Backtracks, the scarcest first.
    """
    able = {place: text for place, text in enumerate(digits) if text is not None}
    order = sorted(able, key=lambda place: len(able[place]) - able[place].count("0"))
    chosen: dict[int, int] = {}

    def candidates(place: int) -> Iterator[int]:
        """Wanted people first, then whoever serves already; nobody who is needed elsewhere at the same time."""
        text, numbers = able[place], crew.members[place]
        barred = {crew.members[other][chosen[other]] for other in crew.demand.meeting[place] if other in chosen}
        again = {crew.members[other][chosen[other]] for other in crew.alike[place] if other in chosen}
        if wanted or again:
            places = [crew.where[place].get(number, -1) for number in again.union(wanted)]
            early = [at for at in places if at >= 0 and text[at] != "0"]
            early.sort(key=lambda at: (numbers[at] not in wanted, numbers[at] not in again, -int(text[at]), at))
            yield from (at for at in early if numbers[at] not in barred)
            barred.update(numbers[at] for at in early)
        yield from (at for at in best_first(text) if numbers[at] not in barred)

    def place_from(depth: int) -> bool:
        if depth == len(order):
            return True
        place = order[depth]
        for at in candidates(place):
            chosen[place] = at
            if place_from(depth + 1):
                return True
            del chosen[place]
        return False

    return chosen if place_from(0) else None
