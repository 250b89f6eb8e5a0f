"""Many new courses at once in one clinic: the batch search beside one by one and beside earliest-fit, at the same time.

All three place the same courses in the same order; people are known. Placed courses are judged by the verifier, and the
bound on how many could be placed by `certificate`, which is given the prices that the search ended with.
"""

from __future__ import annotations

import argparse
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import mean
from time import process_time
from typing import NamedTuple

from bench.certified import bound, certificate
from bench.peers import Desk
from bench.planner_clinic import COURSES, KINDS, SIZES, Clinic, Need, course
from bench.report import table
from scheduler.core.bitmap import erode
from scheduler.core.planner import Plan, Problem, plan, verify
from scheduler.core.planner.batch import Batch, Total
from scheduler.core.planner.dp import Itinerary
from scheduler.core.planner.floor import Placement
from scheduler.core.planner.glance import ruled_out
from scheduler.core.planner.grid import Ints, calendar_of
from scheduler.core.planner.market import Use, Uses, spread
from scheduler.core.planner.pricing import priced
from scheduler.core.planner.rivals import Block, Lane, Needs
from scheduler.core.planner.trail import Prices, Trail, free_where

_eroded = lru_cache(maxsize=1 << 12)(erode)

ABOUT = "many courses at once: the batch search beside one by one, and beside earliest-fit"


def flags(parser: argparse.ArgumentParser) -> None:
    """The long form is `--loads 0.3 0.6 0.85 --clinics 3`."""
    parser.add_argument("--size", choices=SIZES, default="medium")
    parser.add_argument("--weeks", type=int, default=12)
    parser.add_argument("--loads", type=float, nargs="+", default=[0.3, 0.6, 0.85])
    parser.add_argument("--clinics", type=int, default=1, help="how many clinics, their seeds counted from --first")
    parser.add_argument(
        "--first", type=int, default=0, help="100 and more were never looked at while the search was made"
    )
    parser.add_argument("--courses", type=int, default=50)
    parser.add_argument("--rounds", type=int, help="so many rounds instead of seconds: the same on every machine")
    parser.add_argument("--seconds", type=float, default=15.0, help="CPU seconds for each batch search")


def run(chosen: argparse.Namespace) -> None:
    """Place the courses by all three, and print one row for each load."""
    rows = []
    for load in chosen.loads:
        cells = [_cell(chosen, load, seed) for seed in range(chosen.first, chosen.first + chosen.clinics)]
        means = Cell(*(mean(each) for each in zip(*cells, strict=True)))
        more = f"{means.batch / means.one_by_one - 1:+.0%}" if means.one_by_one else "-"
        placed = (means.earliest, means.one_by_one, means.batch, means.most)
        each_one = ", ".join(f"{each.batch:.0f} of {each.certified:.0f}" for each in cells)
        rows.append(
            [
                f"{load:.2f}",
                *(f"{each:.1f}" for each in placed),
                f"{means.certified:.1f} ({each_one})",
                more,
                f"{means.cost:.2f}",
                f"{means.rounds:.0f}",
            ]
        )
    budget = f"{chosen.seconds:.0f} s" if chosen.rounds is None else f"{chosen.rounds} rounds"
    columns = ["load", "earliest-fit", "one by one", f"batch, {budget}", "at most", "certified (clinic by clinic)"]
    table([*columns, "more", "cost", "rounds"], rows)
    print(f"courses placed of {chosen.courses}; `at most` is the bound that the batch shows, `certified` the same from")
    print("its prices by another program (placed of how many at most in each clinic); `more` batch to one by one.")
    print("cost: mean cost of a placed course, batch to one by one (over different sets of placed courses).")


class Cell(NamedTuple):
    """What became of one clinic's courses: how many have a place by each, how many could, and the rest."""

    earliest: float
    one_by_one: float
    batch: float
    most: float
    certified: float
    rounds: float
    cost: float


def _cell(chosen: argparse.Namespace, load: float, seed: int) -> Cell:
    floor, n = ClinicFloor(Clinic(chosen.size, chosen.weeks, load, seed), chosen.courses), chosen.courses
    proof = certificate(floor.whole, [floor.problem(number) for number in range(n)])
    greedy = floor.earliest_fit()
    batch = Batch(floor, n, seed=seed, rounds=chosen.rounds or 100_000)
    began = process_time()
    for _ in batch.steps():
        if chosen.rounds is None and process_time() - began > chosen.seconds:
            break
    floor.judge(batch.kept)
    first, most = batch.sequential or Total(n, 0), batch.bound or Total(0, 0)
    one_by_one, placed = n - first.unplaced, n - batch.total.unplaced
    ratio = (batch.total.cost / max(1, placed)) / (first.cost / one_by_one) if one_by_one else 1.0
    certified = int(bound(proof, batch.prices))
    return Cell(greedy, one_by_one, placed, n - most.unplaced, certified, batch.made, ratio)


class Seats(NamedTuple):
    """A plan, and for each visit the slots of the members that it takes: pool, name, bitmap."""

    found: Plan
    taken: list[tuple[str, str, int]]


@dataclass
class ClinicFloor:
    """A synthetic clinic in which courses take up members of pools."""

    clinic: Clinic
    count: int

    def __post_init__(self) -> None:
        self.whole = {pool: dict(members) for pool, members in self.clinic.free.items()}
        self._taken: dict[int, Placement] = {}
        self._by_itself: dict[int, Problem] = {}
        self._open: Mapping[str, Ints] | None = None
        self._uses: Mapping[str, Sequence[Use]] = {}

    def problem(self, number: int) -> Problem:
        """The course as the clinic stands; kinds of courses come in turn."""
        return course(self.clinic, number, list(COURSES)[number % len(COURSES)], known=True)

    def plan(self, number: int) -> Placement | None:
        """Exactly, and judged."""
        return self._planned(self.problem(number))

    def _planned(self, problem: Problem) -> Placement | None:
        found = None if ruled_out(problem) else plan(problem)
        return None if found is None else self.placement(found)

    def alone(self, number: int) -> Placement | None:
        """In the clinic without the batch."""
        now, self.clinic.free = self.clinic.free, self.whole
        try:
            self._by_itself[number] = self.problem(number)
            return self._planned(self._by_itself[number])
        finally:
            self.clinic.free = now

    def trail(self, number: int, *, wishes: bool) -> Trail:
        """Of the course by itself."""
        return Trail(self._by_itself[number], wishes=wishes)

    def open(self, number: int) -> Prices:
        """By kind of visit; the patient's own hours are those of the trail."""
        if self._open is None:
            size = self.clinic.grid.slots
            self._open = {name: free_where(kind.starts(self.clinic.free), size) for name, kind in KINDS.items()}
        return {visit.session_id: self._open[kind_of(visit.session_id)] for visit in self._by_itself[number].visits()}

    def along(self, number: int, way: Itinerary) -> Placement | None:
        """Judged with the others at the end."""
        return self.placement(priced(self.problem(number), way))

    def needs(self, number: int) -> Mapping[str, Needs]:
        """The members of each pool, and who has them."""
        held: dict[tuple[str, str], list[tuple[int, int, int]]] = {}
        for other, taken in self._taken.items():
            for pool, name, mask in taken.plan.taken:
                held.setdefault((pool, name), []).append((other, (mask & -mask).bit_length() - 1, mask.bit_length()))
        kinds = {
            name: [[self._lane(need, each, held) for each in self.whole[need.pool]] for need in kind.needs]
            for name, kind in KINDS.items()
        }
        return {visit.session_id: kinds[kind_of(visit.session_id)] for visit in self._by_itself[number].visits()}

    def uses(self, number: int) -> Uses:
        """What each kind of visit takes of each pool, where some course of the batch can have it."""
        if not self._uses:
            wanted = dict.fromkeys(KINDS, 0)
            for problem in self._by_itself.values():
                for visit in problem.visits():
                    wanted[kind_of(visit.session_id)] |= visit.starts & calendar_of(problem.grid).rows
            self._uses = {name: [self._use(need, wanted[name]) for need in kind.needs] for name, kind in KINDS.items()}
        return {visit.session_id: self._uses[kind_of(visit.session_id)] for visit in self._by_itself[number].visits()}

    def _use(self, need: Need, wanted: int) -> Use:
        start, end = need.offset, need.offset + need.length
        offers: dict[Hashable, tuple[int, int]] = {
            name: (spread(_eroded(mask, need.length) >> start & wanted, start, end), 1)
            for name, mask in self.whole[need.pool].items()
        }
        return Use(need.pool, start, end, offers)

    def _lane(self, need: Need, name: str, held: Mapping[tuple[str, str], Sequence[tuple[int, int, int]]]) -> Lane:
        able = _eroded(self.whole[need.pool][name], need.length) >> need.offset
        taken = held.get((need.pool, name), ())
        blocks = (
            Block(other, first - need.length - need.offset + 1, past - need.offset) for other, first, past in taken
        )
        return Lane(able, 0, tuple(blocks))

    def put(self, number: int, placement: Placement) -> None:
        """Take the members that the placement names."""
        self._taken[number] = placement
        self._open = None
        for pool, name, mask in placement.plan.taken:
            self.clinic.free[pool][name] &= ~mask

    def lift(self, number: int, placement: Placement) -> None:
        """Give them back."""
        del self._taken[number]
        self._open = None
        for pool, name, mask in placement.plan.taken:
            self.clinic.free[pool][name] |= mask

    def placement(self, found: Plan) -> Placement:
        """The plan with a member of each pool for each visit: the primary person where possible, else the first."""
        prefer, taken = set(found.primaries.values()), []
        for session_id, slot in found.starts:
            for need in KINDS[kind_of(session_id)].needs:
                at, free = slot + need.offset, self.clinic.free[need.pool]
                able = [name for name, mask in free.items() if ~(mask >> at) & ((1 << need.length) - 1) == 0]
                name = min(able, key=lambda each: (each not in prefer, each))
                taken.append((need.pool, name, ((1 << need.length) - 1) << at))
        days = frozenset(slot // 288 for _, slot in found.starts)
        return Placement(found.cost, days, Seats(found, taken), sum(mask.bit_count() for _, _, mask in taken))

    def judge(self, kept: Mapping[int, Placement]) -> None:
        """Raise AssertionError unless these plans stand together: each is verified beside those before it."""
        for number, placement in self._taken.copy().items():
            self.lift(number, placement)
        for number, placement in kept.items():
            problem, starts = self.problem(number), dict(placement.plan.found.starts)
            leaves = tuple(starts[main.leaf.session_id] for main in problem.mains if main.leaf is not None)
            # What it costs depends on who is free besides, and so on the order in which they stand.
            here = priced(problem, Itinerary(tuple(starts[main.session_id] for main in problem.mains), leaves))
            faults = verify(problem, here)
            if faults:
                raise AssertionError("; ".join(faults))
            self.put(number, placement)

    def earliest_fit(self) -> int:
        """How many courses the peer-style booking places, with restarts; the clinic is as before afterwards."""
        placed = []
        for number in range(self.count):
            found = Desk(self.problem(number)).earliest_fit_with_restarts()
            if found is not None:
                placed.append((number, self.placement(found)))
                self.put(*placed[-1])
        for number, placement in placed:
            self.lift(number, placement)
        return len(placed)


def kind_of(session_id: str) -> str:
    """The kind of visit that a session is."""
    return {"evaluation": "evaluation", "dose": "dose", "talk": "integration"}[session_id.partition("-")[0]]


if __name__ == "__main__":
    flags(parser := argparse.ArgumentParser(description=__doc__))
    run(parser.parse_args())
