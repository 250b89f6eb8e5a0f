"""Other good plans for the same course: optima under other tastes, priced by the stated weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from scheduler.core.planner.dp import Itinerary
from scheduler.core.planner.grid import calendar_of
from scheduler.core.planner.planes import Bar
from scheduler.core.planner.pricing import priced
from scheduler.core.planner.problem import Plan, Problem, Weights
from scheduler.core.planner.search import Search

#: Two plans whose sessions stand on the same days, within an hour and with the same people, are one to the patient.
AN_HOUR = 60
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

    No two are alike: some session is on another day, an hour or more away, or another person is the primary one.
    `effort` bounds the search for each, as in `plan`; only the first one may say that it is the optimum.
    """
    best = Search(problem).run(effort)
    if best is None or k < 1:
        return ()
    found = [best]
    for plan in _others(problem, found, effort) if k > 1 else ():
        if all(_unlike(problem, plan, other) for other in found):
            found.append(plan)
        if len(found) == MOST:
            break
    found[1:] = sorted(found[1:], key=lambda plan: (plan.cost, plan.starts))
    return tuple(found[:k])


def _others(problem: Problem, found: Sequence[Plan], effort: int | None) -> Iterator[Plan]:
    """The optimum under each taste; then the best ones that begin, or end, on a day on which none of `found` does."""
    for taste in TASTES:
        plan = Search(replace(problem, weights=taste(problem.weights))).run(effort)
        if plan is not None:
            yield _repriced(problem, plan)
    free = [main.session_id for main in problem.mains if main.session_id not in problem.pinned]
    for session_id in dict.fromkeys([*free[:1], *free[-1:]]):
        while (plan := Search(problem, _used_days(problem, found, session_id)).run(effort)) is not None:
            yield replace(plan, optimal=False)


def _used_days(problem: Problem, found: Sequence[Plan], session_id: str) -> tuple[Bar, ...]:
    """The days on which one of the plans has that session, barred."""
    calendar = calendar_of(problem.grid)
    days = {calendar.local(dict(plan.starts)[session_id])[0] for plan in found}
    return tuple(Bar(session_id, calendar.midnight(day), calendar.midnight(day + 1)) for day in sorted(days))


def _repriced(problem: Problem, plan: Plan) -> Plan:
    """A plan that was made under other weights, under the stated ones. It is lawful, but no longer the optimum."""
    slots = dict(plan.starts)
    mains = tuple(slots[main.session_id] for main in problem.mains)
    leaves = tuple(slots[main.leaf.session_id] for main in problem.mains if main.leaf is not None)
    return replace(priced(problem, Itinerary(mains, leaves)), optimal=False)


def _unlike(problem: Problem, one: Plan, other: Plan) -> bool:
    calendar = calendar_of(problem.grid)
    others = dict(other.starts)
    if one.primaries != other.primaries:
        return True
    for session_id, slot in one.starts:
        (day, minute), (other_day, other_minute) = calendar.local(slot), calendar.local(others[session_id])
        if day != other_day or abs(minute - other_minute) >= AN_HOUR:
            return True
    return False
