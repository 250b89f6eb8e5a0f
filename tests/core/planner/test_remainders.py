"""What visits leave of rooms' and therapists' days: counted slot by slot, and never a rule."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from random import Random
from typing import Any
from uuid import UUID

import pytest

from scheduler.core.availability import Calendar, Clinic
from scheduler.core.bitmap import Timeline
from scheduler.core.demand import Demand, Thread, demand_of
from scheduler.core.planner.remainders import Remainders
from scheduler.core.visit import parse_visit_type

TIMELINE = Timeline(datetime(2030, 3, 4, tzinfo=UTC), 1)
ROOM, TALKER = "room:bay", "role:therapist"


def demand(code: str, kind: str, minutes: int, need: dict[str, Any], **more: Any) -> Demand:
    segment = {"name": "all", "minutes": minutes, "needs": [{**need, "mode": "exclusive"}]}
    doc = {"code": code, "name": code, "public_name": "Visit", "kind": kind, "segments": [segment], **more}
    return demand_of(parse_visit_type(doc, {}))


DOSE, SHORT = (
    demand("dose", "follow_up", 60, {"room_type": "bay"}),
    demand("look", "follow_up", 25, {"room_type": "bay"}),
)
TALK, CHAT = (
    demand("talk", "integration", 50, {"role": "therapist"}),
    demand("chat", "follow_up", 30, {"role": "therapist"}),
)
EVERY = Remainders((DOSE, SHORT, TALK, CHAT))


def calendar(rng: Random, number: int, serves: str) -> Calendar:
    """Free for some stretches of a day, and with time that it needs for itself."""
    there, at = 0, rng.randint(0, 20)
    while at < TIMELINE.slots:
        length = rng.choice([12, 14, 17, 20, 40, 60])
        there |= ((1 << length) - 1) << at
        at += length + rng.choice([1, 2, 4, 30])
    there &= TIMELINE.everything
    taken = rng.getrandbits(TIMELINE.slots) & rng.getrandbits(TIMELINE.slots) & rng.getrandbits(TIMELINE.slots)
    taken &= rng.getrandbits(TIMELINE.slots) & rng.getrandbits(TIMELINE.slots)
    kind = "room" if serves == ROOM else "practitioner"
    buffers = rng.choice([(0, 0), (1, 2), (0, 3)])
    return Calendar(UUID(int=number), kind, 1, there, 0, (taken,), {serves: -1}, buffers)


def free(one: Calendar, slot: int) -> bool:
    """Beyond the day nothing is known: it is as good as free."""
    return not 0 <= slot < TIMELINE.slots or bool((one.there & ~one.taken[0]) >> slot & 1)


def pieces(one: Calendar, slot: int, minutes: int, shortest: int) -> int | None:
    """How many useless ones a visit at that slot leaves there; None where it cannot be."""
    first, past = slot - one.buffers[0], slot + minutes // 5 + one.buffers[1]
    if first < 0 or past > TIMELINE.slots or not all(free(one, at) for at in range(first, past)):
        return None
    wanted = shortest // 5 + sum(one.buffers)
    before = next((n for n in range(wanted) if not free(one, first - 1 - n)), wanted)
    after = next((n for n in range(wanted) if not free(one, past + n)), wanted)
    return sum(0 < each < wanted for each in (before, after))


def clinic(calendars: Sequence[Calendar]) -> Clinic:
    return Clinic(TIMELINE, {each.resource_id: each for each in calendars})


def risen(levels: Sequence[int], slot: int) -> int:
    return sum(level >> slot & 1 for level in levels)


@pytest.mark.parametrize("seed", range(12))
def test_a_dose_leaves_what_the_best_of_the_free_rooms_is_left_with(seed: int) -> None:
    rooms = [calendar(Random(100 * seed + number), number, ROOM) for number in range(seed % 4 + 1)]
    levels, seen = EVERY.of_rooms(DOSE, clinic(rooms)), set()
    for slot in range(TIMELINE.slots):
        each = [pieces(room, slot, 60, 25) for room in rooms]
        expected = min((one for one in each if one is not None), default=0)
        assert risen(levels, slot) == expected, slot
        seen.add(expected)
    assert len(seen) > 1


@pytest.mark.parametrize("seed", range(12))
def test_a_talk_leaves_what_the_very_therapist_is_left_with(seed: int) -> None:
    people = [calendar(Random(200 * seed + number), number, TALKER) for number in range(3)]
    (levels, own), seen = EVERY.of_therapists(TALK, clinic(people)), set()
    for slot in range(TIMELINE.slots):
        each = {one.resource_id: pieces(one, slot, 50, 30) for one in people}
        able = {who: count for who, count in each.items() if count is not None}
        assert risen(levels, slot) == min(able.values(), default=0), slot
        for who, count in able.items():
            assert risen(levels, slot) + risen(own[who], slot) == count, slot
            seen.add(count)
    assert seen == {0, 1, 2}


def test_a_room_that_is_only_free_once_others_change_places_leaves_nothing() -> None:
    halves = [0b111111, 0b111111 << 6]
    rooms = [Calendar(UUID(int=n), "room", 1, mask, 0, (0,), {ROOM: -1}) for n, mask in enumerate(halves)]
    assert EVERY.of_rooms(DOSE, clinic(rooms)) == (0, 0)


def test_what_needs_neither_leaves_nothing() -> None:
    assert EVERY.of_rooms(TALK, clinic([])) == ()
    assert EVERY.of_therapists(DOSE, clinic([])) == ((), {})
    watched = Demand("watched", (Thread(TALKER, TALK.threads[0].stretches, present=True),), 10, 0, 10, ())
    assert EVERY.of_therapists(watched, clinic([])) == ((), {})
