"""How close a course's own doses may be by their visit types, as limits of the planner. Doses elsewhere are bars."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby, pairwise

from scheduler.core.course_limits import NO_LIMIT
from scheduler.core.doses import least_minutes
from scheduler.core.planner import Cap, Gap, Rest, Span
from scheduler.core.visit import VisitType

_DAY_MINUTES = 24 * 60


def rested(gap: Gap, before: VisitType, visit: VisitType) -> Gap:
    """The gap between two neighbors, with the hours that their doses want. A local day counts as one of 24 hours."""
    least = least_minutes(before, visit)
    if least <= (gap.min - 1) * _DAY_MINUTES:  # no start of those days is closer
        return gap
    if gap.rest is None:
        return replace(gap, rest=Rest(least, None, "start"))
    edge = before.minutes if gap.rest.edge == "end" else 0
    low = max(least, edge + gap.rest.min)
    high = None if gap.rest.max is None else max(low, edge + gap.rest.max)
    return replace(gap, rest=Rest(low, high, "start"))


def too_many(visits: Sequence[VisitType]) -> Iterator[tuple[int, int]]:
    """Places of main sessions, by their visits, that must be as far apart as the later one's limit has days."""
    for place, visit in enumerate(visits):
        limits = visit.limits
        if visit.kind != "dosing" or limits.most is None or limits.days is None:
            continue
        counted = [each for each in range(place) if _counts(visit, visits[each])]
        if len(counted) >= limits.most:
            yield counted[-limits.most], place


def dose_caps(visits: Sequence[VisitType]) -> Iterator[Cap]:
    """The limits of neighbors that all count for each other."""
    for first, last in _runs(visits):
        limits = visits[first].limits
        if limits.most is not None and last - first >= limits.most:
            yield Cap(first, last, limits.most, limits.days)


def dose_spans(visits: Sequence[VisitType]) -> Iterator[Span]:
    """The limits that others lie between."""
    runs = list(_runs(visits))
    for sooner, later in too_many(visits):
        if not any(first <= sooner and later <= last for first, last in runs):
            yield Span(sooner, later, NO_LIMIT, (visits[later].limits.days or 1))


def too_close(visits: Sequence[VisitType]) -> Iterator[tuple[int, int]]:
    """Places of neighbors, and the minutes from the start of one to that of the other at least."""
    for place, (before, visit) in enumerate(pairwise(visits), 1):
        least = least_minutes(before, visit)
        if least > 0:
            yield place, least


def _runs(visits: Sequence[VisitType]) -> Iterator[tuple[int, int]]:
    """The first and last places of neighbors with the same limit, which all count for each other."""
    for (limits, _, counts), some in groupby(
        enumerate(visits), key=lambda each: (each[1].limits, each[1].modality, _counts(each[1], each[1]))
    ):
        places = [place for place, _ in some]
        if counts and limits.most is not None and limits.days is not None:
            yield places[0], places[-1]


def _counts(visit: VisitType, other: VisitType) -> bool:
    return visit.kind == other.kind == "dosing" and visit.limits.counts(visit, other)
