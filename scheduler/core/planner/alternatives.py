"""Other good plans for the same course: optima under other tastes, priced by the stated weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from scheduler.core.planner.grid import calendar_of
from scheduler.core.planner.pricing import priced
from scheduler.core.planner.problem import Plan, Problem, Weights
from scheduler.core.planner.search import Search

#: Two plans whose sessions stand on the same days, within an hour and with the same people, are one to the patient.
AN_HOUR = 60


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


def alternatives(problem: Problem, k: int) -> tuple[Plan, ...]:
    """At most `k` plans, the optimum first, the others ranked by the stated weights; empty when there is none.

    No two are alike: some session is on another day, an hour or more away, or another person is the primary one.
    """
    best = Search(problem).run()
    if best is None or k < 1:
        return ()
    optimum = priced(problem, best)
    others: list[Plan] = []
    for plan in _by_taste(problem) if k > 1 else ():
        if all(_unlike(problem, plan, other) for other in (optimum, *others)):
            others.append(plan)
    others.sort(key=lambda plan: (plan.cost, plan.starts))
    return (optimum, *others[: k - 1])


def _by_taste(problem: Problem) -> Iterator[Plan]:
    for taste in TASTES:
        itinerary = Search(replace(problem, weights=taste(problem.weights))).run()
        if itinerary is not None:
            yield priced(problem, itinerary)


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
