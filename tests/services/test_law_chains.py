"""In a clinic that never closes, visits hang together for weeks: what is offered can be booked, and nothing else."""

from __future__ import annotations

import random
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import Engine

from scheduler.core.errors import LostRace, Refused, SlotTaken
from scheduler.core.localgrid import Wish
from scheduler.services import availability, booking
from scheduler.services.finding import Wanted
from scheduler.services.pins import Pin
from tests.clinic import Clinic, need, segment, visit_type, week
from tests.desk import overlaps

BAY = "room:bay"
ALWAYS = week("00:00", "24:00", ("mon", "tue", "wed", "thu", "fri", "sat", "sun"))
LENGTHS = (60, 300, 780)


class Ward:
    """Bays that are hardly ever all empty: visits that overlap each other for weeks, some in a bay by name."""

    def __init__(self, engine: Engine, seed: int) -> None:
        self.rng = rng = random.Random(seed)
        self.clinic = clinic = Clinic(engine, "UTC", hours=ALWAYS)
        for minutes in LENGTHS:
            clinic.visit(visit_type(f"stay{minutes}", segment("stay", minutes, need(BAY))))
        self.bays = sorted(clinic.room("bay") for _ in range(rng.choice((2, 3))))
        self.first = clinic.at("2030-03-04 00:00")
        self.patient = clinic.patient()
        for place in range(34):
            for _ in range(len(self.bays) - 1):
                pins = (Pin(BAY, rng.choice(self.bays)),) if rng.random() < 0.05 else ()
                hours = 12 * place + (rng.random() < 0.04)
                self.book(hours, 780 if rng.random() < 0.96 else 300, *pins, patient=clinic.patient(), dry_run=False)

    def book(
        self, hours: int, minutes: int, *pins: Pin, patient: UUID | None = None, dry_run: bool = True
    ) -> booking.AppointmentView | None:
        """Book it if it can be."""
        start = self.first + timedelta(hours=hours)
        asked = Wanted(patient or self.patient, f"stay{minutes}", self.clinic.location_id, start, pins=pins)
        try:
            return self.clinic.do(lambda s, c: booking.book(s, c, asked), dry_run=dry_run)
        except (LostRace, SlotTaken):
            raise
        except Refused:
            return None

    def offered(self, minutes: int, bay: UUID | None, since: int, days: int) -> set[int]:
        """At which hours."""
        begin = self.first + timedelta(days=since)
        asked = availability.Question(
            f"stay{minutes}",
            self.clinic.location_id,
            begin,
            begin + timedelta(days=days),
            self.patient,
            room_id=bay,
            wish=Wish(step=60),
        )
        offers, _ = self.clinic.do(lambda s, c: availability.search(s, c, asked, limit=10_000))
        return {(each.start - self.first) // timedelta(hours=1) for each in offers}


@pytest.mark.parametrize("seed", [2, 10])
def test_what_is_offered_can_be_booked_and_nothing_else(engine: Engine, seed: int) -> None:
    ward = Ward(engine, seed)
    seen = set()
    for minutes, bay in ((60, ward.bays[0]), (300, ward.bays[1])):
        since = ward.rng.randint(0, 13)
        offered = ward.offered(minutes, bay, since, 3)
        for hours in ward.rng.sample(range(24 * since, 24 * (since + 3)), 24):
            found = ward.book(hours, minutes, *((Pin(BAY, bay),) if bay else ()))
            seen.add(found is not None)
            assert (found is not None) == (hours in offered), (minutes, bay, hours)
    assert seen == {True, False}
    assert overlaps(engine) == 0
