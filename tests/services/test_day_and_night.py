"""A clinic that never closes: visits that overlap each other for days, without a break in which all units are free."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine

from scheduler.core.errors import Refused, SlotTaken
from scheduler.services.pins import Pin
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


def test_what_a_name_holds_days_ago_is_seen_before_a_room_is_promised(engine: Engine) -> None:
    """Each visit overlaps the next: where the first sits, which was promised its room, decides where the last does."""
    always = week("00:00", "24:00", ("mon", "tue", "wed", "thu", "fri", "sat", "sun"))
    clinic = Clinic(engine, "UTC", hours=always)
    for minutes in (780, 60):
        clinic.visit(visit_type(f"stay{minutes}", segment("stay", minutes, need("room:bay"))))
    mine, other = sorted(clinic.room("bay") for _ in range(2))
    first = clinic.at("2030-03-04 00:00")

    def stay(hours: int, minutes: int, *pins: Pin) -> UUID:
        return book(
            clinic, clinic.patient(), f"stay{minutes}", f"{first + timedelta(hours=hours):%F %H:%M}", pins=pins
        ).id

    stay(0, 780, Pin("room:bay", mine))
    for place in range(1, 15):
        stay(12 * place, 780)
    with pytest.raises(Refused) as caught:  # the last even one sits in the room of the first
        stay(12 * 14 + 5, 60, Pin("room:bay", mine))
    assert not isinstance(caught.value, SlotTaken)
    assert caught.value.code == "resource_busy"
    stay(12 * 14 + 5, 60, Pin("room:bay", other))
    assert overlaps(engine) == 0
