"""Many new courses at once in one clinic: the batch search beside one by one and beside earliest-fit, at the same time.

All three place the same courses in the same order; people are known. Placed courses are judged by the verifier.
"""

from __future__ import annotations

import argparse
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import mean
from time import process_time

from bench.capacity import most_courses
from bench.peers import Desk
from bench.planner_clinic import COURSES, KINDS, SIZES, Clinic, Need, course
from bench.report import table
from scheduler.core.bitmap import erode
from scheduler.core.planner import Plan, Problem, plan, verify
from scheduler.core.planner.batch import Batch, Placement, Total
from scheduler.core.planner.glance import ruled_out
from scheduler.core.planner.rivals import Block, Lane, Needs, rivals

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
    parser.add_argument("--seconds", type=float, default=15.0, help="CPU seconds for each batch search")


def run(chosen: argparse.Namespace) -> None:
    """Place the courses by all three, and print one row for each load."""
    rows = []
    for load in chosen.loads:
        cells = [_cell(chosen, load, seed) for seed in range(chosen.first, chosen.first + chosen.clinics)]
        placed = [mean(cell[place] for cell in cells) for place in range(4)]
        more = f"{placed[2] / placed[1] - 1:+.0%}" if placed[1] else "-"
        rounds = mean(cell[4] for cell in cells)
        costs = f"{mean(cell[5] for cell in cells):.2f}"
        rows.append([f"{load:.2f}", *(f"{each:.1f}" for each in placed), more, costs, f"{rounds:.0f}"])
    header = [
        "load",
        "earliest-fit",
        "one by one",
        f"batch, {chosen.seconds:.0f} s",
        "at most",
        "more",
        "cost",
        "rounds",
    ]
    table(header, rows)
    print(
        f"courses placed of {chosen.courses}; `at most` is what rooms and people can hold, `more` batch to one by one."
    )
    print("cost: mean cost of a placed course, batch to one by one (over different sets of placed courses).")


def _cell(chosen: argparse.Namespace, load: float, seed: int) -> tuple[int, int, int, int, int, float]:
    floor = ClinicFloor(Clinic(chosen.size, chosen.weeks, load, seed), chosen.courses)
    problems = [floor.problem(number) for number in range(chosen.courses)]
    most = most_courses(floor.clinic, [each for each in problems if plan(each) is not None])
    greedy = floor.earliest_fit()
    batch = Batch(floor, chosen.courses, seed=seed, rounds=100_000)
    began = process_time()
    for _ in batch.steps():
        if process_time() - began > chosen.seconds:
            break
    first = batch.sequential or Total(chosen.courses, 0)
    n = chosen.courses
    placed = n - first.unplaced, n - batch.total.unplaced
    if placed[1] > most:
        raise AssertionError("more courses than rooms and people can hold")
    ratio = (batch.total.cost / max(1, placed[1])) / (first.cost / placed[0]) if placed[0] else 1.0
    return greedy, placed[0], placed[1], most, batch.made, ratio


@dataclass
class ClinicFloor:
    """A synthetic clinic in which courses take up members of pools."""

    clinic: Clinic
    count: int

    def __post_init__(self) -> None:
        self.whole = {pool: dict(members) for pool, members in self.clinic.free.items()}
        self._taken: dict[int, Placement] = {}
        self._by_itself: dict[int, Problem] = {}

    def problem(self, number: int) -> Problem:
        """The course as the clinic stands; kinds of courses come in turn."""
        return course(self.clinic, number, list(COURSES)[number % len(COURSES)], known=True)

    def plan(self, number: int) -> Placement | None:
        """Exactly, and judged."""
        return self._planned(self.problem(number))

    def _planned(self, problem: Problem) -> Placement | None:
        found = None if ruled_out(problem) else plan(problem)
        if found is None:
            return None
        faults = verify(problem, found)
        if faults:
            raise AssertionError("; ".join(faults))
        return self.placement(found)

    def alone(self, number: int) -> Placement | None:
        """In the clinic without the batch."""
        now, self.clinic.free = self.clinic.free, self.whole
        try:
            self._by_itself[number] = self.problem(number)
            return self._planned(self._by_itself[number])
        finally:
            self.clinic.free = now

    def rivals(self, number: int, worth: Mapping[int, int]) -> Collection[int]:
        """Those whose members the course would need."""
        held: dict[tuple[str, str], list[tuple[int, int, int]]] = {}
        for other, taken in self._taken.items():
            for pool, name, mask in taken.plan:
                held.setdefault((pool, name), []).append((other, (mask & -mask).bit_length() - 1, mask.bit_length()))
        kinds = {
            name: [[self._lane(need, each, held) for each in self.whole[need.pool]] for need in kind.needs]
            for name, kind in KINDS.items()
        }
        problem = self._by_itself[number]
        needs: dict[str, Needs] = {visit.session_id: kinds[kind_of(visit.session_id)] for visit in problem.visits()}
        return rivals(problem, needs, worth) or ()

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
        for pool, name, mask in placement.plan:
            self.clinic.free[pool][name] &= ~mask

    def lift(self, number: int, placement: Placement) -> None:
        """Give them back."""
        del self._taken[number]
        for pool, name, mask in placement.plan:
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
        return Placement(found.cost, days, taken, sum(mask.bit_count() for _, _, mask in taken))

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
