"""Courses that cannot be planned: how long the proof takes, and how long to say why and what would help."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from functools import partial
from random import Random
from time import process_time
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from bench.clinic import FORTY, Clinic
from bench.databases import sqlite
from bench.history import History
from bench.plans import AHEAD, begun_courses
from bench.report import spread, table
from scheduler.core.call import Call
from scheduler.core.hours import WEEKDAYS
from scheduler.services import courses, explaining, planning, problems

ABOUT = "courses that cannot be planned in a clinic of 40: the proof, and the explanation with verified changes"


def flags(parser: argparse.ArgumentParser) -> None:
    """The long form is `--stored 60000 --courses 100`."""
    parser.add_argument("--stored", type=int, default=60_000, help="occupancies")
    parser.add_argument("--courses", type=int, default=30, help="courses under wishes that few days can meet")


@dataclass
class Told:
    """CPU milliseconds, and what was said."""

    proof: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)
    blocking: list[int] = field(default_factory=list)
    changes: list[int] = field(default_factory=list)


def run(chosen: argparse.Namespace) -> None:
    """Plan courses whose patients can come on few days, and explain those for which there is no plan."""
    with sqlite() as database:
        clinic = Clinic(database, FORTY)
        History(clinic, window=AHEAD).grow(chosen.stored)
        rng, told = Random(3), Told()
        for course_id in begun_courses(clinic, chosen.courses, lambda: _wishes(rng)):
            clinic.do(partial(_explained, course_id=course_id, told=told))
    helped = sum(changes > 0 for changes in told.changes)
    table(
        ["courses", "without a plan", "proof", "whole explanation", "rules in the way", "with a change that helps"],
        [[chosen.courses, len(told.proof), spread(told.proof), spread(told.whole),
          f"{sum(told.blocking) / max(1, len(told.blocking)):.1f}", f"{helped} of {len(told.changes)}"]],
    )  # fmt: skip
    print("CPU milliseconds, p50 / p95 / p99; the rows have been read by then, and every change was planned with.")


def _wishes(rng: Random) -> dict[str, Any]:
    days = sorted(rng.sample(range(5), rng.choice([1, 1, 2, 2, 3])))
    hour = rng.choice([8, 9, 13, 14])
    wishes: dict[str, Any] = {"weekdays": [WEEKDAYS[day] for day in days]}
    if rng.random() < 0.7:  # noqa: PLR2004 - most
        wishes |= {"earliest": f"{hour:02}:00", "latest": f"{hour + 1:02}:30"}
    return wishes


def _explained(session: Session, call: Call, *, course_id: UUID, told: Told) -> None:
    desk = planning.set_up(session, call, courses.get(session, call, course_id), through="all")
    began = process_time()
    plans = planning.solve(desk) or planning.solve_finer(desk)
    spent = 1000 * (process_time() - began)
    if plans:
        return
    planner = explaining.Planner(problems.rules_of, planning.solve_eased)
    refusal = explaining.refusal(session, call, planning.finer(desk), planner)
    told.proof.append(spent)
    told.whole.append(1000 * (process_time() - began))
    told.blocking.append(len(refusal.blocking))
    told.changes.append(len(refusal.relaxations))
