"""Calendar texts by RFC 5545: a feed of visits, and one visit as an invitation. Sees entries, never a row or a person.

A visit has one UID for life; its SEQUENCE counts the changes of its time and place. Times are the site's wall clock
with its zone's rules. One that the clock shows twice is written in UTC: RFC 5545 reads it as the first of the two.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any, cast
from zoneinfo import ZoneInfo

import icalendar

from scheduler.core.calendar_entry import Entry, Method
from scheduler.core.civil import zone
from scheduler.core.oneline import one_line

_PRODUCT = "-//Regimen//Scheduler//EN"
#: Calendars are asked to look again so often.
_REFRESH = timedelta(minutes=15)
#: Of a name or an address.
_LONGEST = 500


def feed(entries: Iterable[Entry], name: str) -> bytes:
    """A calendar to subscribe to. The same entries give the same bytes."""
    shown = list(entries)
    calendar = _calendar(shown)
    calendar.add("x-wr-calname", one_line(name, _LONGEST))
    calendar.add("refresh-interval", _REFRESH, parameters={"VALUE": "DURATION"})
    calendar.add("x-published-ttl", "PT15M")
    return bytes(calendar.to_ical())


def invitation(
    entries: Sequence[Entry], method: Method, *, organizer: str | None = None, attendee: str | None = None
) -> bytes:
    """Visits for a patient's calendar: one for REQUEST and CANCEL, any number for PUBLISH, which names no attendee."""
    calendar = _calendar(entries, method=method)
    for event in calendar.walk("VEVENT"):
        if organizer is not None:
            event.add("organizer", icalendar.vCalAddress(f"mailto:{organizer}"))
        if attendee is not None:
            event.add("attendee", icalendar.vCalAddress(f"mailto:{attendee}"), parameters={"RSVP": "FALSE"})
    return bytes(calendar.to_ical())


def _calendar(entries: Sequence[Entry], *, method: Method | None = None) -> icalendar.Calendar:
    calendar = icalendar.Calendar()
    calendar.add("prodid", _PRODUCT)
    calendar.add("version", "2.0")
    if method is not None:
        calendar.add("method", method)
    for name in sorted({entry.time_zone for entry in entries}):
        here = [entry for entry in entries if entry.time_zone == name]
        # Whole years, so that the text does not change from day to day.
        first = min(entry.start for entry in here).year - 1
        calendar.add_component(_zone(name, first, max(entry.end for entry in here).year + 2))
    for entry in entries:
        calendar.add_component(_event(entry))
    return calendar


def _event(entry: Entry) -> icalendar.Event:
    event, where = icalendar.Event(), zone(entry.time_zone)
    event.add("uid", f"{entry.visit_id}@regimen")
    event.add("sequence", entry.sequence)
    event.add("dtstamp", entry.stamp)
    event.add("last-modified", entry.stamp)
    event.add("dtstart", _written(entry.start, where))
    event.add("dtend", _written(entry.end, where))
    event.add("summary", one_line(entry.title, _LONGEST))
    event.add("status", entry.status)
    event.add("class", "PRIVATE")
    if entry.status == "CANCELLED":
        event.add("transp", "TRANSPARENT")
    if entry.place:
        event.add("location", one_line(entry.place, _LONGEST))
    return event


def _written(instant: datetime, where: ZoneInfo) -> datetime:
    """By the wall clock; in UTC where that shows the time twice."""
    local = instant.astimezone(where)
    is_repeated = local.utcoffset() != local.replace(fold=1 - local.fold).utcoffset()
    return instant.astimezone(UTC) if is_repeated else local


@cache
def _zone(name: str, first_year: int, last_year: int) -> icalendar.Timezone:
    """The zone's rules from the beginning of one year to that of another."""
    found = icalendar.Timezone.from_tzinfo(zone(name), name, date(first_year, 1, 1), date(last_year, 1, 1))
    for observance in cast("list[Any]", found.walk()):
        ahead = observance["tzoffsetto"].td - observance["tzoffsetfrom"].td if "tzoffsetto" in observance else None
        if ahead is not None and ahead > timedelta(0):
            _onset_before_the_jump(observance, ahead)
    return found


def _onset_before_the_jump(observance: Any, ahead: timedelta) -> None:
    """RFC 5545 dates an onset by the clock before it; the library writes the one after it, when clocks go forward."""
    observance["dtstart"].dt -= ahead
    dates = observance.get("rdate", [])
    for listed in dates if isinstance(dates, list) else [dates]:
        for each in listed.dts:
            each.dt -= ahead
