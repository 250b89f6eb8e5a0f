"""How much goes on at a location, slot by slot: starts by kind of visit, people and rooms taken beside those there are.

Facts in, numbers out; a slot counts what it holds at its fullest five minutes. Where the facts come from is elsewhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate

from scheduler.core.bitmap import SLOT_MINUTES, Timeline, runs
from scheduler.core.civil import to_local
from scheduler.core.hours import WEEKDAYS
from scheduler.core.intervals import Span
from scheduler.core.policies import Allowed

QUARTER_MINUTES = 15


@dataclass(frozen=True)
class Start:
    """A visit that begins: its kind and how long the patient stays."""

    visit_type: str
    at: datetime
    minutes: int


@dataclass(frozen=True)
class Planned:
    """Of visits up to `minutes` long (and longer than the class before): starts meant for the slot, and there."""

    minutes: int
    starts: int
    booked: int


@dataclass(frozen=True)
class Filled:
    """One slot. `template` is empty where the clinic has none."""

    start: datetime
    end: datetime
    starts: Mapping[str, int]
    taken: int
    rostered: int
    rooms_taken: int
    rooms_open: int
    template: tuple[Planned, ...]


@dataclass(frozen=True)
class Facts:
    """What there is: (mask, units) of who is there and of the rooms, and a span for each unit taken."""

    starts: Sequence[Start]
    rostered: Sequence[tuple[int, int]]
    taken: Sequence[Span]
    rooms: Sequence[tuple[int, int]]
    rooms_taken: Sequence[Span]


def heat(
    facts: Facts,
    timeline: Timeline,
    bounds: tuple[datetime, datetime],
    step: int,
    time_zone: str,
    template: Sequence[Allowed] = (),
) -> list[Filled]:
    """The slots of `step` minutes from the first bound (on the grid) up to the second; the last one may be cut off."""
    lines = [
        _counted(_runs_of(facts.taken, timeline), timeline),
        _counted([(run, units) for mask, units in facts.rostered for run in runs(mask)], timeline),
        _counted(_runs_of(facts.rooms_taken, timeline), timeline),
        _counted([(run, units) for mask, units in facts.rooms for run in runs(mask)], timeline),
    ]
    start, past = bounds
    width = timedelta(minutes=step)
    by_slot: dict[int, list[Start]] = {}
    for each in facts.starts:
        by_slot.setdefault((each.at - start) // width, []).append(each)
    found = []
    for number in range(-((start - past) // width)):
        begins = start + number * width
        ends = min(begins + width, past)
        first, last = timeline.slot(begins), timeline.slot_after(ends)
        most = [max(line[first:last], default=0) for line in lines]
        here = by_slot.get(number, [])
        planned = _planned(template, here, begins, step, time_zone)
        counts = dict(sorted(Counter(each.visit_type for each in here).items()))
        found.append(Filled(begins, ends, counts, most[0], most[1], most[2], most[3], planned))
    return found


def _planned(
    template: Sequence[Allowed], here: Sequence[Start], begins: datetime, step: int, time_zone: str
) -> tuple[Planned, ...]:
    """The template's classes for one slot; each start counts in the shortest class that holds it."""
    if not template:
        return ()
    allowed: Counter[int] = Counter()
    for quarter in range(0, step, QUARTER_MINUTES):
        local = to_local(begins + timedelta(minutes=quarter), time_zone)
        clock, weekday = local.strftime("%H:%M"), WEEKDAYS[local.weekday()]
        for each in template:
            if local.minute % QUARTER_MINUTES == 0 and each.start <= clock < each.end:
                allowed[each.minutes] += each.starts if weekday in (each.weekdays or WEEKDAYS) else 0
    booked: Counter[int] = Counter()
    for start in here:
        fitting = [minutes for minutes in allowed if start.minutes <= minutes]
        if fitting:
            booked[min(fitting)] += 1
    return tuple(Planned(minutes, allowed[minutes], booked[minutes]) for minutes in sorted(allowed))


def _runs_of(spans: Iterable[Span], timeline: Timeline) -> list[tuple[tuple[int, int], int]]:
    return [((timeline.slot(span.start), timeline.slot_after(span.end)), 1) for span in spans]


def _counted(weighed: Iterable[tuple[tuple[int, int], int]], timeline: Timeline) -> list[int]:
    """How many units hold each slot: the steps up and down, added up."""
    steps = [0] * (timeline.slots + 1)
    for (first, past), units in weighed:
        begins, ends = max(first, 0), min(past, timeline.slots)
        if begins < ends:
            steps[begins] += units
            steps[ends] -= units
    return list(accumulate(steps))


def minutes_of(start: datetime, end: datetime) -> int:
    """Whole minutes, on the grid."""
    return max(SLOT_MINUTES, (end - start) // timedelta(minutes=1))
