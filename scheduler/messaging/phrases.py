"""Dates, times and zones in a reader's language. They are written by the site's clock, and always say so.

A locale without a region ("en") writes 24-hour times, which nobody misreads; one with a region ("en-US") writes what is
the custom there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from babel import Locale
from babel.core import UnknownLocaleError
from babel.dates import format_date, format_skeleton, format_time, get_timezone_location, get_timezone_name
from babel.units import format_unit

from scheduler.core.civil import zone

_SOON = timedelta(hours=6)
_ONE = re.compile("0?1:")
_MINUTE, _HOUR = timedelta(minutes=1), timedelta(hours=1)


class Phrases:
    """The manner of one locale. `words` holds that language's words for `in`, `now` and the like.

    `whole` is for where a day beside a time is read aloud, or has room: its name is not cut short.
    """

    def __init__(self, locale: str, words: Mapping[str, str], *, whole: bool = False) -> None:
        self._tag, self._has_territory = _known(locale)
        self._words, self._weekday = words, "EEEE" if whole else "EEE"

    def clock(self, moment: datetime) -> str:
        """03:00, or 3:00 AM where that is the custom."""
        if not self._has_territory:
            return f"{moment.hour:02}:{moment.minute:02}"
        return _clock(self._tag, time(moment.hour, moment.minute))

    def short(self, moment: datetime, *, named: bool = True) -> str:
        """Tue, Jan 5 09:00 EST."""
        return " ".join([self.date(moment), self.clock(moment), *([short_zone(moment)] if named else [])])

    def date(self, moment: datetime) -> str:
        """Tue, Jan 5."""
        return _by_skeleton(self._tag, "MMMEd", moment.date())

    def full(self, moment: datetime, recipient_zone: str) -> str:
        """Tuesday, January 5, 2027, 09:00 (Eastern Standard Time); the city too for a reader elsewhere."""
        named = _zone(self._tag, moment)
        name = named.name
        if isinstance(moment.tzinfo, ZoneInfo) and moment.tzinfo.key != recipient_zone:
            name = f"{name}, {named.city}" if named.city not in name else name
        return f"{self.day(moment)}, {self.clock(moment)} ({name})"

    def day(self, moment: datetime) -> str:
        """Tuesday, January 5, 2027."""
        return _day(self._tag, moment.date())

    def near(self, moment: datetime, other: datetime, recipient_zone: str) -> str:
        """A time beside another: with its weekday on another day.

        With its zone when the clocks change in between, or for a reader whose clock shows something else.
        """
        day = "" if moment.date() == other.date() else f"{_weekday(self._tag, self._weekday, moment.date())} "
        is_plain = moment.utcoffset() == other.utcoffset() and is_theirs(moment, recipient_zone)
        return f"{day}{self.clock(moment)}{'' if is_plain else f' {short_zone(moment)}'}"

    def since(self, moment: datetime, other: datetime, recipient_zone: str) -> str:
        """The same as it stands after "from" or "since": in some languages with an article."""
        said = self.near(moment, other, recipient_zone)
        day, _, clock = ("", "", said) if moment.date() == other.date() else said.partition(" ")
        clock = self._words["since_one" if _ONE.match(clock) else "since"].format(clock)
        return self._words["since_day"].format(day=day, clock=clock) if day else clock

    def until(self, moment: datetime, now: datetime) -> str:
        """How far ahead it is: in 5 hours, today, tomorrow, in 3 days; "now" when past. Hours are rounded down."""
        # Of two times of one zone the clocks would be subtracted, of two zones the instants are.
        ahead = moment - now.astimezone(UTC)
        if ahead >= _SOON:
            days = moment.toordinal() - _day_there(now, moment.tzinfo)
            return self._in(days, "day") if days > 1 else self._words["tomorrow" if days else "today"]
        if ahead >= _HOUR:
            return self._in(ahead // _HOUR, "hour")
        return self._in(ahead // _MINUTE, "minute") if ahead >= _MINUTE else self._words["now"]

    def _in(self, count: int, unit: str) -> str:
        return _ahead(self._tag, self._words["in"], count, unit)


# What a due hour's messages say is mostly the same few days, times and zones, and Babel takes its time over each.


@lru_cache(maxsize=256)
def _day_there(now: datetime, where: tzinfo | None) -> int:
    return now.astimezone(where).toordinal()


@lru_cache(maxsize=256)
def _known(locale: str) -> tuple[str, bool]:
    found = parse_locale(locale)
    return str(found), found.territory is not None


@lru_cache(maxsize=2048)
def _clock(tag: str, clock: time) -> str:
    # CLDR puts a narrow no-break space before AM, which many readers show as a box, and a full stop after a.m., which
    # would meet the sentence's own.
    return " ".join(format_time(clock, "short", locale=tag).replace(".", "").split())


@lru_cache(maxsize=2048)
def _by_skeleton(tag: str, skeleton: str, day: date) -> str:
    said = str(format_skeleton(skeleton, datetime.combine(day, time(12)), locale=tag))
    return said.replace(format_date(day, "EEE", locale=tag), _weekday(tag, "EEE", day), 1)


@lru_cache(maxsize=256)
def _weekday(tag: str, pattern: str, day: date) -> str:
    said = format_date(day, pattern, locale=tag)
    # In Spanish "mar" is Tuesday, and March.
    return format_date(day, "EEEE", locale=tag) if said in _short_months(tag) else said


@lru_cache(maxsize=64)
def _short_months(tag: str) -> frozenset[str]:
    return frozenset(Locale.parse(tag).months["format"]["abbreviated"].values())


@lru_cache(maxsize=2048)
def _day(tag: str, day: date) -> str:
    return format_date(day, "full", locale=tag)


@lru_cache(maxsize=2048)
def _ahead(tag: str, said: str, count: int, unit: str) -> str:
    return said.format(format_unit(count, f"duration-{unit}", "long", locale=tag))


class _Zone(NamedTuple):
    """What a zone is called at a time, and its city, empty for one that has none."""

    name: str
    city: str


#: By locale, zone, offset, and whether that is its summer time: all that its names depend on.
_zones: dict[tuple[str, str, timedelta | None, timedelta | None], _Zone] = {}


def _zone(tag: str, moment: datetime) -> _Zone:
    key = tag, str(moment.tzinfo), moment.utcoffset(), moment.dst()
    named = _zones.get(key)
    if named is None:
        is_named = isinstance(moment.tzinfo, ZoneInfo)
        city = get_timezone_location(moment.tzinfo, tag, return_city=True).rpartition("/")[2] if is_named else ""
        named = _zones[key] = _Zone(get_timezone_name(moment, "long", locale=tag), city)
    return named


def parse_locale(name: str) -> Locale:
    """The locale of a tag such as es-MX, or of what is known of it; English for none."""
    parts = name.replace("-", "_").split("_")
    for length in range(len(parts), 0, -1):
        try:
            return Locale.parse("_".join(parts[:length]))
        except (ValueError, UnknownLocaleError):
            continue
    return Locale("en")


def is_theirs(moment: datetime, recipient_zone: str) -> bool:
    """Whether the clock in that zone shows the same as the one that the moment is written by."""
    return moment.utcoffset() == moment.astimezone(zone(recipient_zone)).utcoffset()


def short_zone(moment: datetime) -> str:
    """EST, or UTC-3 where the zone has no letters."""
    name = moment.tzname() or ""
    if name.isalpha():
        return name
    offset = moment.utcoffset() or timedelta()
    hours, minutes = divmod(abs(offset) // _MINUTE, 60)
    sign = "-" if offset < timedelta() else "+"
    return f"UTC{sign}{hours}" + (f":{minutes:02}" if minutes else "")
