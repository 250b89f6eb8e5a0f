"""Who is to blame, on random small courses: the set is minimal, and whatever is said to help does."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from itertools import combinations
from typing import Any, NamedTuple

import pytest

from scheduler.core.planner import Gap, Problem
from scheduler.core.planner.explain import conflict, correction, feasible, least
from tests.core.planner.enumeration import enumerated
from tests.core.planner.instances import Shape, course

SHAPE = Shape(mains=(2, 3), days=(4, 6), most_starts=3, pins=False)
SEEDS = range(2, 300, 6)


class Rule(NamedTuple):
    """A rule of a problem, by the session or the place that it concerns."""

    kind: str
    name: str


def rules_of(problem: Problem) -> list[Rule]:
    found = [Rule("continuity", "")] if problem.continuity == "required" else []
    for main in problem.mains:
        found.append(Rule("starts", main.session_id))
        if main.gap is not None:
            found.append(Rule("gap", main.session_id))
        if main.leaf is not None:
            found += [Rule("window", main.leaf.session_id), Rule("starts", main.leaf.session_id)]
    return [*found, *(Rule("span", str(place)) for place in range(len(problem.spans)))]


def without(problem: Problem, rules: Iterable[Rule]) -> Problem:
    """The problem once these rules are lifted; starts become those of every session."""
    lifted, everywhere = set(rules), 0
    for visit in problem.visits():
        everywhere |= visit.starts
    mains = []
    for main in problem.mains:
        leaf, name = main.leaf, main.session_id
        if leaf is not None:
            if Rule("window", leaf.session_id) in lifted:
                leaf = replace(leaf, window=replace(leaf.window, max=leaf.window.max + 3 * 1440))
            if Rule("starts", leaf.session_id) in lifted:
                leaf = replace(leaf, starts=everywhere)
        gap = main.gap
        if gap is not None and Rule("gap", name) in lifted:
            gap = Gap(gap.min, gap.target, gap.max + 3)
        starts = everywhere if Rule("starts", name) in lifted else main.starts
        mains.append(replace(main, leaf=leaf, gap=gap, starts=starts))
    spans = tuple(span for place, span in enumerate(problem.spans) if Rule("span", str(place)) not in lifted)
    continuity = "none" if Rule("continuity", "") in lifted else problem.continuity
    return replace(problem, mains=tuple(mains), spans=spans, continuity=continuity)


@cache
def guilty_of(seed: int) -> tuple[Rule, ...] | None:
    problem = course(seed, SHAPE)
    return conflict(rules_of(problem), lambda lifted: feasible(without(problem, lifted)))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_blocking_set_is_minimal_and_lifting_the_correction_helps(seed: int) -> None:
    problem = course(seed, SHAPE)
    assert feasible(problem) == (enumerated(problem) is not None)
    if feasible(problem):
        return
    rules = rules_of(problem)
    guilty = guilty_of(seed)
    helps = correction(rules, lambda lifted: feasible(without(problem, lifted)))
    assert (guilty is None) == (enumerated(without(problem, rules)) is None) == (helps is None)
    if guilty is None or helps is None:
        return
    others = set(rules) - set(guilty)
    assert enumerated(without(problem, others)) is None
    for rule in guilty:
        assert enumerated(without(problem, others | {rule})) is not None
    assert enumerated(without(problem, helps)) is not None
    for rule in helps:
        assert enumerated(without(problem, set(helps) - {rule})) is None


def between(problem: Problem) -> Problem:
    """The course with every other session five minutes later, and with every start that can be booked."""

    def later(visit: Any) -> Any:
        by = {role: {who: mask << 1 for who, mask in people.items()} for role, people in visit.by.items()}
        return replace(visit, starts=visit.starts << 1, by=by)

    mains = [later(main) if place % 2 else main for place, main in enumerate(problem.mains)]
    mains = [replace(main, leaf=later(main.leaf)) if main.leaf else main for main in mains]
    return replace(problem, mains=tuple(mains), grid=replace(problem.grid, row_minutes=5))


@pytest.mark.parametrize("seed", SEEDS[::3])
def test_a_set_is_minimal_for_every_start_though_some_are_asked_about_first(seed: int) -> None:
    problem = between(course(seed, SHAPE))
    rules = rules_of(problem)

    def exists(lifted: Iterable[Rule]) -> bool:
        return feasible(without(problem, lifted), first=15)

    assert exists(()) == (enumerated(problem) is not None)
    if exists(()):
        return
    guilty = conflict(rules, exists)
    assert (guilty is None) == (enumerated(without(problem, rules)) is None)
    for each in guilty or ():
        others = set(rules) - set(guilty or ())
        assert enumerated(without(problem, others)) is None
        assert enumerated(without(problem, others | {each})) is not None


def test_the_samples_are_not_one_sided() -> None:
    sizes = [len(guilty_of(seed) or ()) for seed in SEEDS if not feasible(course(seed, SHAPE))]
    assert sum(size == 0 for size in sizes) >= 2
    assert sum(size == 1 for size in sizes) >= 5
    assert sum(size >= 2 for size in sizes) >= 5


@pytest.mark.parametrize("size", range(1, 7))
def test_of_any_families_of_guilty_rules_one_is_found(size: int) -> None:
    """Every monotone question over a few rules: one or two sets of them that leave no plan when all are in force."""
    rules = list(range(size))
    sets = [set(each) for n in range(1, size + 1) for each in combinations(rules, n)]
    for one, other in combinations([*sets, set(sets[-1])], 2):

        def possible(lifted: frozenset[int], one: set[int] = one, other: set[int] = other) -> bool:
            return bool(one & lifted) and bool(other & lifted)

        guilty, helps = conflict(rules, possible), correction(rules, possible)
        assert guilty is not None
        assert not possible(frozenset(rules) - set(guilty))
        assert all(possible(frozenset(rules) - set(guilty) | {rule}) for rule in guilty)
        assert helps is not None
        assert possible(frozenset(helps))
        assert not any(possible(frozenset(helps) - {rule}) for rule in helps)


def test_few_questions_are_asked_about_many_harmless_rules() -> None:
    asked = []

    def possible(lifted: frozenset[int]) -> bool:
        asked.append(lifted)
        return bool(lifted & {11, 50})

    assert conflict(range(64), possible) == (11, 50)
    assert len(asked) <= 20


@pytest.mark.parametrize(("enough", "found"), [(1, 1), (3, 3), (4, 5), (8, 8), (9, None)])
def test_the_least_amount(enough: int, found: int | None) -> None:
    assert least((1, 2, 3, 5, 8), lambda amount: amount >= enough) == found
