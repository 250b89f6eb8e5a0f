"""The days on which a location is open, where a course counts clinic days; nothing is read where none does."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from scheduler.core.bitmap import Timeline, runs
from scheduler.core.call import Call
from scheduler.core.civil import to_local
from scheduler.core.course import SessionSpec
from scheduler.core.opendays import EVERY_DAY, OpenDays
from scheduler.core.site import Site
from scheduler.services.premises import premises
from scheduler.services.public_holidays import closures_with
from scheduler.services.rosters import Place

#: So far around what stands a session may be looked for.
_AROUND = timedelta(days=120)


def days_within(slots: int, timeline: Timeline, time_zone: str) -> set[date]:
    """The local days of which some is among the slots: one stretch may be many days."""
    found = set()
    for stretch in runs(slots):
        day, last = (to_local(timeline.instant(slot), time_zone).date() for slot in (stretch[0], stretch[1] - 1))
        found |= {day + timedelta(days=more) for more in range((last - day).days + 1)}
    return found


def at_site(specs: Iterable[SessionSpec], site: Site) -> OpenDays:
    """By the calendars at hand."""
    if not any(spec.clinic_days for spec in specs):
        return EVERY_DAY
    return _within(site.counted, site.timeline, site.time_zone)


def around(
    session: Session, call: Call, location_id: UUID, specs: Iterable[SessionSpec], days: Collection[date]
) -> OpenDays:
    """By the location's hours and closures, around those days, such as those on which sessions stand."""
    if not days or not any(spec.clinic_days for spec in specs):
        return EVERY_DAY
    return known(location_id, premises(session, call, location_id).location, specs, days)


def known(location_id: UUID, row: Any, specs: Iterable[SessionSpec], days: Collection[date]) -> OpenDays:
    """The same by the location's row."""
    if not days or not any(spec.clinic_days for spec in specs):
        return EVERY_DAY
    first, last = (datetime.combine(day, time(), tzinfo=UTC) for day in (min(days), max(days)))
    timeline = Timeline.covering(first - _AROUND, last + _AROUND)
    closures = closures_with(row.closures, row.holidays, timeline.origin.year, timeline.end.year)
    place = Place(location_id, row.time_zone, row.hours, closures, timeline)
    return _within(place.open, timeline, row.time_zone)


def _within(opened: int, timeline: Timeline, time_zone: str) -> OpenDays:
    # The days at its edges are known in part.
    first, last = (to_local(each, time_zone).date() for each in (timeline.origin, timeline.end))
    days = days_within(opened, timeline, time_zone)
    return OpenDays.among(days, first + timedelta(days=1), last - timedelta(days=1))
