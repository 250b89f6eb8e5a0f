"""Public holidays as closures of the locations that keep them. When nobody is there for another reason, others know.

A location opts in with {country, subdivision?, open_days?, open_names?}: it is closed on every public holiday of that
country but for single days, or holidays by their name, on which it works all the same.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date
from functools import lru_cache
from typing import Any

import holidays as calendar_of

from scheduler.core.errors import Fault

#: How many years ahead a change of a location is judged by its holidays: no visit is booked further ahead.
_YEARS_AHEAD = 3


def faults_of(kept: Mapping[str, Any] | None, pointer: str = "/holidays") -> list[Fault]:
    """A country or subdivision that nobody knows the holidays of."""
    if kept is None:
        return []
    known = calendar_of.list_supported_countries(include_aliases=False)
    country, subdivision = kept["country"], kept.get("subdivision")
    if country not in known:
        detail = "Nobody here knows that country's holidays: an ISO 3166-1 code such as US is expected."
        return [Fault(f"{pointer}/country", "unknown_country", detail)]
    if subdivision is not None and subdivision not in known[country]:
        detail = f"It is none of {country}'s subdivisions: {', '.join(known[country]) or 'there are none'}."
        return [Fault(f"{pointer}/subdivision", "unknown_subdivision", detail[:500])]
    return []


def named(kept: str | None, first: int, last: int) -> Mapping[str, str]:
    """ISO day to the name of the holiday on which a location is closed, from year to year; `kept` is JSON."""
    return _named(kept, first, last) if kept else {}


def closures_with(closures: str, kept: str | None, first: int, last: int) -> str:
    """The closures of a location, its holidays among them, as JSON like both."""
    return _closures_with(closures, kept, first, last) if kept else closures


def closures_ahead(closures: Sequence[Mapping[str, Any]], kept: Mapping[str, Any] | None, today: date) -> list[Any]:
    """The closures, and the holidays of every year in which something can be booked."""
    found = named(json.dumps(kept) if kept else None, today.year - 1, today.year + _YEARS_AHEAD)
    return [*closures, *({"from": day, "to": day} for day in found)]


@lru_cache(maxsize=256)
def _named(kept: str, first: int, last: int) -> Mapping[str, str]:
    said = json.loads(kept)
    found = calendar_of.country_holidays(
        said["country"], subdiv=said.get("subdivision"), years=range(first, last + 1), language="en_US"
    )
    days, names = set(said.get("open_days") or ()), {name.casefold() for name in said.get("open_names") or ()}
    # "Labor Day (observed)" is Labor Day to whoever works on it; several on one day are joined by "; ".
    return {
        day.isoformat(): name
        for day, name in sorted(found.items())
        if day.isoformat() not in days and not names & {part.partition(" (")[0].casefold() for part in name.split("; ")}
    }


@lru_cache(maxsize=1024)
def _closures_with(closures: str, kept: str, first: int, last: int) -> str:
    return json.dumps([*json.loads(closures), *({"from": day, "to": day} for day in _named(kept, first, last))])
