"""Courses without a plan, frozen: a minimal set of rules in the way, and all rules that help by themselves.

A plain search over days (`bench/fewest`) proves all: that there is no plan, that there is none either once every other
rule is lifted, that there is one without any of the set as well, and for each single rule whether it helps. The table
of all states (`dictionary`) proves once more that there is no plan, and one with the last rule that helps by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from typing import Any

from bench.fewest import fewest
from bench.planner_clinic import course
from scheduler.core.planner import Main, Problem, plan
from scheduler.core.planner.explain import conflict, correction, feasible
from tests.core.planner.dictionary import looked_up
from tests.core.planner.freeze import digest
from tests.core.planner.posed import Posed, courses_of

CELLS = [("small", 8, 0.6), ("small", 12, 0.85), ("small", 12, 0.6), ("medium", 12, 0.95), ("medium", 8, 0.85)]
WANTED = 40
#: At most so many of one clinic size, so that neither is rare.
OF_A_CELL = WANTED // len(CELLS)
#: By how many days a limit is exceeded once it is lifted.
MORE_DAYS = 3
_DAY = 24 * 60


def rules_of(posed: Posed) -> list[str]:
    """The rules that can be lifted, the patient's first, the limits next, then one more of each pool."""
    problem = posed.problem()
    gaps = [f"gap {main.session_id}" for main in problem.mains if main.gap]
    windows = [f"window {main.leaf.session_id}" for main in problem.mains if main.leaf]
    spans = ["span"] if problem.spans else []
    return ["patient", *gaps, *windows, *spans, *(f"pool {pool}" for pool in sorted(posed.ward.clinic().free))]


def without(posed: Posed, lifted: Collection[str]) -> Problem:
    """The problem once these are lifted."""
    clinic = posed.ward.clinic()
    for rule in lifted:
        kind, _, pool = rule.partition(" ")
        if kind == "pool":
            clinic.free[pool]["newcomer"] = (1 << clinic.grid.slots) - 1
    problem = course(clinic, posed.number, posed.name, known=True, always="patient" in lifted)
    mains = tuple(_longer(main, lifted) for main in problem.mains)
    return replace(problem, mains=mains, spans=() if "span" in lifted else problem.spans)


def _longer(main: Main, lifted: Collection[str]) -> Main:
    gap, leaf = main.gap, main.leaf
    if gap is not None and f"gap {main.session_id}" in lifted:
        gap = replace(gap, max=gap.max + MORE_DAYS)
    if leaf is not None and f"window {leaf.session_id}" in lifted:
        leaf = replace(leaf, window=replace(leaf.window, max=leaf.window.max + MORE_DAYS * _DAY))
    return replace(main, gap=gap, leaf=leaf)


def told(posed: Posed) -> dict[str, Any]:
    """What the planner says: who is to blame, what helps by itself, and a few that help together."""
    rules = rules_of(posed)

    def possible(lifted: Collection[str]) -> bool:
        return feasible(without(posed, lifted))

    blocking, together = conflict(rules, possible), correction(rules, possible)
    return {
        "blocking": blocking and list(blocking),
        "single": [rule for rule in rules if possible([rule])],
        "together": together and list(together),
    }


def unproven(line: dict[str, Any]) -> list[str]:
    """Which claims of a line the slow searches deny."""
    posed = Posed.read(line["course"])
    rules = rules_of(posed)

    def possible(lifted: Collection[str]) -> bool:
        return fewest(without(posed, lifted)) is not None

    claims = {"there is no plan": not possible([]) and looked_up(posed.problem()) is None}
    for rule in rules:
        claims[f"{rule} helps or not"] = possible([rule]) == (rule in line["single"])
    for rule in line["single"][-1:]:
        claims[f"with {rule} there is a plan"] = looked_up(without(posed, [rule])) is not None
    claims |= _of_sets(line, rules, possible)
    return [claim for claim, holds in claims.items() if not holds]


def _of_sets(line: dict[str, Any], rules: list[str], possible: Callable[[Collection[str]], bool]) -> dict[str, bool]:
    """What is claimed of several rules together."""
    blocking, together = line["blocking"], line["together"]
    if blocking is None or together is None:
        return {"nothing helps": not possible(rules) and blocking is together is None}
    others = [rule for rule in rules if rule not in blocking]
    claims = {"the set is in the way": not possible(others), "together they help": possible(together)}
    for rule in blocking:
        claims[f"{rule} is needed in the way"] = possible([*others, rule])
    for rule in together:
        claims[f"{rule} is needed to help"] = not possible([each for each in together if each != rule])
    return claims


def hashed(posed: Posed) -> str:
    """Of the course, and of what it becomes without each rule."""
    return digest([without(posed, lifted) for lifted in ([], *([rule] for rule in rules_of(posed)))])


def faults(line: dict[str, Any]) -> list[str]:
    """Where the planner differs from what was proven."""
    posed = Posed.read(line["course"])
    if hashed(posed) != line["sha256"]:
        return ["the instance is no longer the one that was proved"]
    return [name for name, value in told(posed).items() if value != line[name]]


def made() -> Iterator[dict[str, Any]]:
    """Each course with its proven explanation."""
    found: dict[tuple[str, int, float], int] = {}
    for posed in courses_of(CELLS, each=1):
        cell = posed.ward[:3]
        if found.get(cell, 0) == OF_A_CELL or plan(posed.problem()) is not None:
            continue
        found[cell] = found.get(cell, 0) + 1
        line = {"course": posed.written(), "sha256": hashed(posed), "by": ["fewest", "dictionary"], **told(posed)}
        wrong = unproven(line)
        if wrong:
            raise AssertionError(f"{line['course']}: {wrong}")
        yield line
        if sum(found.values()) == WANTED:
            return
