"""Dates, times and zones in a reader's language. They are written by the site's clock, and always say so.

A locale without a region ("en") writes 24-hour times, which nobody misreads; one with a region ("en-US") writes what is
the custom there.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from babel import Locale
from babel.core import UnknownLocaleError
from babel.dates import format_date, format_skeleton, format_time, get_timezone_location, get_timezone_name
from babel.units import format_unit

_SOON = timedelta(hours=6)
_HOUR = timedelta(hours=1)


class Phrases:
    """The manner of one locale. `words` holds that language's `today`, `tomorrow`, `in` and `now`."""

    def __init__(self, locale: str, words: Mapping[str, str]) -> None:
        self._locale = parse_locale(locale)
        self._words = words

    def clock(self, moment: datetime) -> str:
        """03:00, or 3:00 AM where that is the custom."""
        if self._locale.territory is None:
            return moment.strftime("%H:%M")
        # CLDR puts a narrow no-break space before AM, which many readers show as a box, and a full stop after a.m.,
        # which would meet the sentence's own.
        text = format_time(moment, "short", tzinfo=moment.tzinfo, locale=self._locale)
        return " ".join(text.replace(".", "").split())

    def short(self, moment: datetime, *, zone: bool = True) -> str:
        """Tue, Jan 5 09:00 EST."""
        return " ".join([self.date(moment), self.clock(moment), *([short_zone(moment)] if zone else [])])

    def date(self, moment: datetime) -> str:
        """Tue, Jan 5."""
        return str(format_skeleton("MMMEd", moment, moment.tzinfo, locale=self._locale))

    def full(self, moment: datetime, recipient_zone: str) -> str:
        """Tuesday, January 5, 2027, 09:00 (Eastern Standard Time); the city too for a reader elsewhere."""
        name = get_timezone_name(moment, "long", locale=self._locale)
        if isinstance(moment.tzinfo, ZoneInfo) and moment.tzinfo.key != recipient_zone:
            city = get_timezone_location(moment.tzinfo, self._locale, return_city=True).rpartition("/")[2]
            name = f"{name}, {city}" if city not in name else name
        return f"{self.day(moment)}, {self.clock(moment)} ({name})"

    def day(self, moment: datetime) -> str:
        """Tuesday, January 5, 2027."""
        return format_date(moment.date(), "full", locale=self._locale)

    def near(self, moment: datetime, other: datetime) -> str:
        """A time beside another: with its weekday on another day, with its zone when the clocks change in between."""
        weekday = format_skeleton("E", moment, moment.tzinfo, locale=self._locale)
        day = "" if moment.date() == other.date() else f"{weekday} "
        zone = "" if moment.utcoffset() == other.utcoffset() else f" {short_zone(moment)}"
        return f"{day}{self.clock(moment)}{zone}"

    def until(self, moment: datetime, now: datetime) -> str:
        """How far ahead it is: in 5 hours, today, tomorrow, in 3 days; "now" when past. Hours are rounded down."""
        # Two times of one zone would subtract by the wall clock.
        ahead = moment.astimezone(UTC) - now.astimezone(UTC)
        if ahead < timedelta(minutes=1):
            return self._words["now"]
        if ahead < _HOUR:
            return self._in(ahead // timedelta(minutes=1), "minute")
        if ahead < _SOON:
            return self._in(ahead // _HOUR, "hour")
        days = (moment.date() - now.astimezone(moment.tzinfo).date()).days
        return {0: self._words["today"], 1: self._words["tomorrow"]}.get(days) or self._in(days, "day")

    def _in(self, count: int, unit: str) -> str:
        return self._words["in"].format(format_unit(count, f"duration-{unit}", "long", locale=self._locale))


def parse_locale(name: str) -> Locale:
    """The locale of a tag such as es-MX, or of what is known of it; English for none."""
    parts = name.replace("-", "_").split("_")
    for length in range(len(parts), 0, -1):
        try:
            return Locale.parse("_".join(parts[:length]))
        except (ValueError, UnknownLocaleError):
            continue
    return Locale("en")


def short_zone(moment: datetime) -> str:
    """EST, or UTC-3 where the zone has no letters."""
    name = moment.tzname() or ""
    if name.isalpha():
        return name
    offset = moment.utcoffset() or timedelta()
    hours, minutes = divmod(abs(offset) // timedelta(minutes=1), 60)
    sign = "-" if offset < timedelta() else "+"
    return f"UTC{sign}{hours}" + (f":{minutes:02}" if minutes else "")
