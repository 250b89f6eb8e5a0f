"""Booked courses of which a dose is cancelled, frozen: the least cost of all new plans, and the fewest visits moved.

The cost is proven by the table of all states (`dictionary`), the moves by a plain search over days (`bench/fewest`).
The plan that stood is a part of the instance: whatever the planner would book today, this is what was cancelled.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from random import Random
from typing import Any

from bench.fewest import fewest
from bench.replan import LOST
from bench.replan import without as cancelled
from scheduler.core.planner import Problem, plan, verify
from tests.core.planner.dictionary import looked_up
from tests.core.planner.freeze import digest
from tests.core.planner.posed import Posed, courses_of

CELLS = [("small", 12, 0.6), ("small", 26, 0.6), ("medium", 12, 0.85), ("medium", 26, 0.6), ("medium", 26, 0.85)]
WANTED = 60


def posed_again(line: Mapping[str, Any]) -> Problem:
    """The problem once the dose is cancelled."""
    posed = Posed.read(line["course"])
    problem, clinic = posed.problem(), posed.ward.clinic()
    stood = dict(zip((visit.session_id for visit in problem.visits()), line["stood"], strict=True))
    main = next(main for main in problem.mains if main.session_id == line["cancelled"])
    barred = LOST[line["lost"]](clinic, main, stood[main.session_id])
    return cancelled(problem, stood, main.session_id, barred)


def told(line: Mapping[str, Any], problem: Problem) -> dict[str, int | None]:
    """What the planner's new plan costs, and how many visits move besides the dose."""
    found = plan(problem)
    if found is None:
        return {"cost": None, "moved": None}
    if wrong := verify(problem, found):
        raise AssertionError("; ".join(wrong))
    moved = sum(problem.booked.get(key, slot) != slot for key, slot in found.starts if key != line["cancelled"])
    return {"cost": found.cost, "moved": moved}


def unproven(line: Mapping[str, Any]) -> list[str]:
    """Which claims of a line are not what the slow searches find."""
    problem = posed_again(line)
    best = looked_up(problem)
    proven = {"cost": None if best is None else best.cost, "moved": fewest(problem)}
    return [name for name, value in proven.items() if value != line[name]]


def faults(line: Mapping[str, Any]) -> list[str]:
    """Where the planner differs from what was proven."""
    problem = posed_again(line)
    if digest(problem) != line["sha256"]:
        return ["the instance is no longer the one that was proved"]
    return [name for name, value in told(line, problem).items() if value != line[name]]


def made() -> Iterator[dict[str, Any]]:
    """Each cancellation with its proven answer; the dose, and what it may not have again, are drawn."""
    rng, found = Random("replans"), 0
    for posed in courses_of(CELLS, each=1):
        problem = posed.problem()
        best = plan(problem)
        if best is None:
            continue
        stood = dict(best.starts)
        line: dict[str, Any] = {
            "course": posed.written(),
            "stood": [stood[visit.session_id] for visit in problem.visits()],
            "cancelled": rng.choice(problem.mains[1:]).session_id,
            "lost": rng.choice(list(LOST)),
        }
        again = posed_again(line)
        line |= {"sha256": digest(again), "by": ["dictionary", "fewest"], **told(line, again)}
        wrong = unproven(line)
        if wrong:
            raise AssertionError(f"{line['course']}: {wrong}")
        yield line
        found += 1
        if found == WANTED:
            return
