"""A location over a timeline, from plain facts to bitmaps: who is rostered, what is closed, which rules bar a start.

The facts come from rows, elsewhere; `Site.clinic` is what one visit's search sees of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

from scheduler.core.availability import Calendar, Clinic
from scheduler.core.bar import Bar
from scheduler.core.bitmap import Timeline, dilate, erode
from scheduler.core.civil import to_local
from scheduler.core.clinical_hold import freezes
from scheduler.core.demand import Demand
from scheduler.core.hours import closed_spans, edge, open_spans
from scheduler.core.intervals import Span
from scheduler.core.licences import licensed
from scheduler.core.rooms import RoomPool
from scheduler.core.value import lightweight
from scheduler.core.visit import VisitType

#: Outcomes of a clearance that stand in the way rather than open it.
ADVERSE = frozenset({"declined", "failed", "revoked", "expired", "pending"})


#: With which scope a clearance is recorded.
CLEARS = "patients:write"


@dataclass(frozen=True)
class ClearanceFact:
    """A dated statement about the patient; `valid_to` is inclusive, None is open."""

    kind: str
    modality: str | None
    outcome: str
    valid_from: date
    valid_to: date | None

    def speaks_of(self, kind: str, modality: str | None) -> bool:
        """Whether it is such a statement, for that modality or for all."""
        return self.kind == kind and self.modality in (None, modality)

    def covers(self, day: date) -> bool:
        """Whether it is valid on that day."""
        return self.valid_from <= day and (self.valid_to is None or day <= self.valid_to)


def is_cleared(facts: Iterable[ClearanceFact], kind: str, modality: str | None, day: date) -> bool:
    """Whether the statements, in the order in which they were made, clear the patient on that day."""
    said = [fact.outcome for fact in facts if fact.speaks_of(kind, modality) and fact.covers(day)]
    return bool(said) and said[-1] not in ADVERSE


class Weekly(NamedTuple):
    """What is the same in each week, as if the location never closed: its hours, those of its resources, by id.

    `with_it` are the things that have no hours but the location's.
    """

    open: int
    rostered: Mapping[UUID, int]
    with_it: frozenset[UUID]


@lightweight
class Site:
    """One location's calendars and rules over a timeline. Instants are aware UTC."""

    timeline: Timeline
    time_zone: str
    open: int
    closed: int
    certifications: tuple[Mapping[str, Any], ...]
    calendars: Mapping[UUID, Calendar]
    patient: Calendar | None
    clearances: tuple[ClearanceFact, ...]
    earliest: datetime
    latest: datetime
    now: datetime
    #: Bars that the caller adds: gaps between doses, say.
    further: tuple[Bar, ...] = ()
    pins: Mapping[str, frozenset[UUID]] = field(default_factory=dict)
    pools: Mapping[str, RoomPool] = field(default_factory=dict)
    #: Selector to the only people who may serve it, as the course asks.
    bound: Mapping[str, frozenset[UUID]] = field(default_factory=dict)
    #: ISO day to the name of the holiday that closes it.
    holidays: Mapping[str, str] = field(default_factory=dict)
    #: Where the patient will be during a visit by video; None when that is not known yet.
    region: str | None = None
    #: Clearances that are asked for besides those of the visit type.
    asked: tuple[str, ...] = ()
    #: Why the patient may not be dosed for the time being, if so.
    on_hold: str | None = None
    #: What was open before anybody thought of opening longer, while that is only thought of.
    open_before: int | None = None
    #: What closures take away from, for whoever thinks of opening in spite of them.
    weekly: Callable[[], Weekly] | None = None

    @property
    def counted(self) -> int:
        """When it is open as clinic days are counted: a day more that is open never makes a gap longer."""
        return self.open if self.open_before is None else self.open_before

    def clinic(self, visit: VisitType, demand: Demand, *, cleared: bool = True) -> Clinic:
        """What the search for that visit sees. `cleared=False` leaves out the patient's clearances (planning)."""
        bars = [*self._time_bars(), *self._opening_bars(demand), *self._certification_bars(demand), *self.further]
        if cleared and self.patient is not None:
            bars += self._clearance_bars(visit)
        if (held := self.held(visit)) is not None:
            bars.append(Bar("on_hold", held, self.timeline.everything))
        calendars = self.qualified(visit, demand)
        return Clinic(self.timeline, calendars, tuple(bars), self.patient, self.pins, self.pools, self.bound)

    def qualified(self, visit: VisitType, demand: Demand) -> Mapping[UUID, Calendar]:
        """The calendars with only those qualifications that hold for the patient: by video, where they are."""
        if not visit.video or self.region is None:
            return self.calendars
        return licensed(self.calendars, demand.selectors, self.region)

    def held(self, visit: VisitType) -> str | None:
        """Why the patient may not have such a visit for the time being, if so."""
        if self.on_hold is None or not freezes(visit):
            return None
        return f"A clinical hold stops the patient's dosing: {self.on_hold.replace('_', ' ')}."

    def _time_bars(self) -> Iterable[Bar]:
        timeline = self.timeline
        too_soon = timeline.everything & ~timeline.from_slot(timeline.slot_after(self.earliest))
        if self.earliest > self.now:
            yield Bar("lead_time", "It starts sooner than the clinic's lead time allows.", too_soon)
        else:
            yield Bar("lead_time", "It starts in the past.", too_soon)
        too_late = timeline.from_slot(timeline.slot(self.latest) + 1)
        yield Bar("horizon", "It starts later than the clinic takes bookings for.", too_late)

    def _opening_bars(self, demand: Demand) -> Iterable[Bar]:
        closed = dilate(self.closed, demand.patient_slots)
        yield Bar("location_closed", "The location is closed for some of it.", closed, self._holiday(demand))
        shut = self.timeline.everything & ~erode(self.open | self.closed, demand.patient_slots)
        yield Bar("outside_hours", "It is outside the location's opening hours.", shut)

    def _holiday(self, demand: Demand) -> Callable[[int], str] | None:
        """What to say of a start that meets a holiday: its name."""
        if not self.holidays:
            return None

        def said(slot: int) -> str:
            instants = (self.timeline.instant(each) for each in (slot, slot + demand.patient_slots - 1))
            days = {to_local(instant, self.time_zone).date().isoformat() for instant in instants}
            names = [self.holidays[day] for day in sorted(days) if day in self.holidays]
            return f"The location is closed for a holiday: {', '.join(names)}." if names else ""

        return said

    def _certification_bars(self, demand: Demand) -> Iterable[Bar]:
        for code in demand.site_certifications:
            held = [each for each in self.certifications if each.get("code") == code]
            missing = self.timeline.everything & ~valid_days(held, self.time_zone, self.timeline)
            yield Bar("location_not_certified", f"The location holds no valid '{code}' on that day.", missing)

    def _clearance_bars(self, visit: VisitType) -> Iterable[Bar]:
        for kind in dict.fromkeys((*visit.clearances, *self.asked)):
            cleared = 0
            for fact in self.clearances:  # in the order in which they were stated: a later one overrules
                if fact.speaks_of(kind, visit.modality):
                    entry = {"valid_from": fact.valid_from.isoformat()}
                    if fact.valid_to is not None:
                        entry["valid_to"] = fact.valid_to.isoformat()
                    days = valid_days([entry], self.time_zone, self.timeline)
                    cleared = cleared & ~days if fact.outcome in ADVERSE else cleared | days
            name = kind.replace("_", " ")
            detail = f"The patient has no valid '{name}' on that day: it is recorded with the scope {CLEARS}."
            yield Bar("gate_not_passed", detail, self.timeline.everything & ~cleared, item=kind)


def rostered(hours: Sequence[Mapping[str, Any]], time_zone: str, timeline: Timeline) -> int:
    """The slots of weekly hours in that zone."""
    return _rostered(json.dumps(hours, sort_keys=True), time_zone, timeline)


@lru_cache(maxsize=4096)
def _rostered(hours: str, time_zone: str, timeline: Timeline) -> int:
    first, last = _local_days(time_zone, timeline)
    return timeline.inside(open_spans(json.loads(hours), time_zone, first, last))


def closed_mask(closures: Sequence[Mapping[str, Any]], time_zone: str, timeline: Timeline) -> int:
    """The slots that some closure touches."""
    first, last = _local_days(time_zone, timeline)
    return timeline.touched(closed_spans(closures, time_zone, first, last))


def valid_days(entries: Sequence[Mapping[str, Any]], time_zone: str, timeline: Timeline) -> int:
    """The slots of the local days on which one of the entries ({valid_from?, valid_to?}) is valid."""
    return _valid_days(json.dumps(entries, sort_keys=True), time_zone, timeline) if entries else 0


@lru_cache(maxsize=4096)
def _valid_days(entries: str, time_zone: str, timeline: Timeline) -> int:
    mask = 0
    for entry in json.loads(entries):
        start = _day_edge(entry.get("valid_from"), time_zone, timeline.origin)
        end = _day_edge(entry.get("valid_to"), time_zone, timeline.end, after=True)
        if start < end:
            mask |= timeline.inside([Span(start, end)])
    return mask


def _day_edge(text: str | None, time_zone: str, default: datetime, *, after: bool = False) -> datetime:
    if text is None:
        return default
    return edge(datetime.fromisoformat(text) + timedelta(days=int(after)), time_zone, ends=False)


def _local_days(time_zone: str, timeline: Timeline) -> tuple[date, date]:
    return to_local(timeline.origin, time_zone).date(), to_local(timeline.end, time_zone).date()
