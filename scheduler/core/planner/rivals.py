"""Who stands in a course's way: the others that would have to leave so that it has a plan, the least worthy ones.

The course is planned as if it were alone, and each start that others take up is charged what they are worth. What a
floor is made of is told by `Lane`s; the answer is a guess at the fewest, and planning beside the rest is its proof.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from scheduler.core.planner.grid import Bools, Ints, bitmap_of, calendar_of
from scheduler.core.planner.problem import Main, Plan, Problem
from scheduler.core.planner.search import Search

#: What one unit of worth costs a plan, in points: more than most wishes.
CHARGE = 200
#: No start is charged more units than this; six binary digits, of which each weight tells three.
MOST_CHARGED = 63
_DIGITS = 3
#: A plan need not be the cheapest to say who is in the way; in thousands of points, as in `plan`.
EFFORT = 600


@dataclass(frozen=True)
class Block:
    """A course that keeps a lane from starts: from `first` up to, but not including, `past`."""

    course: int
    first: int
    past: int


@dataclass(frozen=True)
class Lane:
    """Whoever can serve one need of a visit, `units` of them at once: at which starts with nobody there, and now."""

    able: int
    free: int
    blocks: tuple[Block, ...]
    units: int = 1


#: For each need of a visit the lanes of which one must serve it.
Needs = Sequence[Sequence[Lane]]


def rivals(problem: Problem, needs: Mapping[str, Needs], worth: Mapping[int, int]) -> frozenset[int] | None:
    """The courses in the way of one with that problem (posed as if it were alone), None when it has no plan even so.

    `needs` are those of each session; sessions of a kind share theirs. Courses of little worth leave before others.
    """
    found = Search(_charged(problem, needs, worth)).run(EFFORT)
    return None if found is None else _leaving(found, needs, worth)


def _charged(problem: Problem, needs: Mapping[str, Needs], worth: Mapping[int, int]) -> Problem:
    """The problem in which a start costs what those are worth who take it up now."""
    levels: dict[tuple[int, int], dict[str, tuple[int, ...]]] = {}

    def of(session_id: str, starts: int) -> dict[str, tuple[int, ...]]:
        key = id(needs[session_id]), starts
        if key not in levels:
            levels[key] = _levels(problem, needs[session_id], starts, worth)
        return levels[key]

    def charged(main: Main) -> Main:
        leaf = main.leaf and replace(main.leaf, levels=of(main.leaf.session_id, main.leaf.starts))
        return replace(main, leaf=leaf, levels=of(main.session_id, main.starts))

    # Levels are the one price that is told start by start; here they mean charges, and fullness does not matter.
    weights = replace(problem.weights, start_profile=CHARGE, nurse_peak=CHARGE << _DIGITS)
    return replace(problem, mains=tuple(charged(main) for main in problem.mains), weights=weights)


def _levels(problem: Problem, needs: Needs, starts: int, worth: Mapping[int, int]) -> dict[str, tuple[int, ...]]:
    """The charges as binary digits: a level for each unit that a digit stands for."""
    slots = np.nonzero(_set(starts & calendar_of(problem.grid).rows, problem.grid.slots))[0]
    dearest = np.zeros(len(slots), dtype=np.int64)
    for lanes in needs:  # whoever takes up a room takes up its nurse as well: the dearest need counts, not the sum
        cheapest = np.full(len(slots), MOST_CHARGED, dtype=np.int64)
        for lane in lanes:
            np.minimum(cheapest, _charges(lane, slots, problem.grid.slots, worth), out=cheapest)
        np.maximum(dearest, cheapest, out=dearest)
    digits = []
    for digit in range(2 * _DIGITS):
        here = np.zeros(problem.grid.slots, dtype=np.bool_)
        here[slots] = dearest >> digit & 1
        digits += [bitmap_of(here)] * (1 << digit % _DIGITS)
    half = len(digits) // 2
    return {name: tuple(each for each in part if each) for name, part in _halves(digits, half)}


def _halves(digits: list[int], half: int) -> list[tuple[str, list[int]]]:
    return [("start_profile", digits[:half]), ("nurse_peak", digits[half:])]


def _charges(lane: Lane, slots: Ints, size: int, worth: Mapping[int, int]) -> Ints:
    """What it costs that this lane serves each of these starts."""
    charges = np.where(_set(lane.able, size)[slots], 0, MOST_CHARGED)
    lows = np.searchsorted(slots, [block.first for block in lane.blocks])
    highs = np.searchsorted(slots, [block.past for block in lane.blocks])
    for block, low, high in zip(lane.blocks, lows, highs, strict=True):
        charges[low:high] += worth[block.course]
    if lane.units > 1:  # one of those who share it leaving is enough, where it is full at all
        charges = np.where(_set(lane.free, size)[slots], 0, -(-charges // lane.units))
    charged: Ints = charges
    return charged


def _leaving(found: Plan, needs: Mapping[str, Needs], worth: Mapping[int, int]) -> frozenset[int]:
    """Those who are in the way of a plan, where each need is served by whom the fewest further ones must leave."""
    gone: set[int] = set()
    for session_id, slot in found.starts:
        for lanes in needs[session_id]:
            able = [lane for lane in lanes if lane.able >> slot & 1]
            ways = [_in_the_way(lane, slot, gone, worth) for lane in able]
            gone |= min(ways, key=lambda way: sum(worth[course] for course in way), default=set())
    return frozenset(gone)


def _in_the_way(lane: Lane, slot: int, gone: set[int], worth: Mapping[int, int]) -> set[int]:
    if lane.units > 1 and lane.free >> slot & 1:
        return set()
    here = {block.course for block in lane.blocks if block.first <= slot < block.past} - gone
    return {min(here, key=lambda course: (worth[course], course))} if lane.units > 1 and here else here


@lru_cache(maxsize=512)
def _set(bitmap: int, size: int) -> Bools:
    """Which of the first slots are set in a bitmap."""
    known = (bitmap & ((1 << size) - 1)).to_bytes(-(-size // 8), "little")
    bits: Bools = np.unpackbits(np.frombuffer(known, dtype=np.uint8), bitorder="little")[:size].astype(np.bool_)
    return bits
