"""Batches of new courses, frozen: how many have a place in the best plans known, and how many can have one at most.

Both are claims with their proof beside them. The plans are kept, with whom and what each visit takes, and are judged by
the verifier and a count of who is free; of the bound the prices are kept, from which `bench/certificate` works it out.
Better plans and higher prices may take their place, worse ones never.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any

from bench.batch import ClinicFloor, Seats, kind_of
from bench.certified import bound, certificate
from bench.planner_clinic import KINDS
from scheduler.core.planner import verify
from scheduler.core.planner.batch import Batch
from scheduler.core.planner.dp import Itinerary
from scheduler.core.planner.pricing import priced
from tests.core.planner.freeze import digest
from tests.core.planner.posed import Ward

#: Clinics, and how many courses come at once.
CELLS = [("small", 8, 0.6, 16), ("small", 12, 0.6, 20), ("small", 12, 0.85, 20), ("medium", 8, 0.6, 30)]
CELLS += [("medium", 8, 0.85, 30), ("medium", 12, 0.85, 40)]
#: Clinics of each cell.
EACH = 4
#: Rounds of the search.
ROUNDS = 100


def made() -> Iterator[dict[str, Any]]:
    """Each batch, with what the search finds of it in so many rounds."""
    for seed in range(EACH):
        for size, weeks, load, count in CELLS:
            ward = Ward(size, weeks, load, seed)
            floor = ClinicFloor(ward.clinic(), count)
            line: dict[str, Any] = {"ward": [*ward], "courses": count, "rounds": ROUNDS, "sha256": hashed(floor)}
            batch = searched(line)
            line["by"] = "certificate"
            line["placed"] = len(batch.kept)
            prices = {str(pool): [int(each) for each in price] for pool, price in batch.prices.items()}
            line["prices"] = {pool: packed(each) for pool, each in sorted(prices.items()) if any(each)}
            line["at_most"] = at_most(line)
            line["plans"] = {
                str(number): seats(floor, number, batch.kept[number].plan) for number in sorted(batch.kept)
            }
            wrong = unproven(line)
            if wrong:
                raise AssertionError(f"{line['ward']}: {wrong}")
            yield line


def searched(line: Mapping[str, Any]) -> Batch:
    """The search for that batch, at its end."""
    floor = floor_of(line)
    batch = Batch(floor, line["courses"], rounds=line["rounds"])
    for _ in batch.steps():
        pass
    floor.judge(batch.kept)
    return batch


def floor_of(line: Mapping[str, Any]) -> ClinicFloor:
    """The clinic without the batch."""
    size, weeks, load, seed = line["ward"]
    return ClinicFloor(Ward(size, weeks, load, seed).clinic(), line["courses"])


def hashed(floor: ClinicFloor) -> str:
    """Of all courses, and of who and what is free."""
    return digest([[floor.problem(number) for number in range(floor.count)], floor.whole])


def seats(floor: ClinicFloor, number: int, kept: Seats) -> list[list[int]]:
    """Each visit of a course, in its order: the start, and which member of each pool serves it."""
    taken, found = iter(kept.taken), {}
    for session_id, slot in kept.found.starts:
        members = [next(taken)[:2] for _ in KINDS[kind_of(session_id)].needs]
        found[session_id] = [slot, *(list(floor.whole[pool]).index(name) for pool, name in members)]
    return [found[visit.session_id] for visit in floor.problem(number).visits()]


def unproven(line: Mapping[str, Any]) -> list[str]:
    """Which claims of a line its proofs do not bear out."""
    wrong = [] if len(line["plans"]) == line["placed"] else ["as many plans as courses that have a place"]
    wrong += [] if at_most(line) == line["at_most"] >= line["placed"] else ["the bound that the prices prove"]
    return wrong + _not_together(floor_of(line), line["plans"])


def _not_together(floor: ClinicFloor, plans: Mapping[str, list[list[int]]]) -> list[str]:
    """What keeps these plans from being booked together: each is judged by itself, and nothing is taken twice."""
    wrong, free = [], {pool: list(members.values()) for pool, members in floor.whole.items()}
    for number, visits in plans.items():
        problem = floor.problem(int(number))
        starts = {visit.session_id: at[0] for visit, at in zip(problem.visits(), visits, strict=True)}
        leaves = tuple(starts[main.leaf.session_id] for main in problem.mains if main.leaf)
        found = priced(problem, Itinerary(tuple(starts[main.session_id] for main in problem.mains), leaves))
        wrong += [f"course {number}: {fault}" for fault in verify(problem, found)]
        for session_id, (slot, *members) in zip(starts, visits, strict=True):
            for need, member in zip(KINDS[kind_of(session_id)].needs, members, strict=True):
                mask = ((1 << need.length) - 1) << (slot + need.offset)
                if mask & ~free[need.pool][member]:
                    wrong.append(f"course {number}: {need.pool} {member} is taken at {slot}")
                free[need.pool][member] &= ~mask
    return wrong


def at_most(line: Mapping[str, Any]) -> int:
    """How many of the courses can have a place, as far as the kept prices tell."""
    floor = floor_of(line)
    proof = certificate(floor.whole, [floor.problem(number) for number in range(floor.count)])
    return int(bound(proof, {pool: unpacked(runs) for pool, runs in line["prices"].items()}))


def packed(prices: list[int]) -> list[list[int]]:
    """Prices that follow each other alike said once: how many, and how much."""
    return [[len(list(run)), price] for price, run in groupby(prices)]


def unpacked(runs: list[list[int]]) -> list[int]:
    """What was packed."""
    return [price for count, price in runs for _ in range(count)]


def faults(line: Mapping[str, Any]) -> list[str]:
    """Where the search does worse than the best known, or says what cannot be."""
    if hashed(floor_of(line)) != line["sha256"]:
        return ["the instance is no longer the one that was proved"]
    batch = searched(line)
    placed, said = len(batch.kept), line["courses"] - (batch.bound.unplaced if batch.bound else 0)
    wrong = [] if placed >= line["placed"] else [f"{placed} placed, {line['placed']} were"]
    return wrong + ([] if placed <= min(line["at_most"], said) else ["more placed than can be"])
