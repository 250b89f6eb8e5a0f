"""One dose of a booked course is cancelled: planning anew with least movement beside shifting everything that follows.

CPU time of one process is what is measured. Every new plan is judged by the verifier.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from statistics import mean

from bench.planner import timed
from bench.planner_clinic import COURSES, LENGTH, SIZES, Clinic, course
from bench.report import spread, table
from scheduler.core.planner import Problem

#: What a visit that stays is worth, as in `services/replanning`.
STAYING = 5_000
DAY = 288
#: The shift that is tried at most, in days.
FURTHEST = 28

ABOUT = "one dose cancelled: planning anew with least movement beside shifting all that follows"


def flags(parser: argparse.ArgumentParser) -> None:
    """Which clinics, and how many courses in each."""
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=["medium"])
    parser.add_argument("--loads", type=float, nargs="+", default=[0.6, 0.85])
    parser.add_argument("--weeks", type=int, default=26)
    parser.add_argument("--clinics", type=int, default=2, help="seeds of clinics, counted from 0")
    parser.add_argument("--courses", type=int, default=4, help="of each kind in each clinic")
    parser.add_argument("--first-seed", type=int, default=0)


def run(chosen: argparse.Namespace) -> None:
    """Cancel every dose of every course in turn, and print one row for each size and load."""
    rows = []
    for size in chosen.sizes:
        for load in chosen.loads:
            cell = Cell()
            for seed in range(chosen.first_seed, chosen.first_seed + chosen.clinics):
                clinic = Clinic(size, chosen.weeks, load, seed)
                for number in range(chosen.courses):
                    for name in COURSES:
                        cell.cancel_each(clinic, course(clinic, number, name, known=True))
            rows.append([size, f"{load:.2f}", *cell.row()])
    table(
        [
            "clinic",
            "load",
            "cancelled",
            "no plan",
            "moved besides the dose, mean / most",
            "with the dose",
            "CPU ms",
            "shifting: possible",
            "moved",
        ],
        rows,
    )
    print("moved: of the visits that stood; the dose itself, which is cancelled, always is. CPU: p50 / p95 / p99.")


@dataclass
class Cell:
    """The cancellations of one size at one load."""

    ms: list[float] = field(default_factory=list)
    moved: list[int] = field(default_factory=list)
    none: int = 0
    shifted: list[int] = field(default_factory=list)

    def cancel_each(self, clinic: Clinic, problem: Problem) -> None:
        """Book the best plan, then cancel each of its doses by itself; what lies before it stands."""
        best, _ = timed(problem)
        stood = dict(best.starts) if best else {}
        for main in problem.mains[1:] if best else ():
            at = stood[main.session_id]
            again = without_its_day(clinic, problem, stood, main.session_id)
            found, spent = timed(again)
            self.ms.append(spent)
            if found is None:
                self.none += 1
                continue
            self.moved.append(sum(slot != stood[key] for key, slot in found.starts if key != main.session_id))
            follows = {key: slot for key, slot in stood.items() if slot >= at}
            if any(fits(again, {k: slot + days * DAY for k, slot in follows.items()}) for days in range(1, FURTHEST)):
                self.shifted.append(len(follows) - 1)

    def row(self) -> list[str]:
        """The cell as the table shows it."""
        count = len(self.ms)
        return [
            str(count),
            str(self.none),
            f"{mean(self.moved):.2f} / {max(self.moved)}",
            f"{1 + mean(self.moved):.2f}",
            spread(self.ms),
            f"{len(self.shifted) / count:.0%}",
            f"{mean(self.shifted):.2f}" if self.shifted else "-",
        ]


def without_its_day(clinic: Clinic, problem: Problem, stood: Mapping[str, int], session_id: str) -> Problem:
    """The problem after that dose was cancelled: not on its day, all before it stands, all after it stays if it can."""
    at = stood[session_id]
    day = max(day for day in range(clinic.grid.days) if clinic.opening(day) <= at)
    away = ((1 << LENGTH) - 1) << clinic.opening(day)
    mains = (
        replace(main, starts=main.starts & ~away) if main.session_id == session_id else main for main in problem.mains
    )
    return replace(
        problem,
        mains=tuple(mains),
        pinned={key: slot for key, slot in stood.items() if slot < at},
        booked={key: slot for key, slot in stood.items() if slot > at},
        weights=replace(problem.weights, moved=STAYING),
    )


def fits(problem: Problem, places: Mapping[str, int]) -> bool:
    """Whether all these may start there: the gap before the first of them is the shifting desk's own business."""
    starts = {main.session_id: main.starts for main in problem.mains}
    starts |= {main.leaf.session_id: main.leaf.starts for main in problem.mains if main.leaf}
    return all(starts[key] >> slot & 1 for key, slot in places.items())
