"""How many of a batch's courses could be placed at most, whatever is searched: column generation with a linear program.

A column is a course's plan by itself. The program puts a price on every slot of every pool; the exact planner then says
each course's cheapest plan at them. The worth of all slots and of all courses above their price is a bound at
every turn, also when it is left early; the certificate works it out anew from the prices. Slots are counted by pool, as
if a visit could pass from one member to another.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable
from dataclasses import fields, replace
from math import floor
from time import process_time

import numpy as np
from ortools.linear_solver import pywraplp

from bench.batch import ClinicFloor, kind_of
from bench.certified import bound, certificate
from bench.planner_clinic import KINDS, SIZES, Clinic
from bench.report import table
from scheduler.core.bitmap import bits, erode
from scheduler.core.planner import Main, Plan, Problem, Weights, plan
from scheduler.core.planner.grid import Ints, bitmap_of, calendar_of

ABOUT = "how many courses of a batch could be placed at most, by column generation (no search, OR-tools)"
#: What a course is worth: prices are whole numbers below it, of so many binary digits.
WORTH, DIGITS = 4_000, 12
#: How much of the best prices so far is kept in the next ones; and how near bound and program are to be at the end.
INERTIA, NEAR = 0.7, 0.02
#: A pool and a slot.
Place = tuple[str, int]
FREE = Weights(**{each.name: 0 for each in fields(Weights)} | {"start_profile": 1, "nurse_peak": 1 << DIGITS // 2})


def flags(parser: argparse.ArgumentParser) -> None:
    """The long form is `--clinics 3`."""
    parser.add_argument("--size", choices=SIZES, default="medium")
    parser.add_argument("--weeks", type=int, default=12)
    parser.add_argument("--load", type=float, default=0.85)
    parser.add_argument("--clinics", type=int, default=1)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--courses", type=int, default=50)
    parser.add_argument("--alone", action="store_true", help="only count who has a plan by itself, by two programs")
    parser.add_argument("--seconds", type=float, default=120.0, help="CPU seconds for each clinic at most")


def run(chosen: argparse.Namespace) -> None:
    """Print one row for each clinic."""
    if chosen.alone:
        _count_alone(chosen)
        return
    rows = []
    for seed in range(chosen.first, chosen.first + chosen.clinics):
        empty = ClinicFloor(Clinic(chosen.size, chosen.weeks, chosen.load, seed), chosen.courses)
        proof = certificate(empty.whole, [empty.problem(number) for number in range(chosen.courses)])
        ceiling = Ceiling(empty)
        began = process_time()
        while not ceiling.closed and process_time() - began < chosen.seconds:
            ceiling.turn()
        alone, turns = len(ceiling.problems), ceiling.turns
        certified = float(proof.bound(ceiling.prices(), WORTH))
        most = str(floor(ceiling.bound + 1e-6))
        rows.append([str(seed), str(alone), f"{ceiling.bound:.2f}", most, f"{certified:.2f}", str(turns)])
    table(["clinic", "with a plan by themselves", "bound", "at most", "certified", "turns"], rows)


def _count_alone(chosen: argparse.Namespace) -> None:
    """How many courses have a plan in the clinic without the others: by the planner, and by the certificate."""
    rows = []
    for seed in range(chosen.first, chosen.first + chosen.clinics):
        empty = ClinicFloor(Clinic(chosen.size, chosen.weeks, chosen.load, seed), chosen.courses)
        problems = [empty.problem(number) for number in range(chosen.courses)]
        ours = [plan(each) is not None for each in problems]
        plain = [bound(certificate(empty.whole, [each]), {}) == 1 for each in problems]
        rows.append([str(seed), str(sum(ours)), str(sum(plain)), "yes" if ours == plain else "NO"])
    table(["clinic", "with a plan by the planner", "by the certificate", "the same ones"], rows)


class Ceiling:
    """The program of one clinic, with the plans found so far."""

    def __init__(self, empty: ClinicFloor) -> None:
        size, clinic = empty.clinic.grid.slots, empty.clinic
        rows = calendar_of(clinic.grid).rows
        self.room = {pool: np.zeros(size, dtype=np.int64) for pool in clinic.free}
        for pool, members in clinic.free.items():
            shortest = min(need.length for kind in KINDS.values() for need in kind.needs if need.pool == pool)
            for mask in members.values():
                self._offer(self.room[pool], erode(mask, shortest) & rows, shortest)
        posed = (replace(empty.problem(each), weights=FREE, continuity="none") for each in range(empty.count))
        self.problems = [each for each in posed if plan(each) is not None]
        self.bound, self.turns, self.closed = float(len(self.problems)), 0, False
        self._best: dict[Place, float] = {}
        self._solver = pywraplp.Solver.CreateSolver("GLOP")
        self._solver.Objective().SetMaximization()
        self._once = [self._solver.Constraint(0, 1) for _ in self.problems]
        self._rows: dict[Place, pywraplp.Constraint] = {}
        self._known: set[tuple[int, tuple[tuple[str, int], ...]]] = set()

    def turn(self) -> None:
        """Price every slot, plan every course at these prices, and learn its plan and the bound."""
        self.turns += 1
        self._solver.Solve()
        reached = self._solver.Objective().Value()
        dual = {place: max(0.0, row.dual_value()) for place, row in self._rows.items()} if self._known else {}
        prices = {
            place: INERTIA * self._best.get(place, 0) + (1 - INERTIA) * dual.get(place, 0)
            for place in {*self._best, *dual}
        }
        whole = {place: int(price * WORTH) for place, price in prices.items()}
        charges, total = self._charges(whole), sum(p * int(self.room[at[0]][at[1]]) for at, p in whole.items())
        for number, problem in enumerate(self.problems):
            found = plan(_charged(problem, charges))
            if found is not None and found.cost < WORTH:
                total += WORTH - found.cost
                self._learn(number, found)
        if total / WORTH < self.bound:
            self.bound, self._best = total / WORTH, prices
        self.closed = self.turns > 1 and reached > self.bound - NEAR

    def prices(self) -> dict[str, list[int]]:
        """Those that gave the bound, in parts of `WORTH`, for the certificate."""
        found = {pool: [0] * len(room) for pool, room in self.room.items()}
        for (pool, slot), price in self._best.items():
            found[pool][slot] = int(price * WORTH)
        return found

    def _charges(self, prices: dict[Place, int]) -> dict[str, dict[str, tuple[int, ...]]]:
        """For each kind of visit the price of each start, as levels."""
        by_pool = {pool: np.zeros(len(room) + 64, dtype=np.int64) for pool, room in self.room.items()}
        for (pool, slot), price in prices.items():
            by_pool[pool][slot] = price
        found = {}
        for name, kind in KINDS.items():
            each = sum(
                by_pool[need.pool][offset : offset + len(self.room[need.pool])]
                for need in kind.needs
                for offset in _used(need.length)
            )
            found[name] = _levels(np.minimum(each, (1 << DIGITS) - 1))
        return found

    def _learn(self, number: int, found: Plan) -> None:
        if (number, found.starts) in self._known:
            return
        self._known.add((number, found.starts))
        column = self._solver.NumVar(0, self._solver.infinity(), "")
        self._solver.Objective().SetCoefficient(column, 1)
        self._once[number].SetCoefficient(column, 1)
        for place, times in Counter(_places(found)).items():
            if place not in self._rows:
                self._rows[place] = self._solver.Constraint(0, float(self.room[place[0]][place[1]]))
            self._rows[place].SetCoefficient(column, times)

    @staticmethod
    def _offer(room: Ints, starts: int, length: int) -> None:
        """Count a member at the slots at which some visit could have it."""
        used = 0
        for offset in range(length):
            used |= starts << offset
        places = [slot for slot in bits(used) if slot < len(room)]
        room[places] += 1


def _used(length: int) -> list[int]:
    """The slots of a visit that are counted: visits start at quarters, so that some tell for those between."""
    return [offset for offset in range(length) if offset % 3 != 1 or offset == length - 1]


def _places(found: Plan) -> Iterable[Place]:
    for session_id, slot in found.starts:
        for need in KINDS[kind_of(session_id)].needs:
            yield from ((need.pool, slot + offset) for offset in _used(need.length))


def _levels(prices: Ints) -> dict[str, tuple[int, ...]]:
    digits = [(bitmap_of((prices >> digit & 1).astype(np.bool_)), digit) for digit in range(DIGITS)]
    halves = digits[: DIGITS // 2], digits[DIGITS // 2 :]
    told = [[mask for mask, digit in half if mask for _ in range(1 << digit % (DIGITS // 2))] for half in halves]
    return {"start_profile": tuple(told[0]), "nurse_peak": tuple(told[1])}


def _charged(problem: Problem, charges: dict[str, dict[str, tuple[int, ...]]]) -> Problem:
    def charged(main: Main) -> Main:
        leaf = main.leaf and replace(main.leaf, levels=charges[kind_of(main.leaf.session_id)])
        return replace(main, leaf=leaf, levels=charges[kind_of(main.session_id)])

    return replace(problem, mains=tuple(charged(main) for main in problem.mains))
