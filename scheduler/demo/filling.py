"""Filling a calendar to a load: each day with random visits until nothing fits, of which a share is kept.

What fits is decided by the law that bookings obey (`core/availability`). Whose visits they are is `seed`'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from random import Random

from scheduler.core.availability import Clinic, Taking, assign, occupied, starts
from scheduler.core.bitmap import SLOT_MINUTES, Timeline, bits
from scheduler.core.civil import day_bounds, to_local
from scheduler.core.intervals import Span
from scheduler.services.calendars import Loaded
from scheduler.services.catalog import Kind

#: Front desks offer whole quarters of an hour.
_QUARTER = 15 // SLOT_MINUTES


@dataclass(frozen=True)
class Filled:
    """A visit that found its place: which kind, when, and who serves it."""

    kind: Kind
    start: datetime
    local: datetime
    takings: tuple[Taking, ...]

    @property
    def minutes(self) -> int:
        """How long the patient is there."""
        return self.kind.visit.minutes


def fill(loaded: Loaded, kinds: Mapping[str, Kind], mix: Mapping[str, int], day: date, rng: Random) -> list[Filled]:
    """That local day, filled with visits of these kinds (asked for as often as `mix` says) until none fits any more."""
    site = loaded.site
    # No re-binding of rooms: the visits of a day are written together, each into the room found for it here.
    clinics = {code: replace(site.clinic(kinds[code].visit, kinds[code].demand), pools={}) for code in mix}
    among = _quarters(site.timeline, day, site.time_zone)
    calendars = site.calendars
    fits, found = dict(mix), list[Filled]()
    while fits:
        code = rng.choices(list(fits), weights=list(fits.values()))[0]
        current = replace(clinics[code], calendars=calendars)
        placed = _placed(kinds[code], current, among, rng)
        if placed is None:
            del fits[code]
            continue
        slot, takings = placed
        calendars = occupied(current, takings).calendars
        instant = site.timeline.instant(slot)
        found.append(Filled(kinds[code], instant, to_local(instant, site.time_zone), takings))
    return found


def kept(filled: Sequence[Filled], share: float, rng: Random) -> list[Filled]:
    """At random, visits that amount to that share of the minutes, in order of time."""
    wanted = share * sum(visit.minutes for visit in filled)
    found: list[Filled] = []
    for visit in rng.sample(filled, len(filled)):
        if sum(each.minutes for each in found) + visit.minutes / 2 <= wanted:
            found.append(visit)
    return sorted(found, key=lambda visit: visit.start)


def _quarters(timeline: Timeline, day: date, time_zone: str) -> int:
    first, past = day_bounds(day, time_zone)
    spans = timeline.inside([Span(first, past)])
    return sum(1 << slot for slot in bits(spans) if slot % _QUARTER == 0)


def _placed(kind: Kind, clinic: Clinic, among: int, rng: Random) -> tuple[int, tuple[Taking, ...]] | None:
    """One start at random at which the visit fits, with who serves it."""
    slots = list(bits(starts(kind.demand, clinic) & among))
    rng.shuffle(slots)
    for slot in slots:
        takings = assign(kind.demand, clinic, slot)
        if takings is not None:
            return slot, takings
    return None
