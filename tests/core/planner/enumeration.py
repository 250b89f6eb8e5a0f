"""The slowest planner: it tries every combination of starts and persons, and knows no trick at all.

Written from the rules alone, in instants and dates; it shares no line with the planner or its verifier.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from datetime import datetime, timedelta
from itertools import combinations, pairwise
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from scheduler.core.planner import Leaf, Main, Problem
from tests.core.planner.instances import set_bits

FIVE = timedelta(minutes=5)
#: More than any lawful course costs.
NEVER = 1 << 40


class At(NamedTuple):
    """A session at one of its starts."""

    visit: Any
    slot: int
    begins: datetime
    ends: datetime
    wall: datetime
    pinned: bool


class Best(NamedTuple):
    cost: int
    mains: tuple[int, ...]
    leaves: tuple[int, ...]


def choices(problem: Problem, visit: Main | Leaf) -> list[At]:
    """Every start of a session by itself."""
    grid, zone = problem.grid, ZoneInfo(problem.grid.zone)
    pin = problem.pinned.get(visit.session_id)
    found = []
    for slot in set_bits(visit.starts) if pin is None else [pin]:
        begins = grid.origin + slot * FIVE
        wall = begins.astimezone(zone).replace(tzinfo=None)
        if pin is None:
            twice = {wall.replace(tzinfo=zone, fold=fold).timestamp() for fold in (0, 1)}
            inside = grid.first_day <= wall.date() < grid.first_day + timedelta(days=grid.days)
            if slot >= grid.slots or len(twice) == 2 or not inside or (60 * wall.hour + wall.minute) % grid.row_minutes:
                continue
        found.append(
            At(visit, slot, begins, begins + timedelta(minutes=visit.minutes), wall.replace(fold=0), pin is not None)
        )
    return found


def days(one: At, other: At) -> int:
    return (other.wall.date() - one.wall.date()).days


def lawful(problem: Problem, one: At, other: At) -> bool:
    """Every hard rule between two sessions, `one` coming first in the course. History is not judged."""
    if one.pinned and other.pinned:
        return True
    if one.begins < other.ends and other.begins < one.ends:
        return False
    if isinstance(one.visit, Main) and isinstance(other.visit, Main):
        return lawful_mains(problem, one, other)
    for leaf, main in ((one, other), (other, one)):
        if isinstance(leaf.visit, Leaf) and isinstance(main.visit, Main):
            return lawful_leaf(problem, leaf, main)
    return True


def lawful_mains(problem: Problem, one: At, other: At) -> bool:
    first, last = problem.mains.index(one.visit), problem.mains.index(other.visit)
    gap, apart = problem.mains[last].gap, days(one, other)
    if last == first + 1 and gap and not gap.min <= gap_days(problem, one, other) <= gap.max:
        return False
    if last == first + 1 and gap and (one.ends > other.begins or not rested(one, other)):
        return False
    bound = [span for span in problem.spans if (span.first, span.last) == (first, last)]
    return all(span.min_days <= apart <= span.max_days for span in bound)


def gap_days(problem: Problem, one: At, other: At) -> int:
    """Calendar days, or as many of them as are open, the first one counted and the last one not."""
    if not other.visit.gap.clinic_days:
        return days(one, other)
    apart = [one.wall.date() + timedelta(days=day) for day in range(days(one, other))]
    places = [(day - problem.grid.first_day).days for day in apart]
    return sum(place not in range(problem.grid.days) or bool(problem.open_days >> place & 1) for place in places)


def rested(one: At, other: At) -> bool:
    rest = other.visit.gap.rest
    if rest is None:
        return True
    elapsed = (other.begins - (one.begins if rest.edge == "start" else one.ends)) / timedelta(minutes=1)
    return rest.min <= elapsed and (rest.max is None or elapsed <= rest.max)


def capped(problem: Problem, chosen: tuple[At, ...]) -> bool:
    """Whether every choice of sessions that is one too many for a cap lies far enough apart, or is history."""
    mains = [at for at in chosen if isinstance(at.visit, Main)]
    for cap in problem.caps:
        for some in combinations(mains[cap.first : cap.last + 1], cap.most + 1):
            dates = [at.wall.date() for at in some]
            weeks = {date.isocalendar()[:2] for date in dates}
            close = len(weeks) == 1 if cap.days is None else (max(dates) - min(dates)).days < cap.days
            if close and not all(at.pinned for at in some):
                return False
    return True


def discordant(problem: Problem, chosen: tuple[At, ...]) -> bool:
    starts = {(at.visit.session_id, at.slot) for at in chosen}
    free = {(at.visit.session_id, at.slot) for at in chosen if not at.pinned}
    return any(discord <= starts and discord & free for discord in problem.discords)


def lawful_leaf(problem: Problem, leaf: At, main: At) -> bool:
    assert isinstance(leaf.visit, Leaf)
    if not leaf.visit.same_day and days(leaf, main) == 0:
        return False
    place = problem.mains.index(main.visit)
    if main.visit.leaf is leaf.visit:
        return follows(main, leaf)
    if leaf.visit.before_next and place > 0 and problem.mains[place - 1].leaf is leaf.visit:
        return leaf.ends <= main.begins and (leaf.visit.same_day or days(leaf, main) > 0)
    return True


def follows(main: At, leaf: At) -> bool:
    assert isinstance(leaf.visit, Leaf)
    window = leaf.visit.window
    elapsed = (leaf.begins - (main.ends if window.edge == "end" else main.begins)) / timedelta(minutes=1)
    return (
        window.min <= elapsed <= window.max
        and leaf.begins >= main.ends
        and (leaf.visit.same_day or days(main, leaf) > 0)
    )


def courses(problem: Problem, options: list[list[At]], chosen: tuple[At, ...] = ()) -> Iterator[tuple[At, ...]]:
    """Every lawful combination of starts."""
    if len(chosen) == len(options):
        if capped(problem, chosen) and not discordant(problem, chosen):
            yield chosen
        return
    for at in options[len(chosen)]:
        if all(lawful(problem, before, at) for before in chosen):
            yield from courses(problem, options, (*chosen, at))


def points(problem: Problem, chosen: tuple[At, ...]) -> int:
    """What everything but the persons costs."""
    weights, first = problem.weights, problem.grid.first_day
    mains = [at for at in chosen if isinstance(at.visit, Main)]
    total = weights.begin * (mains[0].wall.date() - first).days + weights.finish * (mains[-1].wall.date() - first).days
    total += sum(lone_points(problem, at) for at in chosen)
    total += sum(pair_points(problem, one, other) for one, other in pairwise(mains))
    for at in chosen:
        total += sum(pair_points(problem, main, at) for main in mains if main.visit.leaf is at.visit)
    return total


def lone_points(problem: Problem, at: At) -> int:
    """What a start costs by itself."""
    weights, wish = problem.weights, problem.preferences
    minute = 60 * at.wall.hour + at.wall.minute
    outside = minute < (wish.earliest or 0) or (wish.latest is not None and minute + at.visit.minutes > wish.latest)
    full = {name: sum(at.slot in set_bits(level) for level in levels) for name, levels in at.visit.levels.items()}
    names = ("start_profile", "nurse_peak", "room_remainders", "therapist_remainders", "dropped")
    further = sum(getattr(weights, name) * full.get(name, 0) for name in names)
    further += points_for_the_move(problem, at)
    if isinstance(at.visit, Leaf):
        return weights.leaf_hours * outside + further
    disliked = wish.weekdays is not None and at.wall.weekday() not in wish.weekdays
    return weights.hours * outside + weights.weekday * disliked + further


def points_for_the_move(problem: Problem, at: At) -> int:
    """What it costs that a booked session leaves its time."""
    booked, weights = problem.booked.get(at.visit.session_id, at.slot), problem.weights
    if at.pinned or booked == at.slot:
        return 0
    was = (problem.grid.origin + booked * FIVE).astimezone(ZoneInfo(problem.grid.zone))
    apart = abs((at.wall.date() - was.date()).days)
    change = abs(60 * (at.wall.hour - was.hour) + at.wall.minute - was.minute) // 15
    return weights.moved + weights.moved_day * min(apart, weights.moved_days_cap) + weights.moved_quarter * change


def pair_points(problem: Problem, main: At, other: At) -> int:
    """What a main session and its leaf, or the next main session, cost together."""
    weights = problem.weights
    if isinstance(other.visit, Leaf):
        window = other.visit.window
        wanted = (main.ends if window.edge == "end" else main.begins) + timedelta(minutes=window.target)
        wanted_day = wanted.astimezone(ZoneInfo(problem.grid.zone)).date()
        return weights.leaf_delay * abs((other.wall.date() - wanted_day).days)
    total = weights.gap * abs(gap_days(problem, main, other) - other.visit.gap.target) if other.visit.gap else 0
    if main.visit.dosing and other.visit.dosing:
        change = abs(60 * (main.wall.hour - other.wall.hour) + main.wall.minute - other.wall.minute) // 15
        total += min(weights.time_of_day * change, weights.time_of_day_cap)
    return total


def persons(problem: Problem, chosen: tuple[At, ...]) -> int | None:
    """What the best primary persons cost; None when persons are required and there are none."""
    required = problem.continuity == "required"
    listed = {role for at in chosen for role in at.visit.by}
    total = 0
    for role, people in problem.candidates.items() if problem.continuity != "none" else ():
        concerned = [at for at in chosen if role in at.visit.by]
        if required:
            concerned = [at for at in concerned if not at.pinned or any(serves(at, role, who) for who in people)]
        if not people and required and concerned:
            return None
        each = [sum(price_of_person(problem, at, role, who, required=required) for at in concerned) for who in people]
        if min(each, default=0) >= NEVER:
            return None
        total += min(each, default=0) if role in listed else 0
    return total


def price_of_person(problem: Problem, at: At, role: str, person: Hashable, *, required: bool) -> int:
    """What it costs in one session that this is the primary person: that somebody else serves, or what is left."""
    if not serves(at, role, person):
        return NEVER if required else price_of(problem, role)
    if role != "therapist":
        return 0
    levels = at.visit.own_levels.get(person, ())
    return problem.weights.therapist_remainders * sum(at.slot in set_bits(level) for level in levels)


def serves(at: At, role: str, person: Hashable) -> bool:
    return at.slot >= 0 and bool(at.visit.by[role].get(person, 0) >> at.slot & 1)


def price_of(problem: Problem, role: str) -> int:
    weights = problem.weights
    return {"prescriber": weights.prescriber, "therapist": weights.therapist}.get(role, weights.other_role)


def enumerated(problem: Problem) -> Best | None:
    """The least plan of all, by trying all."""
    best: Best | None = None
    for chosen in courses(problem, [choices(problem, visit) for visit in problem.visits()]):
        price = persons(problem, chosen)
        if price is not None:
            mains = tuple(at.slot for at in chosen if isinstance(at.visit, Main))
            leaves = tuple(at.slot for at in chosen if isinstance(at.visit, Leaf))
            found = Best(points(problem, chosen) + price, mains, leaves)
            best = found if best is None else min(best, found)
    return best
