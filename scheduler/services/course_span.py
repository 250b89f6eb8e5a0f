"""How far ahead a course's planning looks, and whether a plan could lie beyond. No calendar is read here.

A short look comes first, since most of what planning costs in a process that was never asked is reading calendars.
What it finds stands where nothing beyond could be as good: longer ones are for the courses of which that is not so.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Literal
from uuid import UUID

from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.course import SessionSpec, through_gate
from scheduler.core.course_limits import days_of, days_of_leaves, reach_of
from scheduler.core.planner import Plan, Weights
from scheduler.core.protocol import Protocol
from scheduler.core.spacing import Booked
from scheduler.services import course_rules
from scheduler.services.catalog import Kind, parsed, visit_kinds
from scheduler.services.courses import CourseView

#: `first` is for the plan that most courses have. `whole` holds every plan within the limits, where these tell how far
#: that is, and is `far` where they do not; `near` is then shorter. `far` leaves room for limits that are lifted.
#: `standing` is what stands, and nothing else.
Look = Literal["standing", "first", "near", "whole", "far"]

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


@dataclass(frozen=True)
class Layout:
    """A course's sessions as far as they are to be planned, and where they stand; the `loose` ones may be moved."""

    protocol: Protocol
    specs: tuple[SessionSpec, ...]
    kinds: Mapping[str, Kind]
    standing: Mapping[int, Booked]
    loose: Collection[int]


def layout_of(
    session: Session, call: Call, course: CourseView, *, through: str = "all", ignoring: Collection[UUID] = ()
) -> Layout:
    """Read it. `ignoring` are the appointments that may be moved."""
    kinds = visit_kinds(session, call) if course.kinds is None else course.kinds
    protocol = course_rules.chosen(parsed(course.protocol, kinds), course.row)
    specs = course_rules.specs_of(protocol, course.row, course.sessions)
    if through == "next_gate":
        passed = frozenset(gate.key for gate in course.gates if gate.outcome in {"passed", "waived"})
        specs = through_gate(specs, passed)
    loose = {s.position for s in course.sessions if s.id in course.booked and course.booked[s.id].id in ignoring}
    return Layout(protocol, specs, kinds, course.stands, loose)


def extent_of(call: Call, course: CourseView, layout: Layout, look: Look) -> Extent:
    """From the first day on which something may be planned to the last that is looked at, with all that stands."""
    specs, begin_on = layout.specs, course.row.start_after
    begin = max(_midnight(begin_on, call), call.now)
    stood = [place.starts_at for place in layout.standing.values()]
    if look == "standing":
        return Extent(min(stood, default=begin), max(stood, default=begin))
    days = {index: place.day for index, place in layout.standing.items()}
    reach = reach_of(specs, begin_on, begin.date(), days, layout.loose)
    after = timedelta(days=days_of_leaves(specs) + 1)  # to the west, a local day ends on the next one
    whole = None if reach.latest is None else _midnight(reach.latest, call) + after
    far, near = (begin + timedelta(days=days_of(specs, near=each) + SLACK_DAYS) for each in (False, True))
    eased = _midnight(reach.target, call) + after + timedelta(days=EASE_DAYS)
    last = {
        "first": min(eased, whole or near),
        "near": whole or near,
        "whole": whole or far,
        "far": max(far, whole or far),
    }[look]
    start, end = min(begin, *stood, last), max(begin, last, *stood)
    return Extent(start, end, whole is not None and whole <= end)


def common_span(extents: Iterable[Extent]) -> tuple[datetime, datetime]:
    """What to load for several courses, so that all of them speak of one timeline."""
    known = list(extents)
    return min(each.start for each in known), max(each.end for each in known)


def none_later(best: Plan, weights: Weights, days: int, specs: Collection[SessionSpec]) -> bool:
    """Whether no plan that goes beyond so many local days of the grid could cost as little: by its finish alone."""
    return best.cost < weights.finish * (days - days_of_leaves(tuple(specs)))


def _midnight(day: date, call: Call) -> datetime:
    return datetime.combine(day, time(0), tzinfo=call.now.tzinfo)
