"""A thousand courses with their proven answers: `python -m tests.core.planner.freeze` makes `frozen.json` anew.

Each line says which course it is, the hash of the whole problem, who proved the answer, and the answer. Courses from
HELD_OUT on are never frozen and never tuned on: `--held-out FILE` plans them and asks the slow planners, a thousand of
them in as many runs as it takes: each writes what it has done to the file, and goes on where the one before ended.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from datetime import date, datetime
from itertools import product
from pathlib import Path
from time import process_time
from typing import Any

from scheduler.core.planner import Cap, Problem, plan
from tests.core.planner.certifying import UNPROVEN, certified
from tests.core.planner.dictionary import looked_up
from tests.core.planner.enumeration import Best, enumerated
from tests.core.planner.instances import course, long_course, ruled

FROZEN = Path(__file__).with_name("frozen.json")
HELD_OUT = 100_000
#: What courses can say since they were frozen: passed over where they do not, since they are still the same.
LATER = {"room_remainders": 0, "therapist_remainders": 0, "own_levels": {}, "dropped": 1000}
#: A slow planner that takes more CPU seconds than this for one course is not asked further.
PATIENCE = 60


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
        said = {each.name: getattr(value, each.name) for each in fields(value)}
        return {name: plain(each) for name, each in said.items() if name not in LATER or each != LATER[name]}
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


class _TooSlowError(Exception):
    pass


def _give_up(_number: int, _frame: object) -> None:
    raise _TooSlowError


def held_out(file: Path, seconds: float) -> None:
    """Try courses that nobody has seen before until the seconds (of CPU time) are over, or all have been tried."""
    done = {(each["kind"], each["seed"]) for each in _tried(file)}
    signal.signal(signal.SIGPROF, _give_up)
    # One of each kind in turn, so that whatever was tried by the end is of all kinds.
    rounds = range(max(wanted for _, wanted, _ in KINDS.values()))
    for number, (kind, (_, wanted, _)) in product(rounds, KINDS.items()):
        if number >= wanted or (kind, HELD_OUT + number) in done:
            continue
        if process_time() > seconds:
            return
        line = {"kind": kind, "seed": HELD_OUT + number, "said": _compared(kind, HELD_OUT + number)}
        with file.open("a") as lines:
            lines.write(json.dumps(line) + "\n")


def _compared(kind: str, seed: int) -> str:
    problem = KINDS[kind][0](seed)
    signal.setitimer(signal.ITIMER_PROF, PATIENCE)
    try:
        proven = answer(kind, problem)
    except _TooSlowError:
        proven = UNPROVEN
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    if proven == UNPROVEN:
        return "unproven"
    return "agreed" if proven == planned(kind, problem) else "differed"


def _tried(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def main() -> None:
    """Make the file, or try the courses that are held out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--held-out", type=Path, metavar="FILE")
    parser.add_argument("--seconds", type=float, default=200, help="CPU time of this run with held-out courses")
    chosen = parser.parse_args()
    if chosen.held_out is not None:
        held_out(chosen.held_out, chosen.seconds)
        said = Counter(each["said"] for each in _tried(chosen.held_out))
        total = sum(wanted for _, wanted, _ in KINDS.values())
        told = ", ".join(f"{number} {word}" for word, number in sorted(said.items()))
        sys.stdout.write(f"{said.total()} of {total} tried: {told}\n")
        sys.exit(bool(said["differed"]))
    FROZEN.write_text("\n".join(json.dumps(each, separators=(",", ":")) for each in frozen()) + "\n")


if __name__ == "__main__":
    main()
