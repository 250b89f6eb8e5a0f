"""A course's limits over several sessions, as the planner's spans and caps. Limits between two neighbors are gaps."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date, timedelta
from itertools import groupby
from typing import NamedTuple

from scheduler.core.course import SessionSpec
from scheduler.core.planner import Cap, Gap, Rest, Span

#: Days of a limit that there is not.
NO_LIMIT = 10_000


#: A rule without an upper limit is planned within so many days.
OPEN_ENDED_DAYS = 56


def days_of(specs: Sequence[SessionSpec], *, near: bool = False) -> int:
    """How many days sessions may take by their longest gaps. `near` counts those between main sessions alone."""
    asked = (spec.gap for spec in specs if spec.kind == "main" or not near)
    return sum(gap[2] if gap and gap[2] is not None else OPEN_ENDED_DAYS for gap in asked)


def days_of_leaves(specs: Sequence[SessionSpec]) -> int:
    """How many days after its main session a leaf may be at most, clocks and part of a day included."""
    return max((spec.window.maximum // (24 * 60) + 3 for spec in specs if spec.window is not None), default=0)


class Reach(NamedTuple):
    """The local day of the last main session by the targets, and the last day on which any main session may fall.

    `latest` is None where that is not known: the first session has no limit, or a limit counts open days.
    """

    target: date
    latest: date | None


def reach_of(
    specs: Sequence[SessionSpec],
    start_after: date,
    today: date,
    standing: Mapping[int, date],
    loose: Collection[int] = (),
) -> Reach:
    """How far a course may reach that begins on `start_after` at the soonest.

    `standing` is where its sessions stand, by index; the `loose` among them may stay there or be moved.
    """
    target = latest = furthest = start_after
    known = False
    for place, spec in enumerate(spec for spec in specs if spec.kind == "main"):
        stands, gap = standing.get(spec.index), gap_of(spec)
        if stands is not None and spec.index not in loose:
            target = latest = stands
            known = True
        else:
            is_limited = spec.gap is not None and spec.gap[2] is not None
            known = not spec.clinic_days and (known if place else is_limited)
            target = max(target + timedelta(days=gap.target), today)
            latest = max(latest + timedelta(days=gap.max), stands or latest)
        furthest = max(furthest, latest)
    return Reach(max(target, today), furthest if known else None)


def gap_of(spec: SessionSpec) -> Gap:
    """What lies between a main session and the one before."""
    least, target, most = spec.gap or (1, 1, None)
    rest = None if spec.rest is None else Rest(spec.rest.minimum, spec.rest.maximum, spec.rest.edge)
    return Gap(least, target, max(least, OPEN_ENDED_DAYS if most is None else most), rest, spec.clinic_days)


def day_spans(mains: Sequence[SessionSpec]) -> Iterator[Span]:
    """The days that phases may take."""
    places = {spec.index: place for place, spec in enumerate(mains)}
    last: dict[tuple[int, int], int] = {}
    for place, spec in enumerate(mains):
        if spec.span is not None:
            last[spec.span] = place
    for (first, days), place in last.items():
        since = places.get(first)  # a phase whose first session was lost counts from none
        if since is not None and since < place:
            yield Span(since, place, days)


def bound_spans(mains: Sequence[SessionSpec]) -> Iterator[Span]:
    """Days that are counted from a session further back."""
    places = {spec.index: place for place, spec in enumerate(mains)}
    for place, spec in enumerate(mains):
        for bound in (each for each in spec.bounds if each.anchor in places):
            most = max(bound.least, NO_LIMIT if bound.most is None else bound.most)
            yield Span(places[bound.anchor], place, most, bound.least)


def caps(mains: Sequence[SessionSpec]) -> Iterator[Cap]:
    """How many sessions of a phase fall within some days."""
    for phase, some in groupby(enumerate(mains), key=lambda each: (each[1].phase, each[1].limits)):
        places = [place for place, _ in some]
        for limit in phase[1]:
            yield Cap(places[0], places[-1], limit.most, limit.days)
