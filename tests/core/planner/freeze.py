"""A thousand courses with their proven answers: `python -m tests.core.planner.freeze` makes `frozen.json` anew.

Each line says which course it is, the hash of the whole problem, who proved the answer, and the answer. Courses from
HELD_OUT on are never frozen and never tuned on: `--held-out` plans them and asks the slow planners at once.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

from scheduler.core.planner import Cap, Problem, plan
from tests.core.planner.certifying import UNPROVEN, certified
from tests.core.planner.dictionary import looked_up
from tests.core.planner.enumeration import Best, enumerated
from tests.core.planner.instances import course, long_course, ruled

FROZEN = Path(__file__).with_name("frozen.json")
HELD_OUT = 100_000
HELD_OUT_COURSES = 60


def capped(seed: int) -> Problem:
    """A long course under a weekly limit of both kinds, where its spans leave room for one."""
    problem = long_course(seed)
    last = len(problem.mains) - 1
    caps = (Cap(0, last, 2, None), Cap(0, last, 3, 9)) if seed % 2 else (Cap(0, last, 2, 6),)
    return replace(problem, spans=(), caps=caps)


def third(seed: int) -> Problem:
    """A long course that no table has proved."""
    return long_course(10_000 + seed)


#: How many courses of which kind, and who proves their answers.
KINDS: dict[str, tuple[Callable[[int], Problem], int, str]] = {
    "small": (course, 300, "enumeration"),
    "ruled": (ruled, 400, "enumeration"),
    "long": (long_course, 150, "dictionary"),
    "capped": (capped, 100, "dictionary"),
    "certified": (third, 50, "cp-sat"),
}


def answer(kind: str, problem: Problem) -> list[Any] | int | None:
    """The proven answer: cost and slots, the cost alone where only that is proven, or None without a plan."""
    prover = KINDS[kind][2]
    if prover == "cp-sat":
        return certified(problem)
    best = enumerated(problem) if prover == "enumeration" else looked_up(problem)
    return None if best is None else [best.cost, list(best.mains), list(best.leaves)]


def planned(kind: str, problem: Problem) -> list[Any] | int | None:
    """The planner's own answer, in the same words."""
    found = plan(problem)
    if found is None:
        return None
    slots = dict(found.starts)
    mains = tuple(slots[main.session_id] for main in problem.mains)
    leaves = tuple(slots[main.leaf.session_id] for main in problem.mains if main.leaf)
    best = Best(found.cost, mains, leaves)
    return best.cost if KINDS[kind][2] == "cp-sat" else [best.cost, list(best.mains), list(best.leaves)]


def digest(problem: Problem) -> str:
    """The hash of everything that a problem says."""
    return hashlib.sha256(json.dumps(plain(problem), sort_keys=True).encode()).hexdigest()


def plain(value: Any) -> Any:
    """A value as JSON, the same in every process."""
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, frozenset):
        return sorted((plain(each) for each in value), key=str)
    if isinstance(value, tuple | list):
        return [plain(each) for each in value]
    if isinstance(value, datetime | date):
        return value.isoformat()
    return hex(value) if isinstance(value, int) and value > 1 << 60 else value


def frozen(count: float = 1.0) -> Iterator[dict[str, Any]]:
    """Each course with its answer; what the solver cannot prove in time is passed over."""
    for kind, (make, wanted, prover) in KINDS.items():
        made, seed = 0, 0
        while made < round(wanted * count):
            problem = make(seed)
            proven = answer(kind, problem)
            if proven != UNPROVEN:
                made += 1
                yield {"kind": kind, "seed": seed, "sha256": digest(problem), "by": prover, "answer": proven}
            seed += 1


def held_out() -> int:
    """How many answers to courses that nobody has seen before are not the slow planners'."""
    wrong = 0
    for kind, (make, _, _) in KINDS.items():
        for seed in range(HELD_OUT, HELD_OUT + HELD_OUT_COURSES):
            problem = make(seed)
            proven = answer(kind, problem)
            wrong += proven not in (UNPROVEN, planned(kind, problem))
    return wrong


def main() -> None:
    """Make the file, or try the courses that are held out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--held-out", action="store_true")
    if parser.parse_args().held_out:
        sys.stdout.write(f"{held_out()} of {HELD_OUT_COURSES * len(KINDS)} answers differ\n")
        return
    FROZEN.write_text("\n".join(json.dumps(each, separators=(",", ":")) for each in frozen()) + "\n")


if __name__ == "__main__":
    main()
