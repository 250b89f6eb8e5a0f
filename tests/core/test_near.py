"""The short integers that a search looks at, against the long ones that they were cut from."""

from __future__ import annotations

from random import Random
from uuid import UUID

import pytest

from scheduler.core.availability import Calendar, Clinic, assign
from scheduler.core.bitmap import Timeline
from scheduler.core.demand import Demand, Stretch, Thread
from scheduler.core.near import BLOCK, best_first
from tests.plumbing.clock import NOON

TIMELINE = Timeline.covering(NOON, NOON)
SLOTS = TIMELINE.slots
#: Exactly at, before and after the edges of blocks, and of the timeline.
STARTS = [0, 1, 2, BLOCK - 2, BLOCK - 1, BLOCK, BLOCK + 1, SLOTS - 2, SLOTS - 1, *range(30, SLOTS, 37)]
THREADS = [
    Thread("role:nurse", (Stretch(0, 12, None, "talk"),)),
    Thread("role:nurse", (Stretch(2, 6, 1, "watch"), Stretch(9, 14, None, "dose"))),
    Thread("room:bay", (Stretch(-2, 9, None, "setup"),)),
]


def clinic(rng: Random) -> Clinic:
    """Ten who are there and taken at random, in runs that are long enough to serve."""

    def mask(share: float) -> int:
        found, at = 0, 0
        while at < SLOTS:
            length = rng.randint(4, 30)
            found |= ((1 << length) - 1) << at if rng.random() < share else 0
            at += length
        return found & TIMELINE.everything

    calendars = {}
    for ordinal in range(10):
        lanes = mask(0.3), mask(0.3)
        taken = (lanes[0] | lanes[1], lanes[0] & lanes[1])
        key = UUID(int=ordinal + 1)
        serves = {"role:nurse": mask(0.8), "room:bay": -1}
        calendars[key] = Calendar(key, "practitioner", 2, mask(0.9), mask(0.1), taken, serves)
    return Clinic(TIMELINE, calendars)


def ranked(thread: Thread, place: Clinic, slot: int) -> list[UUID]:
    """The same by the long integers, one question at a time."""
    first, last = thread.stretches[0], thread.stretches[-1]

    def rank(each: Calendar) -> tuple[int, UUID]:
        at = [max(slot + first.start - 1, 0), slot + last.end]
        at += [slot + first.start] if first.units is not None else []
        return -sum(each.taken[0] >> slot & 1 for slot in at), each.resource_id

    able = [each for each in place.calendars.values() if each.starts(thread) >> slot & 1]
    return [each.resource_id for each in sorted(able, key=rank)]


@pytest.mark.parametrize("seed", range(8))
def test_a_cut_says_who_is_able_and_who_is_best(seed: int) -> None:
    place = clinic(Random(seed))
    served = 0
    for thread in THREADS:
        for slot in STARTS:
            pool = [each.resource_id for each in place.pool(thread)]
            expected = ranked(thread, place, slot)
            alone = "".join(each.digit(thread, slot) for each in place.pool(thread))
            assert alone == place.near(thread, slot).digits(slot) == place.digits(thread, slot)
            assert [pool[at] for at in best_first(place.near(thread, slot).digits(slot))] == expected
            served += len(expected)
    assert served, "nobody could ever serve, so nothing was compared"


@pytest.mark.parametrize("seed", range(4))
def test_a_cut_says_who_is_on_site(seed: int) -> None:
    place = clinic(Random(seed))
    thread = Thread("role:nurse", (Stretch(3, 18, None, "dose"),), present=True)
    for start in STARTS:
        near = place.near(thread, start)
        for each, there in near.there:
            for slot in range(start + 3, start + 18):
                whole = (each.there & each.serves["role:nurse"]) >> slot & 1
                assert there >> (slot - near.origin) & 1 == whole


def plainly_served(demand: Demand, place: Clinic, slot: int, prefer: list[UUID]) -> set[tuple[str, int, UUID]] | None:
    """Who serves what, chosen by sorting everybody who can: the scarcest thread first, and back when stuck."""
    able = [ranked(thread, place, slot) for thread in demand.threads]
    order = sorted(range(len(able)), key=lambda each: len(able[each]))

    def chosen(depth: int, so_far: dict[int, UUID]) -> dict[int, UUID] | None:
        if depth == len(order):
            return so_far
        thread = order[depth]
        selector = demand.threads[thread].selector
        same = {who for other, who in so_far.items() if demand.threads[other].selector == selector}
        for who in sorted(able[thread], key=lambda each: (each not in prefer, each not in same)):
            if not any(so_far[other] == who for other in demand.meeting[thread] if other in so_far):
                found = chosen(depth + 1, so_far | {thread: who})
                if found is not None:
                    return found
        return None

    found = chosen(0, {})
    if found is None:
        return None
    return {
        (demand.threads[each].selector, stretch.start, who)
        for each, who in found.items()
        for stretch in demand.threads[each].stretches
    }


#: One after the other, so that the same person may serve several, and rooms that are wanted at once.
IN_TURN = [
    Thread("role:nurse", (Stretch(0, 4, None, "prep"),)),
    Thread("role:nurse", (Stretch(4, 8, 1, "dose"),)),
    Thread("role:nurse", (Stretch(8, 10, None, "discharge"),)),
    Thread("room:bay", (Stretch(-2, 9, None, "prep"),)),
    Thread("room:bay", (Stretch(0, 4, None, "prep"),)),
]


def test_the_choice_is_that_of_sorting_everybody() -> None:
    served = 0
    for seed in range(40):
        rng = Random(seed)
        place = clinic(rng)
        demand = Demand("visit", tuple(rng.sample(IN_TURN, k=rng.randint(2, 5))), 12, -2, 14, ())
        for slot in STARTS:
            prefer = rng.sample(sorted(place.calendars), rng.choice([0, 0, 1, 3]))
            found = assign(demand, place, slot, prefer)
            said = found and {(each.selector, each.start - slot, each.resource_id) for each in found}
            assert said == plainly_served(demand, place, slot, prefer)
            served += found is not None
    assert served > 200, "hardly anything was served, so hardly anything was compared"
