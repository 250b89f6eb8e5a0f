"""Whatever is done in whatever order: the calendar says what a small model in memory says, on both databases.

A nurse has two places, each visit an hour in one of them: what fits is a matter of counting, since units are numbered
anew whenever that helps. The model counts; it knows no units. (Rooms would not do: a hold never changes its room.)
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from scheduler.core.errors import Refused
from scheduler.models import Appointment, Occupancy
from scheduler.services import booking, holds, visit_day
from scheduler.services.finding import Wanted
from scheduler.services.holds import HoldView
from tests.clinic import Clinic, need, segment, visit_type
from tests.desk import overlaps
from tests.plumbing.effort import trying

SIT = visit_type("sit", segment("sit", 60, need("role:nurse", "shared")))
PLACES = 2
HOUR = timedelta(hours=1)
SLOTS = st.integers(0, 8)
WHO = st.integers(0, 2)


@dataclass
class Kept:
    """What the model knows of a visit or a hold: whose, from when, and when a hold is over."""

    patient: UUID | None
    start: datetime
    until: datetime | None = None
    view: HoldView | None = None


class Desk(RuleBasedStateMachine):
    """A front desk that does anything."""

    places = PLACES

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self.clinic = Clinic(engine)
        self.clinic.visit(SIT)
        self.clinic.staff("nurse", units=PLACES)
        self.patients = [self.clinic.patient() for _ in range(3)]
        self.visits: dict[UUID, Kept] = {}
        self.gone: dict[UUID, Kept] = {}
        self.held: dict[UUID, Kept] = {}

    def at(self, slot: int) -> datetime:
        return self.clinic.at("2030-03-04 09:00") + timedelta(minutes=30 * slot)

    def wish(self, patient: UUID | None, start: datetime) -> Wanted:
        return Wanted(patient, "sit", self.clinic.location_id, start)

    def fits(self, patient: UUID | None, start: datetime, *, but: UUID | None = None) -> bool:
        """By counting, at each half hour, who is there without `but`."""
        everything = {**self.visits, **self.held}
        others = [each for key, each in everything.items() if key != but and self.counts(each)]
        meeting = [each for each in others if abs(each.start - start) < HOUR]
        if patient is not None and any(each.patient == patient for each in meeting):
            return False
        moments = (start, start + HOUR / 2)
        return all(
            sum(each.start <= moment < each.start + HOUR for each in meeting) < self.places for moment in moments
        )

    def counts(self, each: Kept) -> bool:
        return each.until is None or each.until > self.clinic.call.now

    def does(self, work: Any) -> Any:
        """What came of it; None when it was refused."""
        try:
            return self.clinic.do(work)
        except Refused:
            return None

    def some(self, among: dict[UUID, Kept], pick: int) -> UUID:
        return sorted(among)[pick % len(among)]

    @rule(who=WHO, slot=SLOTS)
    def book(self, who: int, slot: int) -> None:
        patient, start = self.patients[who], self.at(slot)
        expected = self.fits(patient, start)
        made = self.does(lambda s, c: booking.book(s, c, self.wish(patient, start)))
        assert (made is not None) == expected
        if made is not None:
            self.visits[made.id] = Kept(patient, start)

    @rule(slot=SLOTS)
    def hold(self, slot: int) -> None:
        start = self.at(slot)
        expected = self.fits(None, start)
        made = self.does(lambda s, c: holds.create(s, c, self.wish(None, start)))
        assert (made is not None) == expected
        if made is not None:
            self.held[made.id] = Kept(None, start, made.row.expires_at, made)

    @precondition(lambda self: self.held)
    @rule(who=WHO, slot=SLOTS, same=st.booleans(), pick=st.integers(0, 20))
    def use_a_hold(self, who: int, slot: int, *, same: bool, pick: int) -> None:
        key = self.some(self.held, pick)
        held, patient = self.held[key], self.patients[who]
        start = held.start if same else self.at(slot)
        expected = self.counts(held) and self.fits(patient, start, but=key)
        assert held.view is not None
        token = held.view.token
        made = self.does(lambda s, c: holds.book(s, c, self.wish(patient, start), key, token))
        assert (made is not None) == expected
        if made is not None:
            del self.held[key]
            self.visits[made.id] = Kept(patient, start)

    @precondition(lambda self: self.visits)
    @rule(slot=SLOTS, pick=st.integers(0, 20))
    def move(self, slot: int, pick: int) -> None:
        key, start = self.some(self.visits, pick), self.at(slot)
        expected = self.fits(self.visits[key].patient, start, but=key)
        made = self.does(lambda s, c: booking.reschedule(s, c, key, start))
        assert (made is not None) == expected
        if made is not None:
            self.visits[key].start = start

    @precondition(lambda self: self.visits)
    @rule(pick=st.integers(0, 20))
    def cancel(self, pick: int) -> None:
        key = self.some(self.visits, pick)
        assert self.does(lambda s, c: booking.cancel(s, c, key, reason="x", by="clinic")) is not None
        self.gone[key] = self.visits.pop(key)

    @precondition(lambda self: self.gone)
    @rule(pick=st.integers(0, 20))
    def take_back(self, pick: int) -> None:
        key = self.some(self.gone, pick)
        expected = self.fits(self.gone[key].patient, self.gone[key].start)
        made = self.does(lambda s, c: visit_day.undo(s, c, key))
        assert (made is not None) == expected
        if made is not None:
            self.visits[key] = self.gone.pop(key)

    @rule(minutes=st.sampled_from((1, 3)))
    def wait(self, minutes: int) -> None:
        self.clinic.call = replace(self.clinic.call, now=self.clinic.call.now + timedelta(minutes=minutes))

    @invariant()
    def the_tables_say_the_same(self) -> None:
        mine = self.clinic.call.organization_id
        with Session(self.clinic.engine) as session:
            rows = session.execute(
                select(Appointment.id, Appointment.patient_id, Appointment.starts_at).where(
                    Appointment.organization_id == mine, Appointment.status == "booked"
                )
            )
            assert {tuple(row) for row in rows} == {(key, v.patient, v.start) for key, v in self.visits.items()}
            taken = session.execute(
                select(Occupancy.appointment_id, Occupancy.role, Occupancy.starts_at).where(
                    Occupancy.organization_id == mine, Occupancy.appointment_id.is_not(None), Occupancy.blocking
                )
            )
            assert sorted(map(tuple, taken), key=str) == sorted(
                ((key, role, kept.start) for key, kept in self.visits.items() for role in ("patient", "role:nurse")),
                key=str,
            )
        assert overlaps(self.clinic.engine) == 0


@pytest.mark.slow
def test_anything_in_any_order(engine: Engine) -> None:
    run_state_machine_as_test(lambda: Desk(engine), settings=trying(6, stateful_step_count=25))


class Miscounting(Desk):
    """A model that is wrong: it thinks that there is one more place."""

    places = PLACES + 1


def test_a_calendar_that_differs_from_the_model_is_seen(engine: Engine) -> None:
    with pytest.raises(AssertionError):
        run_state_machine_as_test(lambda: Miscounting(engine), settings=trying(30, stateful_step_count=25))
