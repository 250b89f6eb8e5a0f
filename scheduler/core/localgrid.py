"""The starts at which a clinic's clock shows a wanted wall time. Which of them are free, `availability` decides."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache

from scheduler.core.bitmap import SLOT_MINUTES, SLOTS_PER_DAY, Timeline
from scheduler.core.civil import day_bounds, to_instant, to_local
from scheduler.core.errors import LocalTimeFault

_DAY_MINUTES = 24 * 60


@dataclass(frozen=True)
class Wish:
    """Wall times wanted: every `step` minutes after midnight, from `earliest` to `latest` (minutes, inclusive).

    `weekdays` are the wanted ones (0 is Monday); None is any.
    """

    step: int = SLOT_MINUTES
    weekdays: frozenset[int] | None = None
    earliest: int = 0
    latest: int = _DAY_MINUTES - SLOT_MINUTES

    def minutes(self) -> range:
        """The wanted minutes of a day."""
        first = -(-self.earliest // self.step) * self.step
        return range(first, min(self.latest, _DAY_MINUTES - 1) + 1, self.step)


@lru_cache(maxsize=256)
def wished_starts(wish: Wish, time_zone: str, timeline: Timeline) -> int:
    """The slots at which a clock of the zone shows a wanted time, exactly once: repeated hours are left out."""
    pattern = sum(1 << (minute // SLOT_MINUTES) for minute in wish.minutes())
    mask = 0
    for day in _local_days(time_zone, timeline):
        if wish.weekdays is not None and day.weekday() not in wish.weekdays:
            continue
        midnight, next_midnight = day_bounds(day, time_zone)
        slot = timeline.slot(midnight)
        if next_midnight - midnight == timedelta(days=1) and slot >= 0:
            mask |= pattern << slot
        else:
            mask |= _one_by_one(wish, day, time_zone, timeline)
    return mask & timeline.everything


def _one_by_one(wish: Wish, day: date, time_zone: str, timeline: Timeline) -> int:
    """A day on which the clocks change, or that begins before the timeline."""
    mask = 0
    midnight = datetime(day.year, day.month, day.day)  # noqa: DTZ001 - a wall time
    for minute in wish.minutes():
        try:
            slot = timeline.slot(to_instant(midnight + timedelta(minutes=minute), time_zone))
        except LocalTimeFault:
            continue
        if 0 <= slot < timeline.days * SLOTS_PER_DAY:
            mask |= 1 << slot
    return mask


def _local_days(time_zone: str, timeline: Timeline) -> Iterator[date]:
    day, last = to_local(timeline.origin, time_zone).date(), to_local(timeline.end, time_zone).date()
    while day <= last:
        yield day
        day += timedelta(days=1)
