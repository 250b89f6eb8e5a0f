"""A clinic that never closes: visits that overlap each other for days, without a break in which all units are free."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine

from scheduler.core.errors import Refused, SlotTaken
from tests.clinic import Clinic, need, segment, visit_type, week
from tests.desk import book, overlaps

#: Whom or what three may have at once.
SHARED: dict[str, dict[str, Any]] = {
    "nurse": need("role:nurse", "shared"),
    "bay": need("room:bay"),
}
HOURS = (3, 5, 8, 11)
DAYS = 5


@pytest.mark.slow
@pytest.mark.parametrize("what", SHARED)
def test_nobody_is_refused_who_can_be_seated_however_long_the_chain_of_visits(engine: Engine, what: str) -> None:
    rng = random.Random(0)
    always = week("00:00", "24:00", ("mon", "tue", "wed", "thu", "fri", "sat", "sun"))
    clinic = Clinic(engine, "UTC", hours=always)
    for hours in HOURS:
        clinic.visit(visit_type(f"stay{hours}", segment("stay", 60 * hours, SHARED[what])))
    if what == "nurse":
        clinic.staff("nurse", units=3)
    else:
        for _ in range(3):
            clinic.room("bay")
    first = clinic.at("2030-03-04 00:00")
    taken: list[tuple[int, int]] = []
    refused = 0
    for _ in range(90):
        hours, at = rng.choice(HOURS), rng.randrange(24 * DAYS)
        full = any(sum(begins <= hour < ends for begins, ends in taken) == 3 for hour in range(at, at + hours))
        start = f"{first + timedelta(hours=at):%Y-%m-%d %H:%M}"
        try:
            book(clinic, clinic.patient(), f"stay{hours}", start)
        except SlotTaken:
            raise
        except Refused:
            assert full, (at, hours, sorted(taken))
            refused += 1
        else:
            assert not full
            taken.append((at, at + hours))
    assert refused > 10
    assert len(taken) > 25
    assert overlaps(engine) == 0
