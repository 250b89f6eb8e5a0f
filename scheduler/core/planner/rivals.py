"""Who stands in a course's way: the others that would have to leave so that it has a plan, the least worthy ones.

The course is planned as if it were alone, and each start that others take up is charged what they are worth. What a
floor is made of is told by `Lane`s; the answer is a guess at the fewest, and planning beside the rest is its proof.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from scheduler.core.planner.grid import Ints, bools_of
from scheduler.core.planner.look import cheapest
from scheduler.core.planner.trail import Prices, Trail

#: What one unit of worth costs a plan, in points: more than most wishes.
CHARGE = 200
#: A start at which nobody could serve a need costs so many units.
MOST_CHARGED = 63


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


def rivals(trail: Trail, needs: Mapping[str, Needs], worth: Mapping[int, int], dear: Prices) -> frozenset[int]:
    """The courses in the way of one with that trail; none where it has no way even so.

    `needs` are those of each session; sessions of a kind share theirs. Courses of little worth leave before others;
    a `dear` start counts, where it is told, as well as who has it.
    """
    known: dict[int, Ints] = {}
    for session_id, each in needs.items():
        if id(each) not in known:
            charges = _charge(each, trail.problem.grid.slots, worth)
            known[id(each)] = charges + dear[session_id] if dear else charges
    way = cheapest(trail, {session_id: known[id(each)] for session_id, each in needs.items()})
    return frozenset() if way is None else _leaving(way[1].by_session(trail.problem), needs, worth)


def _charge(needs: Needs, size: int, worth: Mapping[int, int]) -> Ints:
    """What a start costs at each slot: who takes up a room takes up its nurse too, so that the dearest need counts."""
    dearest = np.zeros(size, dtype=np.int64)
    for lanes in needs:
        cheapest_lane = np.full(size, MOST_CHARGED, dtype=np.int64)
        for lane in lanes:
            np.minimum(cheapest_lane, _charged(lane, size, worth), out=cheapest_lane)
        np.maximum(dearest, cheapest_lane, out=dearest)
    return CHARGE * dearest


def _charged(lane: Lane, size: int, worth: Mapping[int, int]) -> Ints:
    """What it costs that this lane serves each of these starts."""
    charges = np.where(bools_of(lane.able, size), 0, MOST_CHARGED)
    for block in lane.blocks:
        charges[max(0, block.first) : max(0, block.past)] += worth[block.course]
    if lane.units > 1:  # one of those who share it leaving is enough, where it is full at all
        charges = np.where(bools_of(lane.free, size), 0, -(-charges // lane.units))
    charged: Ints = charges
    return charged


def _leaving(starts: Mapping[str, int], needs: Mapping[str, Needs], worth: Mapping[int, int]) -> frozenset[int]:
    """Those in the way of these starts, where each need is served by whom the fewest further ones must leave."""
    gone: set[int] = set()
    for session_id, slot in sorted(starts.items(), key=lambda start: (start[1], start[0])):
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
