"""How full a clinic is, in levels: counted minute by minute, and never a rule."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random
from uuid import UUID

import pytest

from scheduler.core.availability import Calendar
from scheduler.core.bitmap import Timeline
from scheduler.core.demand import demand_of
from scheduler.core.planner.fullness import NURSE, NURSE_SHARES, STARTS, fullness
from tests.core.series import VISITS

TIMELINE = Timeline(datetime(2030, 3, 4, tzinfo=UTC), 1)


def calendar(rng: Random, number: int) -> Calendar:
    nurse, units = number % 2 == 0, rng.choice([1, 2, 3])
    rungs: list[int] = []
    mask = TIMELINE.everything
    for _ in range(units):
        mask &= rng.getrandbits(TIMELINE.slots) | rng.getrandbits(TIMELINE.slots)
        rungs.append(mask)
    there = rng.getrandbits(TIMELINE.slots) | rng.getrandbits(TIMELINE.slots)
    serves = {NURSE: -1} if nurse else {"room:infusion": -1}
    return Calendar(UUID(int=number), "practitioner" if nurse else "room", units, there, 0, tuple(rungs), serves)


@pytest.mark.parametrize("seed", range(5))
def test_levels_are_what_counting_slot_by_slot_gives(seed: int) -> None:
    rng = Random(seed)
    calendars = [calendar(rng, number) for number in range(9)]
    full = fullness(calendars, TIMELINE)
    for slot in range(TIMELINE.slots):
        nurses = [each for each in calendars if each.kind == "practitioner" and each.there >> slot & 1]
        busy, units = sum(rung >> slot & 1 for e in nurses for rung in e.taken), sum(e.units for e in nurses)
        assert [mask >> slot & 1 for mask in full.nurses] == [
            units > 0 and 100 * busy >= s * units for s in NURSE_SHARES
        ]
        begun = 0
        for room in (each.taken[0] for each in calendars if each.kind == "room"):
            near = range(max(slot - 2, 0), min(slot + 3, TIMELINE.slots))
            begun += sum(room >> at & 1 and not (at and room >> at - 1 & 1) for at in near)
        assert [mask >> slot & 1 for mask in full.starts] == [begun >= level for level in STARTS]


def test_only_who_needs_a_nurse_adds_to_the_nurses_peak() -> None:
    full = fullness([calendar(Random(1), 2)], TIMELINE)
    assert set(full.levels(demand_of(VISITS["infusion"]))) == {"start_profile", "nurse_peak"}
    assert set(full.levels(demand_of(VISITS["integration"]))) == {"start_profile"}
    busy = full.nurses[0]
    starts = full.levels(demand_of(VISITS["infusion"]))["nurse_peak"][0]
    length = demand_of(VISITS["infusion"]).patient_slots
    for slot in range(TIMELINE.slots - length):
        assert starts >> slot & 1 == (busy >> slot & ((1 << length) - 1) != 0)
