"""Who serves several visits of one patient together: people and rooms that no two of them take at once, exactly.

One visit by itself is `availability.assign`. Visits that draw on the calendar at the same minutes (one room is made
ready while the other is cleaned) are decided together here, by trying all there is. Whether those who were chosen can
still serve is asked here too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from scheduler.core.availability import Calendar, Clinic, Taking, assign, occupied
from scheduler.core.demand import Demand


@dataclass(frozen=True)
class Visit:
    """A visit that is to start at a slot. Its clinic holds none of the others."""

    demand: Demand
    clinic: Clinic
    slot: int

    @property
    def reach(self) -> tuple[int, int]:
        """The first slot that it touches, and the first after."""
        first, past = self.demand.reach
        before, after = self.clinic.widest
        return self.slot + first - before, self.slot + past + after

    def meets(self, other: Visit) -> bool:
        """Whether both touch some slot."""
        return self.reach[0] < other.reach[1] and other.reach[0] < self.reach[1]


Served = tuple[tuple[Taking, ...], ...]


def serve(visits: Sequence[Visit], prefer: Sequence[UUID] = ()) -> Served | frozenset[int]:
    """Who serves each visit; or the places of some that nobody can serve together, whatever the others do."""
    served: dict[int, tuple[Taking, ...]] = {}
    for group in _groups(visits):
        found = _together([visits[place] for place in group], prefer)
        if found is None:
            return frozenset(group)
        served |= dict(zip(group, found, strict=True))
    return tuple(served[place] for place in range(len(visits)))


def _groups(visits: Sequence[Visit]) -> list[list[int]]:
    """The places of visits that touch one another, directly or by way of others; each in order of time."""
    groups: list[list[int]] = []
    for place in sorted(range(len(visits)), key=lambda each: visits[each].reach):
        if groups and any(visits[place].meets(visits[other]) for other in groups[-1]):
            groups[-1].append(place)
        else:
            groups.append([place])
    return groups


def _together(visits: Sequence[Visit], prefer: Sequence[UUID]) -> Served | None:
    first, *others = visits
    if not others:
        alone = assign(first.demand, first.clinic, first.slot, prefer)
        return None if alone is None else (alone,)
    tried = set()
    for takings in _every_way(first, prefer):
        # What the others never touch does not tell two ways apart.
        start, end = min(each.reach[0] for each in others), max(each.reach[1] for each in others)
        shared = frozenset((t.resource_id, t.start, t.end) for t in takings if t.end > start and t.start < end)
        if shared not in tried:
            tried.add(shared)
            rest = _together([_beside(each, first.clinic, takings) for each in others], prefer)
            if rest is not None:
                return (takings, *rest)
    return None


def _beside(visit: Visit, clinic: Clinic, takings: tuple[Taking, ...]) -> Visit:
    """The visit once the takings of another one, made in that clinic, are written."""
    calendars = occupied(clinic, takings).calendars
    return replace(visit, clinic=replace(visit.clinic, calendars=calendars))


def _every_way(visit: Visit, prefer: Sequence[UUID]) -> Iterator[tuple[Taking, ...]]:
    """Every way in which the visit can be served, the one that `assign` chooses first."""
    first = assign(visit.demand, visit.clinic, visit.slot, prefer)
    if first is None:
        return
    yield first
    if any(taking.pool for taking in first):
        return  # whichever room it will be: counting rooms is exact
    watched = [taking for taking in first if taking.units == 0]
    able = [
        [] if thread.present else [each for each, starts in visit.clinic.able(thread) if starts >> visit.slot & 1]
        for thread in visit.demand.threads
    ]
    for chosen in _choices(visit.demand, able, {}):
        takings = [
            Taking(who.resource_id, thread.selector, visit.slot + each.start, visit.slot + each.end, each.units)
            for thread, who in ((visit.demand.threads[place], who) for place, who in chosen.items())
            for each in thread.around(who.buffers)
        ]
        yield tuple(sorted([*watched, *takings], key=lambda each: (each.start, each.selector, each.resource_id)))


def _choices(
    demand: Demand, able: Sequence[list[Calendar]], chosen: dict[int, Calendar]
) -> Iterator[dict[int, Calendar]]:
    """One resource for each thread, different ones for threads that meet."""
    place = next((i for i, thread in enumerate(demand.threads) if not thread.present and i not in chosen), None)
    if place is None:
        yield dict(chosen)
        return
    barred = {chosen[other].resource_id for other in demand.meeting[place] if other in chosen}
    for who in able[place]:
        if who.resource_id not in barred:
            yield from _choices(demand, able, chosen | {place: who})


def still_free(clinic: Clinic, takings: Iterable[Taking]) -> bool:
    """Whether those who were chosen can serve, all of it together: nobody else is looked for.

    Rooms that are to be bound late are left out: whether there is a way is found where they are bound.
    """
    return first_lost(clinic, takings) is None


def first_lost(clinic: Clinic, takings: Iterable[Taking]) -> tuple[Taking, int] | None:
    """The first of those who were chosen that cannot serve, and the slots at which that is so."""
    for taking in takings:
        if taking.pool:
            continue
        calendar = clinic.calendars[taking.resource_id]
        missing = taking.slots & ~(calendar.there if taking.units == 0 else calendar.free(taking.units))
        if missing:
            return taking, missing
        clinic = occupied(clinic, [taking])
    return None
