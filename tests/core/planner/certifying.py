"""A third opinion by constraint programming: proves a cost the least, or that there is no plan, by a search of its own.

The rules are those of `enumeration`, written out as tables of lawful pairs; how they are searched is the solver's.
"""

from __future__ import annotations

from itertools import combinations, pairwise
from typing import Any

from ortools.sat.python import cp_model

from scheduler.core.planner import Main, Problem
from tests.core.planner.enumeration import At, choices, lawful, lone_points, pair_points, price_of, serves

#: Deterministic units of the solver's work; what takes longer is left out of the frozen instances.
PATIENCE = 60.0
UNPROVEN = -1


def certified(problem: Problem) -> int | None:
    """The least cost of all plans, None without any, UNPROVEN when patience ended. For courses without caps or pins."""
    assert not problem.caps
    assert not problem.pinned
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.max_deterministic_time = PATIENCE
    status = solver.solve(_Model(problem).model)
    if status == cp_model.INFEASIBLE:
        return None
    return round(solver.objective_value) if status == cp_model.OPTIMAL else UNPROVEN


class _Model:
    """One course: which of its starts each session takes."""

    def __init__(self, problem: Problem) -> None:
        self.problem, self.model = problem, cp_model.CpModel()
        self.visits = list(problem.visits())
        self.options = [choices(problem, visit) for visit in self.visits]
        self.place = [self.model.new_int_var(0, max(len(some) - 1, 0), "") for some in self.options]
        self.points: list[Any] = []
        if not all(self.options):
            self.model.add_bool_or([])
            return
        for index, some in enumerate(self.options):
            self.priced(index, [lone_points(problem, at) for at in some])
        for one, other in combinations(range(len(self.visits)), 2):
            self.pair(one, other)
        self.edge_days()
        self.people()
        self.model.minimize(sum(self.points))

    def priced(self, index: int, prices: list[int]) -> None:
        """Points that depend on one session's start."""
        if any(prices):
            cost = self.model.new_int_var(min(prices), max(prices), "")
            self.model.add_element(self.place[index], prices, cost)
            self.points.append(cost)

    def pair(self, one: int, other: int) -> None:
        """The lawful pairs of two sessions' starts, with their points."""
        neighbors = self.are_neighbors(one, other)
        rows = [
            (i, j, pair_points(self.problem, a, b) if neighbors else 0)
            for i, a in enumerate(self.options[one])
            for j, b in enumerate(self.options[other])
            if self.may_pair(a, b)
        ]
        if not rows:
            self.model.add_bool_or([])
            return
        cost = self.model.new_int_var(0, max(row[2] for row in rows), "")
        self.model.add_allowed_assignments([self.place[one], self.place[other], cost], rows)
        self.points.append(cost)

    def may_pair(self, one: At, other: At) -> bool:
        discord = {(one.visit.session_id, one.slot), (other.visit.session_id, other.slot)}
        return lawful(self.problem, one, other) and discord not in self.problem.discords

    def are_neighbors(self, one: int, other: int) -> bool:
        first, second = self.visits[one], self.visits[other]
        if isinstance(first, Main) and isinstance(second, Main):
            return (first, second) in list(pairwise(self.problem.mains))
        return isinstance(first, Main) and first.leaf is second

    def edge_days(self) -> None:
        mains = [index for index, visit in enumerate(self.visits) if isinstance(visit, Main)]
        weights, first = self.problem.weights, self.problem.grid.first_day
        for index, weight in ((mains[0], weights.begin), (mains[-1], weights.finish)):
            self.priced(index, [weight * (at.wall.date() - first).days for at in self.options[index]])

    def people(self) -> None:
        """One primary person for each role, and the price of every session that somebody else serves."""
        for role in self.problem.roles():
            team = [self.model.new_bool_var("") for _ in self.problem.candidates[role]]
            self.model.add_exactly_one(team)
            for index, visit in enumerate(self.visits):
                if role in visit.by:
                    absent = self.model.new_bool_var("")
                    self.points.append(absent * price_of(self.problem, role))
                    if self.problem.continuity == "required":
                        self.model.add(absent == 0)
                    for person, chosen in zip(self.problem.candidates[role], team, strict=True):
                        served = [i for i, at in enumerate(self.options[index]) if serves(at, role, person)]
                        domain = cp_model.Domain.from_values(served)
                        self.model.add_linear_expression_in_domain(self.place[index], domain).only_enforce_if(
                            [chosen, absent.negated()]
                        )
