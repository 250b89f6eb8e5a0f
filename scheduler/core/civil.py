"""Wall clocks and instants: the one place where a zone turns one into the other. Zone rules come from PyPI's tzdata.

A visit's truth is its wall time and zone; the instant is derived here and nowhere else (never in SQL: PostgreSQL and
RFC 5545 disagree about which of two repeated hours is meant).
"""

from __future__ import annotations

import zoneinfo
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo

import tzdata

from scheduler.core.errors import Fault, Invalid, LocalTimeFault

# The system's zone files may be years older than the pinned ones; only the pinned ones count.
zoneinfo.reset_tzpath(())

#: Release of the IANA zone rules in use, such as "2026f".
TZDATA_VERSION: str = tzdata.IANA_VERSION

Disambiguation = Literal["earlier", "later", "compatible"]

#: Every visit starts, and every segment ends, on this grid of elapsed minutes.
GRID_MINUTES = 5

#: Years that anybody may ask about: any offset and any margin around them can still be reckoned.
YEARS = range(1900, 2200)


def zone(name: str) -> ZoneInfo:
    """The zone of that IANA name. Raises Invalid (`unknown_time_zone`)."""
    try:
        return ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise Invalid([Fault("/time_zone", "unknown_time_zone", f"{name!r} is not an IANA time zone.")]) from error


def to_instant(local: datetime, zone_name: str, disambiguation: Disambiguation | None = None) -> datetime:
    """The aware UTC instant at which a clock in that zone shows `local` (naive).

    Without `disambiguation`, raises LocalTimeFault for a time that the clocks skip (`nonexistent_time`) or show twice
    (`ambiguous_time`). `earlier` and `later` choose between the two readings; `compatible` is RFC 5545's choice: the
    first of two, and past the gap by its length.
    """
    where = zone(zone_name)
    readings = [local.replace(tzinfo=where, fold=fold).astimezone(UTC) for fold in (0, 1)]
    if readings[0] == readings[1]:
        return readings[0]
    exists = any(to_local(reading, zone_name) == local for reading in readings)
    if disambiguation is None:
        code, why = ("ambiguous_time", "occurs twice") if exists else ("nonexistent_time", "does not exist")
        raise LocalTimeFault(code, f"{local.isoformat(timespec='minutes')} {why} in {zone_name}.")
    if disambiguation == "compatible":
        return readings[0]
    return min(readings) if disambiguation == "earlier" else max(readings)


def intent(start: datetime, zone_name: str, disambiguation: Disambiguation | None = None) -> tuple[datetime, datetime]:
    """(wall time, instant) of a start that somebody wrote with an offset (aware).

    Any offset will do, and says the instant. But a wall time that the site's clocks skip, written with the site's own
    offset, or one that they show twice, is a slip of the pen more often than not: LocalTimeFault unless
    `disambiguation` says what is meant.
    """
    written = start.replace(tzinfo=None)
    where = zone(zone_name)
    offsets = {written.replace(tzinfo=where, fold=fold).utcoffset() for fold in (0, 1)}
    local = written if start.utcoffset() in offsets else to_local(start, zone_name)
    instant = to_instant(local, zone_name, disambiguation)
    return to_local(instant, zone_name), instant


def to_local(instant: datetime, zone_name: str) -> datetime:
    """What a clock in that zone shows at that instant, naive."""
    return instant.astimezone(zone(zone_name)).replace(tzinfo=None, fold=0)


@lru_cache(maxsize=4096)
def day_bounds(day: date, zone_name: str) -> tuple[datetime, datetime]:
    """First instant of the local day and of the one after it, aware UTC; 23 to 25 hours apart as a rule."""
    midnight = datetime(day.year, day.month, day.day)  # noqa: DTZ001 - a wall time, made an instant at once
    return (
        to_instant(midnight, zone_name, "compatible"),
        to_instant(midnight + timedelta(days=1), zone_name, "compatible"),
    )


def on_grid(instant: datetime) -> bool:
    """Whether the instant lies on the five-minute grid."""
    return instant.second == 0 and instant.microsecond == 0 and instant.minute % GRID_MINUTES == 0
