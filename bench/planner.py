"""Planning whole courses: the exact planner beside peer-style booking, on the same synthetic clinics.

CPU time of one process is what is measured. Every plan, the peers' too, is judged by the verifier. A course counts as
feasible when the planner finds a plan; a peer that found one where the planner proved that there is none, or a cheaper
one, would end the run.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field, replace
from statistics import mean, median
from time import process_time

from bench.peers import PEERS, Desk
from bench.planner_clinic import COURSES, SIZES, Clinic, course
from bench.report import spread, table
from scheduler.core.planner import Plan, Problem, plan, verify
from scheduler.services.planning import EFFORT

FINE_MINUTES = 5

ABOUT = "whole courses on synthetic clinics: the exact planner beside peer-style booking"


def flags(parser: argparse.ArgumentParser) -> None:
    """The long form is `--weeks 26 --loads 0.3 0.6 0.85 0.95 --clinics 5 --courses 12`."""
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--loads", type=float, nargs="+", default=[0.6, 0.85, 0.95])
    parser.add_argument("--weeks", type=int, default=26)
    parser.add_argument("--clinics", type=int, default=2, help="seeds of clinics, counted from 0")
    parser.add_argument("--courses", type=int, default=6, help="of each kind in each clinic")
    parser.add_argument("--first-seed", type=int, default=0, help="seeds from 1000 on are held out: never tuned on")


def run(chosen: argparse.Namespace) -> None:
    """Plan the same courses by all, and print one row for each size and load."""
    rows = []
    for size in chosen.sizes:
        for load in chosen.loads:
            cell = Cell()
            for seed in range(chosen.first_seed, chosen.first_seed + chosen.clinics):
                clinic = Clinic(size, chosen.weeks, load, seed)
                for number in range(chosen.courses):
                    for name in COURSES:
                        cell.compare(
                            course(clinic, number, name, known=True), course(clinic, number, name, known=False)
                        )
            rows.append([size, f"{load:.2f}", *cell.row()])
    peers = [f"{peer}: found, cost" for peer in PEERS]
    ours = ["CPU ms, people known", "the same, 5-minute starts", "people open", "with a budget", "optimal, mean gap"]
    table(["clinic", "load", "feasible", *peers, *ours, "proof of none"], rows)
    print("found: share of the feasible courses, peer-style : planner (which finds all of them).")
    print("cost: mean ratio to the optimum where the peer-style booking succeeds. CPU: p50 / p95 / p99.")


@dataclass
class Cell:
    """The courses of one size at one load."""

    known_ms: list[float] = field(default_factory=list)
    fine_ms: list[float] = field(default_factory=list)
    open_ms: list[float] = field(default_factory=list)
    bound_ms: list[float] = field(default_factory=list)
    #: By how much the plans within the budget cost more than the optimum.
    gaps: list[float] = field(default_factory=list)
    none_ms: list[float] = field(default_factory=list)
    #: For each peer, the ratio of its cost to the optimum for each course that it found.
    ratios: dict[str, list[float]] = field(default_factory=lambda: {peer: [] for peer in PEERS})

    def compare(self, known: Problem, undecided: Problem) -> None:
        """Plan one course with people known by all, and with people open by the planner."""
        best, spent = timed(known)
        (self.none_ms if best is None else self.known_ms).append(spent)
        if best is not None:
            self.fine_ms.append(timed(replace(known, grid=replace(known.grid, row_minutes=FINE_MINUTES)))[1])
            self._compare_open(undecided)
        desk = Desk(known)
        for peer, booked in PEERS.items():
            found = booked(desk)
            if found is not None:
                judged(known, found)
                if best is None or found.cost < best.cost:
                    raise AssertionError(f"{peer} found what the planner did not: {found}")
                self.ratios[peer].append(found.cost / best.cost)

    def _compare_open(self, undecided: Problem) -> None:
        """Anybody may be the primary person: proven, and within a budget."""
        best, spent = timed(undecided)
        within, bound = timed(undecided, EFFORT)
        self.open_ms.append(spent)
        self.bound_ms.append(bound)
        if best is None or within is None or (within.optimal and within.cost > best.cost):
            raise AssertionError("a budget lost a plan, or boasted")
        self.gaps.append(within.cost / best.cost - 1)

    def row(self) -> list[str]:
        """The cell as the table shows it."""
        feasible = len(self.known_ms)
        shares = [
            f"{len(ratios) / feasible:.0%}, x{mean(ratios):.2f}" if ratios else "0%" if feasible else "-"
            for ratios in self.ratios.values()
        ]
        return [
            f"{feasible} of {feasible + len(self.none_ms)}",
            *shares,
            spread(self.known_ms) if feasible else "-",
            spread(self.fine_ms) if feasible else "-",
            spread(self.open_ms) if feasible else "-",
            spread(self.bound_ms) if feasible else "-",
            f"{self.gaps.count(0) / feasible:.0%}, {mean(self.gaps):.2%}" if feasible else "-",
            f"{median(self.none_ms):.1f}" if self.none_ms else "-",
        ]


def timed(problem: Problem, effort: int | None = None) -> tuple[Plan | None, float]:
    """The best plan, judged, and the CPU milliseconds that it took."""
    began = process_time()
    found = plan(problem, effort=effort)
    spent = 1000 * (process_time() - began)
    if found is not None:
        judged(problem, found)
    return found, spent


def judged(problem: Problem, found: Plan) -> None:
    """Raise AssertionError when the plan breaks a rule or miscounts."""
    faults = verify(problem, found)
    if faults:
        raise AssertionError("; ".join(faults))


if __name__ == "__main__":
    flags(parser := argparse.ArgumentParser(description=__doc__))
    run(parser.parse_args())
