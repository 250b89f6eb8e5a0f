"""Which rules are to blame when no plan exists, and which of them to lift: by deletion, over the same exact planner.

A rule is whatever the caller can lift: it says how the problem looks without it. Lifting more never leaves fewer plans;
that is all that is assumed here, and what a rule means to a clinic is told elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import TypeVar

from scheduler.core.planner.attempt import attempt
from scheduler.core.planner.glance import Glance
from scheduler.core.planner.grid import calendar_of
from scheduler.core.planner.planes import Planes
from scheduler.core.planner.problem import Leaf, Preferences, Problem, Weights
from scheduler.core.planner.search import Search

T = TypeVar("T")

DAY = 24 * 60

#: Whether a plan exists once these rules are lifted.
Possible = Callable[[frozenset[T]], bool]

#: But that the course ends early: a search that has an order need not look at every day.
_NO_WISHES = replace(Weights(*[0] * len(fields(Weights))), finish=1)

#: A plan that ends soon is looked for within whole stretches of so many days: clinics then share a few grids.
NEAR_DAYS = 28


def feasible(problem: Problem, *, first: int | None = None) -> bool:
    """Whether any plan exists; wishes, which only rank plans, are not asked.

    The days alone rule out most courses that have none; a quick try finds a plan of most others. The exact search has
    the last word, first about the days that a plan which ends soon would need; and before it looks at all starts, at
    those every `first` minutes: for whoever does not know whether they hold a plan, since each of these is one.
    """
    problem = bare(problem)
    looks = [(problem, Glance(Planes(problem)))]
    if looks[0][1].impossible is not None:
        return False
    if first is not None and first > problem.grid.row_minutes:
        fewer = replace(problem, grid=replace(problem.grid, row_minutes=first))
        looks.insert(0, (fewer, Glance(Planes(fewer))))
    some = [look for look in looks if look[1].impossible is None]
    return any(attempt(*look) is not None for look in some) or any(_found(*look) for look in some)


def _found(problem: Problem, glance: Glance) -> bool:
    near = _near(problem, glance.soonest)
    if near is not None and Search(near).run(effort=0) is not None:
        return True
    return Search(problem).run(effort=0) is not None


def _near(problem: Problem, last: int) -> Problem | None:
    """The problem without the days that a plan which ends soon after that day has no use for; None: with all."""
    leaves = [visit.window.max // DAY + 2 for visit in problem.visits() if isinstance(visit, Leaf)]
    days = (max(last, 0) + max(leaves, default=0)) // NEAR_DAYS * NEAR_DAYS + 2 * NEAR_DAYS
    pinned = max(problem.pinned.values(), default=0)
    grid = problem.grid
    if days >= grid.days or pinned >= calendar_of(grid).midnight(days):
        return None
    return replace(problem, grid=replace(grid, days=days))


def bare(problem: Problem) -> Problem:
    """The problem with its rules alone: no wish ranks its plans any more."""
    continuity = problem.continuity if problem.continuity == "required" else "none"
    return replace(problem, continuity=continuity, preferences=Preferences(), weights=_NO_WISHES, booked={})


def conflict(rules: Sequence[T], possible: Possible[T]) -> tuple[T, ...] | None:
    """Rules that together leave no plan when all others are lifted, while any of them less leaves one.

    Of several such sets the one that needs the later rules least. None when lifting every rule leaves no plan either:
    then none of them is to blame. Rules are asked about in halves, so that many harmless ones cost little.
    """
    everything = frozenset(rules)
    if not rules or not possible(everything):
        return None
    return tuple(_needed(tuple(rules), frozenset(), lambda kept: not possible(everything - kept), grown=False))


def correction(rules: Sequence[T], possible: Possible[T]) -> tuple[T, ...] | None:
    """Rules whose lifting together leaves a plan, while lifting any of them less does not.

    The later rules are kept in force where that can be. None when lifting every rule leaves no plan.
    """
    if not possible(frozenset(rules)):
        return None
    return () if possible(frozenset()) else tuple(_needed(tuple(rules), frozenset(), possible, grown=False))


def least(amounts: Sequence[int], enough: Callable[[int], bool]) -> int | None:
    """The least of these ascending amounts that is enough; None when the last one is not."""
    if not amounts or not enough(amounts[-1]):
        return None
    low, high = 0, len(amounts) - 1
    while low < high:
        middle = (low + high) // 2
        if enough(amounts[middle]):
            high = middle
        else:
            low = middle + 1
    return amounts[low]


def _needed(
    rules: tuple[T, ...], kept: frozenset[T], enough: Callable[[frozenset[T]], bool], *, grown: bool
) -> tuple[T, ...]:
    """A minimal set of the rules that is enough with those `kept`. `grown`: whether `kept` has, since last asked.

    Halving finds k guilty rules of n in about k log(n / k) questions.
    """
    if grown and enough(kept):
        return ()
    if len(rules) == 1:
        return rules
    half = len(rules) // 2
    early, late = rules[:half], rules[half:]
    of_late = _needed(late, kept | frozenset(early), enough, grown=True)
    of_early = _needed(early, kept | frozenset(of_late), enough, grown=bool(of_late))
    return (*of_early, *of_late)
