"""The starts at which a clinic's clock shows a wanted wall time. Which of them are free, `availability` decides."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

from scheduler.core.bitmap import SLOT_MINUTES, SLOTS_PER_DAY, Timeline
from scheduler.core.civil import day_bounds, to_instant, to_local
from scheduler.core.errors import LocalTimeFault

_DAY_MINUTES = 24 * 60
_DAY_BYTES = SLOTS_PER_DAY // 8


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
    plain = pattern.to_bytes(_DAY_BYTES, "little"), bytes(_DAY_BYTES)
    wanted = [wish.weekdays is None or weekday in wish.weekdays for weekday in range(7)]
    mask = 0
    for first, days, slot in _stretches(time_zone, timeline):
        weekday = first.weekday()
        if slot is None:
            mask |= _one_by_one(wish, first, time_zone, timeline) if wanted[weekday] else 0
            continue
        whole = int.from_bytes(b"".join(plain[not wanted[(weekday + day) % 7]] for day in range(days)), "little")
        mask |= whole << slot if slot >= 0 else whole >> -slot
    return mask & timeline.everything


class _Stretch(NamedTuple):
    """Local days in a row, and the slot of the first midnight; None for a day by itself on which the clocks change."""

    first: date
    days: int
    slot: int | None


@lru_cache(maxsize=64)
def _stretches(time_zone: str, timeline: Timeline) -> tuple[_Stretch, ...]:
    """The local days of a timeline."""
    found: list[_Stretch] = []
    for day in _local_days(time_zone, timeline):
        midnight, next_midnight = day_bounds(day, time_zone)
        slot = timeline.slot(midnight)
        before = found[-1] if found else None
        if next_midnight - midnight != timedelta(days=1):
            found.append(_Stretch(day, 1, None))
        elif before and before.slot is not None and before.slot + before.days * SLOTS_PER_DAY == slot:
            found[-1] = before._replace(days=before.days + 1)
        else:
            found.append(_Stretch(day, 1, slot))
    return tuple(found)


def _one_by_one(wish: Wish, day: date, time_zone: str, timeline: Timeline) -> int:
    """A day on which the clocks change."""
    wanted, mask = wish.minutes(), 0
    for minute, instant in _plain_minutes(day, time_zone):
        slot = timeline.slot(instant)
        if minute in wanted and slot >= 0:
            mask |= 1 << slot
    return mask


@lru_cache(maxsize=256)
def _plain_minutes(day: date, time_zone: str) -> tuple[tuple[int, datetime], ...]:
    """The wall times of a day that its clocks show exactly once: minutes after midnight, and the instant."""
    midnight, found = datetime(day.year, day.month, day.day), []  # noqa: DTZ001 - a wall time
    for minute in range(0, _DAY_MINUTES, SLOT_MINUTES):
        try:
            found.append((minute, to_instant(midnight + timedelta(minutes=minute), time_zone)))
        except LocalTimeFault:
            continue
    return tuple(found)


def _local_days(time_zone: str, timeline: Timeline) -> Iterator[date]:
    day, last = to_local(timeline.origin, time_zone).date(), to_local(timeline.end, time_zone).date()
    while day <= last:
        yield day
        day += timedelta(days=1)
