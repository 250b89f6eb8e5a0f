"""One dose of a booked course is cancelled: planning anew with least movement beside shifting everything that follows.

CPU time of one process is what is measured. Every new plan is judged by the verifier, and by a plain search that counts
moves alone: a plan that moved more than it must would end the run.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from statistics import mean

from bench.fewest import fewest
from bench.planner import timed
from bench.planner_clinic import COURSES, LENGTH, SIZES, Clinic, course
from bench.report import spread, table
from scheduler.core.bitmap import SLOT_MINUTES
from scheduler.core.planner import Main, Problem

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
    parser.add_argument("--lost", nargs="+", choices=LOST, default=list(LOST), help="what the dose may not have again")


def run(chosen: argparse.Namespace) -> None:
    """Cancel every dose of every course in turn, and print rows for each size and load."""
    rows = []
    for size in chosen.sizes:
        for load in chosen.loads:
            cells = {lost: Cell(LOST[lost]) for lost in chosen.lost}
            for seed in range(chosen.first_seed, chosen.first_seed + chosen.clinics):
                clinic = Clinic(size, chosen.weeks, load, seed)
                for number in range(chosen.courses):
                    for name in COURSES:
                        problem = course(clinic, number, name, known=True)
                        for cell in cells.values():
                            cell.cancel_each(clinic, problem)
            rows += [[size, f"{load:.2f}", lost, *cell.row()] for lost, cell in cells.items()]
    table(
        [
            "clinic",
            "load",
            "lost to the dose",
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

    barred: Callable[[Clinic, Main, int], int]
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
            again = without(problem, stood, main.session_id, self.barred(clinic, main, at))
            found, spent = timed(again)
            self.ms.append(spent)
            moved = found and sum(slot != stood[key] for key, slot in found.starts if key != main.session_id)
            if moved != fewest(again):
                raise AssertionError(f"{moved} visits moved, {fewest(again)} must")
            if moved is None:
                self.none += 1
                continue
            self.moved.append(moved)
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


def its_day(clinic: Clinic, _main: Main, at: int) -> int:
    """All starts of the day on which it was to be."""
    day = max(day for day in range(clinic.grid.days) if clinic.opening(day) <= at)
    return ((1 << LENGTH) - 1) << clinic.opening(day)


def its_hours(_clinic: Clinic, main: Main, at: int) -> int:
    """All starts with which it would be under way at some time at which it was to be."""
    length = main.minutes // SLOT_MINUTES
    return ((1 << (2 * length - 1)) - 1) << (at - length + 1)


def its_start(_clinic: Clinic, _main: Main, at: int) -> int:
    """That start alone."""
    return 1 << at


#: What the dose may not have again.
LOST: Mapping[str, Callable[[Clinic, Main, int], int]] = {"day": its_day, "hours": its_hours, "start": its_start}


def without(problem: Problem, stood: Mapping[str, int], session_id: str, barred: int) -> Problem:
    """The problem after that dose was cancelled: all before it stands, all after it stays if it can."""
    at = stood[session_id]
    mains = (
        replace(main, starts=main.starts & ~barred) if main.session_id == session_id else main for main in problem.mains
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
