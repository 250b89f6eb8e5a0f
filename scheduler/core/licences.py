"""Where somebody may practice: for visits by video, whoever serves must be licensed where the patient is.

A role names its regions by ISO 3166-2; one for a country holds in all its subdivisions. Without regions it is licensed
for none by video. Which visits are by video, the visit type says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date
from functools import reduce
from operator import and_
from typing import Any
from uuid import UUID

from scheduler.core.availability import Calendar
from scheduler.core.hours import valid_on


def covers(regions: Iterable[str] | None, region: str) -> bool:
    """Whether one of the regions is that one, or the country that it belongs to."""
    return not {region, region.partition("-")[0]}.isdisjoint(regions or ())


def selector_in(selector: str, region: str) -> str:
    """What a calendar calls serving as `selector` with a license for that region."""
    return f"{selector}@{region}"


def licensed(calendars: Mapping[UUID, Calendar], selectors: Iterable[str], region: str) -> dict[UUID, Calendar]:
    """The calendars with only those qualifications that hold for a patient in the region."""
    wanted = list(selectors)
    found = {}
    for key, calendar in calendars.items():
        serves = {}
        for selector in wanted:
            days = 0
            for place in {region, region.partition("-")[0]}:
                days |= calendar.serves.get(selector_in(selector, place), 0)
            if days:
                serves[selector] = days
        found[key] = replace(calendar, serves=serves)
    return found


def licensed_in_all(
    calendars: Mapping[UUID, Calendar], selectors: Iterable[str], regions: Iterable[str]
) -> dict[UUID, Calendar]:
    """The same for several patients who are seen at once, each in a region of their own."""
    wanted = list(selectors)
    some = [licensed(calendars, wanted, region) for region in regions]
    return {
        key: replace(
            calendar,
            serves={each: reduce(and_, (other[key].serves.get(each, 0) for other in some)) for each in wanted},
        )
        for key, calendar in calendars.items()
    }


def holds_license(
    roles: Iterable[Mapping[str, Any]], selector: str, location_id: UUID, region: str, days: Iterable[date]
) -> bool:
    """Whether on each of these days one of the roles serves as `selector` there with a license for the region."""
    entries = [
        role
        for role in roles
        if f"role:{role['code']}" == selector
        and role.get("location_id") in (None, str(location_id))
        and covers(role.get("regions"), region)
    ]
    return all(any(valid_on(entry, day) for entry in entries) for day in days)
