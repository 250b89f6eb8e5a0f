"""Other good plans for the same course: optima under other tastes, priced by the stated weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import partial
from math import ceil

from scheduler.core.bitmap import SLOT_MINUTES
from scheduler.core.planner.dp import Itinerary
from scheduler.core.planner.grid import calendar_of
from scheduler.core.planner.planes import Bar
from scheduler.core.planner.pricing import priced
from scheduler.core.planner.problem import Plan, Problem, Weights
from scheduler.core.planner.search import Search

#: A session is elsewhere that is on another day, or so many minutes away on the clock. Plans truly differ that have at
#: least this share of their sessions elsewhere, or begin or end at least so many days apart, or have other people.
ELSEWHERE_MINUTES = 60
ELSEWHERE = Fraction(1, 3)
DAYS_APART = 3
#: So many are looked for whenever more than one is wanted, so that asking for fewer gives the best of the same.
MOST = 5


def _earliest(weights: Weights) -> Weights:
    return replace(
        weights,
        finish=weights.finish * 4,
        weekday=weights.weekday // 5,
        hours=weights.hours // 4,
        time_of_day=weights.time_of_day // 4,
        time_of_day_cap=weights.time_of_day_cap // 4,
    )


def _regular(weights: Weights) -> Weights:
    return replace(
        weights,
        gap=weights.gap * 2,
        time_of_day=weights.time_of_day * 3,
        time_of_day_cap=weights.time_of_day_cap * 3,
    )


def _continuity(weights: Weights) -> Weights:
    return replace(
        weights,
        prescriber=weights.prescriber * 6,
        therapist=weights.therapist * 5,
        other_role=weights.other_role * 6,
    )


def _preference(weights: Weights) -> Weights:
    return replace(weights, weekday=weights.weekday * 5, hours=weights.hours * 5, leaf_hours=weights.leaf_hours * 6)


#: Each shifts the weights towards one taste.
TASTES: tuple[Callable[[Weights], Weights], ...] = (_earliest, _regular, _continuity, _preference)


def alternatives(problem: Problem, k: int, *, effort: int | None = None) -> tuple[Plan, ...]:
    """At most `k` plans, the best first, the others ranked by the stated weights; empty when there is none.

    Any two truly differ: of two that nearly agree the dearer one is left out, though there are then fewer than `k`.
    `effort` bounds the search for each, as in `plan`; only the first one may say that it is the optimum.
    """
    best = Search(problem).run(effort)
    if best is None or k < 1:
        return ()
    found = [best]
    for plan in _others(problem, found, effort) if k > 1 else ():
        if all(differ(problem, plan, other) for other in found):
            found.append(plan)
        if len(found) == MOST:
            break
    found[1:] = sorted(found[1:], key=_rank)
    return tuple(found[:k])


def differ(problem: Problem, one: Plan, other: Plan) -> bool:
    """Whether two plans truly differ to the patient; what stands in both is not counted."""
    if one.primaries != other.primaries:
        return True
    calendar, slots = calendar_of(problem.grid), (dict(one.starts), dict(other.starts))

    def place(session_id: str) -> tuple[tuple[int, int], ...]:
        return tuple(calendar.local(each[session_id]) for each in slots)

    if any(abs(here[0] - there[0]) >= DAYS_APART for here, there in map(place, _ends(problem))):
        return True
    free = _free(problem)
    elsewhere = sum(
        here[0] != there[0] or abs(here[1] - there[1]) >= ELSEWHERE_MINUTES for here, there in map(place, free)
    )
    return elsewhere > 0 and elsewhere >= ELSEWHERE * len(free)


def _others(problem: Problem, found: Sequence[Plan], effort: int | None) -> Iterator[Plan]:
    """The optima under each taste, cheapest first; then the best that begin, end or are elsewhere than all `found`."""
    tasted = (Search(replace(problem, weights=taste(problem.weights))).run(effort) for taste in TASTES)
    yield from sorted((_repriced(problem, plan) for plan in tasted if plan is not None), key=_rank)
    days = [partial(_days_near, problem, end) for end in _ends(problem)]
    for near in (*days, *(partial(_hours_near, share) for share in _shares(problem))):
        tried: list[Plan] = []
        while (plan := Search(problem, near([*found, *tried])).run(effort)) is not None:
            tried.append(plan)
            yield replace(plan, optimal=False)


def _shares(problem: Problem) -> Iterator[Sequence[str]]:
    """Sessions in a row that are enough to be elsewhere: from the first to the last."""
    free = _free(problem)
    size = ceil(ELSEWHERE * len(free))
    for begin in dict.fromkeys(min(begin, len(free) - size) for begin in range(0, len(free), max(size, 1))):
        yield free[begin : begin + size]


def _free(problem: Problem) -> list[str]:
    """The sessions that do not stand yet."""
    return [visit.session_id for visit in problem.visits() if visit.session_id not in problem.pinned]


def _rank(plan: Plan) -> tuple[int, tuple[tuple[str, int], ...]]:
    return plan.cost, plan.starts


def _ends(problem: Problem) -> list[str]:
    """The first and the last main session that do not stand yet."""
    free = [main.session_id for main in problem.mains if main.session_id not in problem.pinned]
    return list(dict.fromkeys([*free[:1], *free[-1:]]))


def _days_near(problem: Problem, session_id: str, plans: Sequence[Plan]) -> tuple[Bar, ...]:
    """The days on which that session would not be far enough from where one of the plans has it, barred."""
    calendar = calendar_of(problem.grid)
    days = {calendar.local(dict(plan.starts)[session_id])[0] for plan in plans}
    return tuple(
        Bar(session_id, calendar.midnight(day + 1 - DAYS_APART), calendar.midnight(day + DAYS_APART))
        for day in sorted(days)
    )


def _hours_near(share: Sequence[str], plans: Sequence[Plan]) -> tuple[Bar, ...]:
    """The hours about those at which one of the plans has these sessions, barred."""
    reach = ELSEWHERE_MINUTES // SLOT_MINUTES
    slots = sorted({(session_id, dict(plan.starts)[session_id]) for session_id in share for plan in plans})
    return tuple(Bar(session_id, slot - reach + 1, slot + reach) for session_id, slot in slots)


def _repriced(problem: Problem, plan: Plan) -> Plan:
    """A plan that was made under other weights, under the stated ones. It is lawful, but no longer the optimum."""
    slots = dict(plan.starts)
    mains = tuple(slots[main.session_id] for main in problem.mains)
    leaves = tuple(slots[main.leaf.session_id] for main in problem.mains if main.leaf is not None)
    return replace(priced(problem, Itinerary(mains, leaves)), optimal=False)
