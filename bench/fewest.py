"""The fewest visits that move when one of the benchmark's courses is planned anew, counted without the planner.

A plain search over days, from the last main session to the first, that counts moves and nothing else. It knows the
rules that those courses have, and refuses others.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from operator import attrgetter
from typing import NamedTuple
from zoneinfo import ZoneInfo

from scheduler.core.bitmap import bits
from scheduler.core.planner import Leaf, Main, Problem, Span

_FIVE = timedelta(minutes=5)
#: Days to the next main session; None: there is none.
Gap = int | None
#: Day of a main session -> gap -> how many of it and its leaf move at least.
Legs = Mapping[date, Mapping[Gap, int]]


class Place(NamedTuple):
    """A start that a session may have, and whether that moves it."""

    slot: int
    day: date
    moves: int


_SLOT = attrgetter("slot")


def fewest(problem: Problem) -> int | None:
    """How many booked visits must move at least; None: there is no plan."""
    _require_known_rules(problem)
    legs = [_legs(problem, place) for place in range(len(problem.mains))]
    if not problem.spans:
        return _along(legs, {})
    (span,) = problem.spans
    found = (_along(legs, _window(span, day)) for day in legs[span.first])
    return min((each for each in found if each is not None), default=None)


def _require_known_rules(problem: Problem) -> None:
    gaps = [main.gap for main in problem.mains if main.gap is not None]
    leaves = [main.leaf for main in problem.mains if main.leaf is not None]
    plain = not any(gap.rest or gap.clinic_days or gap.min < 1 for gap in gaps)
    plain &= all(leaf.before_next and not leaf.same_day and leaf.window.edge == "end" for leaf in leaves)
    if not plain or problem.caps or problem.discords or problem.continuity == "required" or len(problem.spans) > 1:
        raise ValueError("a course with rules that this search does not know")


def _window(span: Span, day: date) -> Mapping[int, tuple[date, date]]:
    """The days that are left to the ends of a span when its first session is on that one."""
    return {
        span.first: (day, day),
        span.last: (day + timedelta(days=span.min_days), day + timedelta(days=span.max_days)),
    }


def _along(legs: Sequence[Legs], windows: Mapping[int, tuple[date, date]]) -> int | None:
    """The fewest moves of all main sessions, one after the other."""
    after: dict[date, int] = {}
    for place in range(len(legs) - 1, -1, -1):
        first, last = windows.get(place, (date.min, date.max))
        here: dict[date, int] = {}
        for day, by_gap in legs[place].items():
            if first <= day <= last:
                ways = list(_ways(day, by_gap, after))
                if ways:
                    here[day] = min(ways)
        after = here
    return min(after.values(), default=None)


def _ways(day: date, by_gap: Mapping[Gap, int], after: Mapping[date, int]) -> Iterator[int]:
    for gap, moves in by_gap.items():
        then = 0 if gap is None else after.get(day + timedelta(days=gap))
        if then is not None:
            yield moves + then


def _legs(problem: Problem, place: int) -> Legs:
    main, last = problem.mains[place], place + 1 == len(problem.mains)
    following = None if last else problem.mains[place + 1].gap
    gaps: Sequence[Gap] = [None] if following is None else range(following.min, following.max + 1)
    leaves = [] if main.leaf is None else _places(problem, main.leaf)
    legs: dict[date, dict[Gap, int]] = {}
    for at in _places(problem, main):
        known = legs.setdefault(at.day, {})
        for gap in gaps:
            talk = 0 if main.leaf is None else _talk(main.leaf, leaves, at.slot + main.minutes // 5, at.day, gap)
            if talk is not None:
                known[gap] = min(known.get(gap, 2), at.moves + talk)
    return legs


def _talk(leaf: Leaf, leaves: Sequence[Place], over: int, day: date, gap: Gap) -> int | None:
    """Whether a leaf moves, after a main session that is over then; None when it has no place before the next one."""
    first = bisect_left(leaves, over + leaf.window.min / 5, key=_SLOT)
    past = bisect_right(leaves, over + leaf.window.max / 5, key=_SLOT)
    latest = date.max if gap is None else day + timedelta(days=gap)
    return min((each.moves for each in leaves[first:past] if day < each.day < latest), default=None)


def _places(problem: Problem, visit: Main | Leaf) -> list[Place]:
    """Where a session may start, in order of time: where it stands, if that is not to be moved."""
    grid, zone, key = problem.grid, ZoneInfo(problem.grid.zone), visit.session_id
    found = []
    for slot in [problem.pinned[key]] if key in problem.pinned else bits(visit.starts):
        wall = (grid.origin + slot * _FIVE).astimezone(zone)
        inside = 0 <= (wall.date() - grid.first_day).days < grid.days and not wall.minute % grid.row_minutes
        if inside or key in problem.pinned:
            found.append(Place(slot, wall.date(), int(problem.booked.get(key, slot) != slot)))
    return found
