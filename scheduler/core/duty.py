"""Whether what is booked still stands after a change of hours, roles, closures or absences: facts in, yes or no out.

Which duties there are, and who is told, lives elsewhere; whether a *new* visit fits is the business of `availability`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from scheduler.core.civil import to_local
from scheduler.core.hours import closed_spans, open_spans, valid_on
from scheduler.core.intervals import Span, subtract, union
from scheduler.core.licences import covers

_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True)
class Place:
    """A location's facts, as in the API."""

    id: UUID
    time_zone: str
    hours: Sequence[Mapping[str, Any]]
    closures: Sequence[Mapping[str, Any]]
    certifications: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Roster:
    """When someone or something is meant to be where. `hours` None keeps the location's; `extra` are one-off shifts."""

    resource_id: UUID
    kind: str
    roles: Sequence[Mapping[str, Any]]
    hours: Sequence[Mapping[str, Any]] | None
    extra: tuple[tuple[UUID, Span], ...] = ()

    @property
    def location_ids(self) -> set[str]:
        """Where a practitioner has hours, or anybody a shift."""
        weekly = {entry["location_id"] for entry in self.hours or () if "location_id" in entry}
        return weekly | {str(location_id) for location_id, _ in self.extra}

    @property
    def selectors(self) -> set[str]:
        """What the roles are called in an occupancy."""
        return {f"role:{role['code']}" for role in self.roles}


@dataclass(frozen=True)
class Duty:
    """One stretch of one visit that someone or something is booked for. `certifications` are what the site must hold.

    `keeps_site_hours` is true of a patient, and of a room or device without hours of its own.
    """

    appointment_id: UUID
    resource_id: UUID
    location_id: UUID
    selector: str
    span: Span
    present: bool = False
    keeps_site_hours: bool = False
    certifications: tuple[str, ...] = ()
    #: Where the patient is, for a visit by video.
    region: str | None = None
    #: Who was asked for by name to be present: nobody else will do.
    by_name: frozenset[UUID] = frozenset()


def site_holds(place: Place, duties: Collection[Duty]) -> set[Duty]:
    """The duties at a location that its hours, closures and certifications allow."""
    if not duties:
        return set()
    first, last = _days(place.time_zone, duties)
    closed = closed_spans(place.closures, place.time_zone, first, last)
    within = _container(subtract(open_spans(place.hours, place.time_zone, first, last), closed))
    return {
        duty
        for duty in duties
        if (within(duty.span) if duty.keeps_site_hours else not any(duty.span.overlaps(hole) for hole in closed))
        and all(certified(place, code, duty.span) for code in duty.certifications)
    }


def roster_holds(roster: Roster, places: Mapping[UUID, Place], duties: Collection[Duty]) -> set[Duty]:
    """The duties of one resource that its hours and roles allow."""
    held: set[Duty] = set()
    for location_id, place in places.items():
        there = [duty for duty in duties if duty.location_id == location_id]
        if there:
            within = _container(stays(roster, place, *_days(place.time_zone, there)))
            held |= {duty for duty in there if within(duty.span) and qualified(roster, place, duty)}
    return held


def covered(duty: Duty, place: Place, rosters: Iterable[Roster], absences: Mapping[UUID, Sequence[Span]]) -> bool:
    """Whether at every instant of the duty somebody with its role who will do is on site, in turn if need be."""
    days = _days(place.time_zone, [duty])
    there: list[Span] = []
    for roster in rosters:
        if (not duty.by_name or roster.resource_id in duty.by_name) and qualified(roster, place, duty):
            there += subtract(stays(roster, place, *days), absences.get(roster.resource_id, ()))
    return _container(union(there))(duty.span)


def stays(roster: Roster, place: Place, first: date, last: date) -> list[Span]:
    """When the roster has it at the location, on the local days first..last; closures are not looked at."""
    if roster.kind == "practitioner":
        hours = [entry for entry in roster.hours or () if entry.get("location_id") == str(place.id)]
    else:
        hours = list(place.hours if roster.hours is None else roster.hours)
    shifts = [span for location_id, span in roster.extra if location_id == place.id]
    return union([*open_spans(hours, place.time_zone, first, last), *shifts])


def qualified(roster: Roster, place: Place, duty: Duty) -> bool:
    """Whether a practitioner may serve in that role there on each of the duty's days. Things always may."""
    if roster.kind != "practitioner":
        return True
    entries = [
        role
        for role in roster.roles
        if f"role:{role['code']}" == duty.selector
        and role.get("location_id") in (None, str(place.id))
        and (duty.region is None or covers(role.get("regions"), duty.region))
    ]
    return _valid_throughout(entries, place.time_zone, duty.span)


def certified(place: Place, code: str, span: Span) -> bool:
    """Whether the site holds that certification on each of the span's days."""
    held = [entry for entry in place.certifications if entry.get("code") == code]
    return _valid_throughout(held, place.time_zone, span)


def _valid_throughout(entries: Sequence[Mapping[str, Any]], time_zone: str, span: Span) -> bool:
    edges = {_day(span.start, time_zone), _day(span.end - _INSTANT, time_zone)}
    return all(any(valid_on(entry, day) for entry in entries) for day in edges)


def _day(instant: datetime, time_zone: str) -> date:
    return to_local(instant, time_zone).date()


def _days(time_zone: str, duties: Collection[Duty]) -> tuple[date, date]:
    """The local days between which all of them lie."""
    return (
        _day(min(duty.span.start for duty in duties), time_zone),
        _day(max(duty.span.end for duty in duties), time_zone),
    )


def _container(spans: Sequence[Span]) -> Callable[[Span], bool]:
    """A test of whether one of these disjoint sorted spans contains another span."""
    starts = [span.start for span in spans]

    def contains(wanted: Span) -> bool:
        place = bisect_right(starts, wanted.start) - 1
        return place >= 0 and spans[place].contains(wanted)

    return contains
