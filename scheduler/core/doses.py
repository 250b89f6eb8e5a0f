"""How close together a patient's doses may be, in whatever courses and places they are given. None is looked up here.

Hours between doses are elapsed; a window counts local calendar days, so that the same hour every week stays the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from scheduler.core.bar import Bar
from scheduler.core.bitmap import SLOT_MINUTES, Timeline
from scheduler.core.site import valid_days
from scheduler.core.visit import VisitType

_SLOT = timedelta(minutes=SLOT_MINUTES)
_NOTABLE = timedelta(hours=1)


@dataclass(frozen=True)
class Dose:
    """A dose given or planned: when (aware), on which local day where it is given, and in what kind of visit."""

    at: datetime
    day: date
    visit: VisitType


def dose_of(visit: VisitType, starts_at: datetime, day: date, given_at: datetime | None = None) -> Dose:
    """The dose of a visit: when it was given, or else when its segment is planned."""
    return Dose(given_at or starts_at + _offset(visit), day, visit)


def delayed(visit: VisitType, starts_at: datetime, given_at: datetime | None) -> timedelta:
    """By how much later than planned the dose was given, less than nothing when it was sooner; up to the next slot.

    Less than an hour is no delay for the days that follow: plans lie at the edge of a window, and no morning is to the
    minute. (How far doses are from each other is asked of when they were given, always.)
    """
    late = timedelta() if given_at is None else given_at - starts_at - _offset(visit)
    return timedelta() if abs(late) < _NOTABLE else -(-late // _SLOT) * _SLOT


def dose_bars(visit: VisitType, doses: Sequence[Dose], timeline: Timeline, time_zone: str) -> tuple[Bar, ...]:
    """The starts of such a visit that the patient's other doses forbid."""
    if visit.kind != "dosing" or not doses:
        return ()
    return (*_interval_bars(visit, doses, timeline), *_window_bars(visit, doses, timeline, time_zone))


def crowded(doses: Sequence[Dose]) -> Iterator[tuple[Dose, Dose]]:
    """Pairs of these doses, in order, that are closer together than the kind of either allows."""
    for place, dose in enumerate(doses):
        for other in doses[place + 1 :]:
            hours = max(_hours(dose.visit, other.visit), _hours(other.visit, dose.visit))
            if other.at - dose.at < timedelta(hours=hours):
                yield dose, other
    for place, dose in enumerate(doses):
        limits = dose.visit.limits
        if limits.most is None or limits.days is None:
            continue
        before = [other for other in doses[:place] if limits.counts(dose.visit, other.visit)]
        if len(before) >= limits.most and (dose.day - before[-limits.most].day).days < limits.days:
            yield before[-limits.most], dose


def least_minutes(before: VisitType, visit: VisitType) -> int:
    """From the start of a visit to that of a later one at least, by the hours that either wants between their doses."""
    if before.kind != "dosing" or visit.kind != "dosing":
        return 0
    hours = max(_hours(before, visit), _hours(visit, before))
    apart = timedelta(hours=hours) + _offset(before) - _offset(visit)
    return max(0, apart // timedelta(minutes=1)) if hours else 0


def _interval_bars(visit: VisitType, doses: Sequence[Dose], timeline: Timeline) -> Iterator[Bar]:
    """One bar for each number of hours: that of the new visit, or of the other one where it wants more."""
    apart: dict[int, int] = {}
    for dose in doses:
        hours = max(_hours(visit, dose.visit), _hours(dose.visit, visit))
        if hours:
            around = timedelta(hours=hours)
            at = dose.at - _offset(visit)
            first, past = timeline.slot(at - around) + 1, timeline.slot_after(at + around)
            barred = timeline.from_slot(first) & ~timeline.from_slot(past)
            apart[hours] = apart.get(hours, 0) | barred
    for hours, barred in sorted(apart.items()):
        yield Bar("dose_interval", f"Another dose of the patient is less than {hours} hours away.", barred)


def _window_bars(visit: VisitType, doses: Sequence[Dose], timeline: Timeline, time_zone: str) -> Iterator[Bar]:
    limits = visit.limits
    if limits.most is None or limits.days is None:
        return
    days = sorted(dose.day for dose in doses if limits.counts(visit, dose.visit))
    reach = timedelta(days=limits.days - 1)
    full = [
        {"valid_from": (last - reach).isoformat(), "valid_to": (first + reach).isoformat()}
        for first, last in zip(days, days[limits.most - 1 :], strict=False)
        if last - first <= reach
    ]
    detail = f"The patient would have more than {limits.most} dose(s) in {limits.days} days."
    yield Bar("dose_interval", detail, valid_days(full, time_zone, timeline))


def _hours(visit: VisitType, other: VisitType) -> int:
    """How many hours the visit wants between its dose and the other's."""
    limits = visit.limits
    return (limits.hours or 0) if limits.counts(visit, other) else 0


def _offset(visit: VisitType) -> timedelta:
    """From the visit's start to its dose: the segment before the watch, or one named so; else the start itself."""
    given, _ = visit.watched()
    name = given.name if given is not None else "dose"
    starts = [start for segment, start, _ in visit.offsets() if segment.name == name]
    return timedelta(minutes=starts[0] if starts else 0)
