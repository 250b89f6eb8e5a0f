"""The short integers that a search looks at, against the long ones that they were cut from."""

from __future__ import annotations

from random import Random
from uuid import UUID

import pytest

from scheduler.core.availability import Calendar, Clinic
from scheduler.core.bitmap import Timeline
from scheduler.core.demand import Stretch, Thread
from scheduler.core.near import BLOCK
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
        return sum(((1 << 24) - 1) << at for at in range(0, SLOTS, 24) if rng.random() < share) & TIMELINE.everything

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
            near = place.near(thread, slot)
            assert [each.resource_id for each in near.able(thread, slot)] == ranked(thread, place, slot)
            assert near.can(slot) == bool(ranked(thread, place, slot))
            served += near.can(slot)
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
