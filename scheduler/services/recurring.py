"""The subset of RFC 5545's recurrence rules that a series may have, as wall times. Booking them is `series`'."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import islice

from dateutil.rrule import rrulestr

from scheduler.core.civil import to_local
from scheduler.core.errors import Fault, Invalid
from scheduler.core.recurrence import LONGEST_SERIES, MOST_OCCURRENCES

_PARTS = frozenset({"FREQ", "INTERVAL", "COUNT", "UNTIL", "BYDAY"})
_FREQUENCIES = frozenset({"DAILY", "WEEKLY", "MONTHLY"})
_FORMS = {
    "INTERVAL": re.compile(r"[1-9][0-9]{0,3}", flags=re.ASCII),
    "COUNT": re.compile(r"[0-9]{1,9}", flags=re.ASCII),
    "UNTIL": re.compile(r"[0-9]{8}(T[0-9]{6}Z?)?", flags=re.ASCII),
    "BYDAY": re.compile(r"([+-]?[1-5])?(MO|TU|WE|TH|FR|SA|SU)(,([+-]?[1-5])?(MO|TU|WE|TH|FR|SA|SU))*", flags=re.ASCII),
}
_DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_ELSEWHERE = Fault("/start", "not_in_rule", "The start is not an occurrence of its own rule.")
_NO_RULE = "This is not an RFC 5545 recurrence rule."
_WRONG = Fault("/rule", "bad_rule", _NO_RULE)


def occurrences(rule: str, start: datetime, time_zone: str) -> list[datetime]:
    """The wall times of a rule from `start` (naive) on, the first included. Raises Invalid.

    An UNTIL in UTC is an instant; without it, it is a time of the site's own clock.
    """
    parts = parts_of(rule)
    # What has no occurrence would be looked for to the end of time.
    if not any(day.endswith(_DAYS[start.weekday()]) for day in parts.get("BYDAY", _DAYS[start.weekday()]).split(",")):
        raise Invalid([_ELSEWHERE])
    last = start + LONGEST_SERIES
    until = _until(parts["UNTIL"], time_zone) if "UNTIL" in parts else None
    bounded = {name: value for name, value in parts.items() if name not in {"COUNT", "UNTIL"}}
    bounded["UNTIL"] = f"{min(until or last, last):%Y%m%dT%H%M%S}"
    text = ";".join(f"{name}={value}" for name, value in bounded.items())
    try:
        found = list(islice(rrulestr(text, dtstart=start, ignoretz=True), MOST_OCCURRENCES + 1))
    except (ValueError, TypeError, KeyError) as error:
        raise Invalid([_WRONG]) from error
    count = int(parts.get("COUNT", len(found)))
    if count > MOST_OCCURRENCES or not count:
        raise Invalid([Fault("/rule", "bad_length", f"A series has 1 to {MOST_OCCURRENCES} occurrences.")])
    if len(found) < count or (until is not None and until > last):
        raise Invalid([Fault("/rule", "bad_length", f"A series ends within {LONGEST_SERIES.days} days of its start.")])
    if found[0] != start:
        raise Invalid([_ELSEWHERE])
    return found[:count]


def parts_of(rule: str) -> Mapping[str, str]:
    """The parts of a rule. Raises Invalid for one outside the subset, or without an end."""
    given = [part.partition("=")[::2] for part in rule.upper().split(";")]
    parts = dict(given)
    if not parts.keys() <= _PARTS or parts.get("FREQ") not in _FREQUENCIES:
        detail = f"Only {', '.join(sorted(_PARTS))} are understood, with FREQ one of {', '.join(sorted(_FREQUENCIES))}."
        raise Invalid([Fault("/rule", "unsupported_rule", detail)])
    if not ("COUNT" in parts) ^ ("UNTIL" in parts):
        raise Invalid([Fault("/rule", "endless_rule", "A series ends: give either COUNT or UNTIL.")])
    if len(given) > len(parts) or any(
        name in parts and not form.fullmatch(parts[name]) for name, form in _FORMS.items()
    ):
        raise Invalid([_WRONG])
    return parts


def _until(text: str, time_zone: str) -> datetime:
    """The last wall time that an UNTIL includes. Raises Invalid."""
    try:
        said = datetime.fromisoformat(text.removesuffix("Z"))
        if text.endswith("Z"):
            said = to_local(said.replace(tzinfo=UTC), time_zone)
    except (ValueError, OverflowError) as error:  # the last for what the site's clock puts before year 1 or after 9999
        raise Invalid([_WRONG]) from error
    return said + timedelta(days=1, microseconds=-1) if len(text) == len("20300304") else said
