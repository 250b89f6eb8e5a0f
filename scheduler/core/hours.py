"""Weekly hours and closures as written in wall time, and the instants they mean. Whose hours they are, others know."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any

from scheduler.core.civil import to_local, zone
from scheduler.core.errors import Fault
from scheduler.core.intervals import Span, union

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
#: Local times of day; only an end may be 24:00.
START = re.compile(r"([01]\d|2[0-3]):[0-5]\d")
END = re.compile(r"([01]\d|2[0-3]):[0-5]\d|24:00")
#: A local day or minute. The years are bounded so that no arithmetic with them can leave the calendar.
DAY = re.compile(r"(19|20|21)\d\d-\d\d-\d\d")
MINUTE = re.compile(r"(19|20|21)\d\d-\d\d-\d\dT([01]\d|2[0-3]):[0-5]\d")

_ONE_DAY = timedelta(days=1)
_MIDNIGHT = time()


def open_spans(hours: Sequence[Mapping[str, Any]], time_zone: str, first: date, last: date) -> list[Span]:
    """Every instant of the local days first..last (inclusive) at which the hours say open: sorted disjoint UTC spans.

    Each entry is {weekday, start, end, valid_from?, valid_to?} and is valid by the day on which it starts; an end that
    is not after the start means the next day. The hours must be free of faults (`hours_faults`).
    """
    by_weekday: list[list[Mapping[str, Any]]] = [[] for _ in WEEKDAYS]
    for entry in hours:
        by_weekday[WEEKDAYS.index(entry["weekday"])].append(entry)
    spans = (
        _between(_at(day, entry["start"]), _end_of(day, entry), time_zone)
        for day in _days(first - _ONE_DAY, last)  # the day before may run past midnight
        for entry in by_weekday[day.weekday()]
        if valid_on(entry, day)
    )
    return _clipped(spans, time_zone, first, last)


def closed_spans(closures: Sequence[Mapping[str, Any]], time_zone: str, first: date, last: date) -> list[Span]:
    """Every instant of the local days first..last (inclusive) that a closure takes, as sorted disjoint UTC spans.

    Each closure is {from, to, reason?}, both either a local day or a local minute (YYYY-MM-DDTHH:MM). A day counts
    whole, also as `to`; a minute as `to` is the first that is open again. They must be free of faults.
    """
    return _clipped((closure_span(closure, time_zone) for closure in closures), time_zone, first, last)


def closure_span(closure: Mapping[str, Any], time_zone: str) -> Span | None:
    """The instants one closure takes; None when a change of clocks leaves nothing of it."""
    return _between(_local(closure["from"]), _local(closure["to"], whole_day=True), time_zone)


def valid_on(entry: Mapping[str, Any], day: date) -> bool:
    """Whether the local day lies in [valid_from, valid_to], both inclusive ISO days and both open when absent."""
    text = day.isoformat()  # ISO days sort as the days do
    return (entry.get("valid_from") or "") <= text <= (entry.get("valid_to") or "~")


def hours_faults(hours: Sequence[Mapping[str, Any]], pointer: str = "/hours") -> list[Fault]:
    """Everything wrong with weekly hours, by JSON pointer below `pointer`."""
    faults: list[Fault] = []
    for index, entry in enumerate(hours):
        at = f"{pointer}/{index}"
        if entry.get("weekday") not in WEEKDAYS:
            faults.append(Fault(f"{at}/weekday", "unknown_weekday", f"One of {', '.join(WEEKDAYS)} is expected."))
        for key, form in (("start", START), ("end", END)):
            if not _matches(form, entry.get(key)):
                faults.append(Fault(f"{at}/{key}", "invalid_time", 'A local time of day such as "09:00" is expected.'))
        faults += validity_faults(entry, at)
    return faults


def validity_faults(entry: Mapping[str, Any], pointer: str) -> list[Fault]:
    """Everything wrong with the optional `valid_from` and `valid_to` of one entry."""
    faults = [
        Fault(f"{pointer}/{key}", "invalid_date", "A date such as 2030-03-04 is expected.")
        for key in ("valid_from", "valid_to")
        if entry.get(key) is not None and not _is_day(entry[key])
    ]
    if not faults and entry.get("valid_from") and entry.get("valid_to") and entry["valid_to"] < entry["valid_from"]:
        faults.append(Fault(f"{pointer}/valid_to", "ends_before_start", "The last day comes before the first."))
    return faults


def closure_faults(closures: Sequence[Mapping[str, Any]], pointer: str = "/closures") -> list[Fault]:
    """Everything wrong with closures, by JSON pointer below `pointer`."""
    faults: list[Fault] = []
    for index, entry in enumerate(closures):
        wrong = [key for key in ("from", "to") if not (_is_day(entry.get(key)) or _is_minute(entry.get(key)))]
        faults += [
            Fault(f"{pointer}/{index}/{key}", "invalid_date", "A day or local minute (2030-03-04T09:00) is expected.")
            for key in wrong
        ]
        if not wrong and not _local(entry["from"]) < _local(entry["to"], whole_day=True):
            faults.append(Fault(f"{pointer}/{index}/to", "ends_before_start", "The end is not after the start."))
    return faults


def _matches(form: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and form.fullmatch(value) is not None


def _is_day(value: object) -> bool:
    return _matches(DAY, value) and _is_real(str(value))


def _is_minute(value: object) -> bool:
    return _matches(MINUTE, value) and _is_real(str(value))


def _is_real(text: str) -> bool:
    """Whether the calendar has that day: no 30 February."""
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _local(text: str, *, whole_day: bool = False) -> datetime:
    """The naive wall time of a day's first minute or of a minute; with `whole_day`, of the end of a day."""
    found = datetime.fromisoformat(text)
    return found + _ONE_DAY if whole_day and len(text) == len("2030-03-04") else found


def _at(day: date, text: str) -> datetime:
    """The naive wall time of `text` (HH:MM, 24:00 being the next midnight) on a day."""
    hour, minute = int(text[:2]), int(text[3:])
    return datetime.combine(day, _MIDNIGHT) + timedelta(hours=hour, minutes=minute)


def _end_of(day: date, entry: Mapping[str, Any]) -> datetime:
    end = _at(day, entry["end"])
    return end if entry["start"] < entry["end"] else end + _ONE_DAY


def _days(first: date, last: date) -> Iterator[date]:
    for offset in range((last - first).days + 1):
        yield first + timedelta(days=offset)


def _between(start: datetime, end: datetime, time_zone: str) -> Span | None:
    """The instants between two wall times; None when the clocks skip all of it."""
    begins, ends = edge(start, time_zone, ends=False), edge(end, time_zone, ends=True)
    return Span(begins, ends) if begins < ends else None


def _clipped(spans: Iterator[Span | None], time_zone: str, first: date, last: date) -> list[Span]:
    """The parts within the local days first..last, merged."""
    days = _between(datetime.combine(first, _MIDNIGHT), datetime.combine(last + _ONE_DAY, _MIDNIGHT), time_zone)
    if days is None:
        return []
    parts = (span.clip(days) for span in spans if span is not None)
    return union(part for part in parts if part is not None)


@lru_cache(maxsize=65_536)  # the same openings recur for every resource of a site
def edge(local: datetime, time_zone: str, *, ends: bool) -> datetime:
    """The aware UTC instant of an opening's edge in wall time; unlike a visit's start it always exists.

    In a gap of the clocks it is the gap's end. Of two readings a start takes the first and an end the last, so that
    nobody goes home early; but midnight is where one day becomes the next, and that happens once, the first time.
    """
    where = zone(time_zone)
    first, second = (local.replace(tzinfo=where, fold=fold).astimezone(UTC) for fold in (0, 1))
    if first == second:
        return first
    if to_local(first, time_zone) != local:
        return _transition(second, first, time_zone)
    return second if ends and local.time() != _MIDNIGHT else first


def _transition(before: datetime, after: datetime, time_zone: str) -> datetime:
    """The second between two instants at which the zone's offset changes; there is one such second."""
    old = before.astimezone(zone(time_zone)).utcoffset()
    low, high = 0, int((after - before).total_seconds())
    while high - low > 1:
        middle = (low + high) // 2
        if (before + timedelta(seconds=middle)).astimezone(zone(time_zone)).utcoffset() == old:
            low = middle
        else:
            high = middle
    return before + timedelta(seconds=high)
