"""How far ahead a course's planning looks, and whether a plan could lie beyond. No calendar is read here.

A short look comes first, since most of what planning costs in a process that was never asked is reading calendars.
What it finds stands where nothing beyond could be as good: longer ones are for the courses of which that is not so.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Literal

from scheduler.core.call import Call
from scheduler.core.course import SessionSpec
from scheduler.core.course_limits import days_of, days_of_leaves, reach_of
from scheduler.core.planner import Plan, Weights
from scheduler.core.spacing import Booked
from scheduler.models import Course

#: `first` is for the plan that most courses have, `near` for every plan within the limits, as far as these tell;
#: `far` leaves room for limits that are lifted.
Look = Literal["first", "near", "far"]

#: How many days past its targets a course is looked for at first.
EASE_DAYS = 28
#: How many days past the sum of its longest gaps a course is looked for; the clinic's horizon cuts it short.
SLACK_DAYS = 56


@dataclass(frozen=True)
class Extent:
    """The time that is looked at (a day of margin is added), and whether it holds every lawful plan there is."""

    start: datetime
    end: datetime
    is_whole: bool = False


def extent_of(
    call: Call,
    course: Course,
    specs: Sequence[SessionSpec],
    standing: Mapping[int, Booked],
    look: Look,
    loose: Collection[int] = (),
) -> Extent:
    """From the first day on which something may be planned to the last that is looked at, with all that stands."""
    first = datetime.combine(course.start_after, time(0), tzinfo=call.now.tzinfo)
    begin = max(first, call.now)
    reach = reach_of(specs, course.start_after, begin.date(), {i: each.day for i, each in standing.items()}, loose)
    after = timedelta(days=days_of_leaves(specs) + 1)  # to the west, a local day ends on the next one
    whole = None if reach.latest is None else _midnight(reach.latest, call) + after
    far = begin + timedelta(days=days_of(specs, near=look != "far") + SLACK_DAYS)
    eased = _midnight(reach.target, call) + after + timedelta(days=EASE_DAYS)
    last = {"first": min(eased, whole or far), "near": whole or far, "far": max(far, whole or far)}[look]
    stood = [place.starts_at for place in standing.values()]
    start, end = min(begin, *stood, last), max(begin, last, *stood)
    return Extent(start, end, whole is not None and whole <= end)


def none_later(best: Plan, weights: Weights, days: int, specs: Sequence[SessionSpec]) -> bool:
    """Whether no plan that goes beyond so many local days of the grid could cost as little: by its finish alone."""
    return best.cost < weights.finish * (days - days_of_leaves(specs))


def _midnight(day: date, call: Call) -> datetime:
    return datetime.combine(day, time(0), tzinfo=call.now.tzinfo)
