"""Overrides on both databases: only what is named and in the way is lifted, floors never, and all is on record."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, select, text
from sqlalchemy.orm import Session

from scheduler.core.errors import Invalid, Refused, ScopeMissing
from scheduler.core.overriding import FLOORS, LIFTABLE, override_of
from scheduler.models import AuditEvent, Occupancy, ResourceUnit
from scheduler.services import absences, appointments, booking, locations, organizations
from scheduler.services.appointments import AppointmentView
from scheduler.services.pins import Pin
from tests.clinic import Clinic
from tests.desk import book, open_clinic, overlaps, refused, wanted

TEN = "2030-03-04 10:00"


@pytest.fixture
def clinic(engine: Engine) -> Clinic:
    return open_clinic(engine)


@pytest.fixture
def therapist(clinic: Clinic) -> UUID:
    clinic.room("consult")
    return clinic.staff("therapist")


def lifting(clinic: Clinic, start: str, *rules: str, code: str = "talk", **more: Any) -> AppointmentView:
    patient = more.pop("patient", None) or clinic.patient()
    return book(clinic, patient, code, start, override=override_of(rules, "no other way"), **more)


def rows(clinic: Clinic, resource_id: UUID) -> list[tuple[int, str, str]]:
    """(unit, from, to) of what is taken, as the clinic's clock shows it."""
    with Session(clinic.engine) as session:
        found = session.scalars(
            select(Occupancy).where(Occupancy.resource_id == resource_id).order_by(Occupancy.starts_at, Occupancy.unit)
        ).all()
    offset = timedelta(hours=-5)
    return [(r.unit, f"{r.starts_at + offset:%H:%M}", f"{r.ends_at + offset:%H:%M}") for r in found]


class TestConflicts:
    def test_what_overlaps_goes_to_an_extra_unit_and_the_rest_does_not(self, clinic: Clinic, therapist: UUID) -> None:
        clinic.room("consult")
        book(clinic, clinic.patient(), "talk", TEN)
        made = lifting(clinic, "2030-03-04 10:30", "resource_busy")
        assert rows(clinic, therapist) == [(0, "10:00", "11:00"), (1, "10:30", "11:00"), (0, "11:00", "11:30")]
        assert overlaps(clinic.engine) == 0
        with Session(clinic.engine) as session:
            units = session.execute(
                select(ResourceUnit.unit, ResourceUnit.extra).where(ResourceUnit.resource_id == therapist)
            ).all()
        assert sorted(map(tuple, units)) == [(0, False), (1, True)]
        served = [each for each in made.participants if each.resource_id == therapist]
        assert [(each.start, each.end) for each in served] == [(made.row.starts_at, made.row.ends_at)]

    def test_whoever_is_left_alone_is_busy_to_everybody_else(self, clinic: Clinic, therapist: UUID) -> None:
        for _ in range(2):
            clinic.room("consult")
        book(clinic, clinic.patient(), "talk", TEN)
        lifting(clinic, "2030-03-04 10:30", "resource_busy")
        assert refused(clinic, clinic.patient(), "talk", "2030-03-04 11:00").code == "resource_busy"
        book(clinic, clinic.patient(), "talk", "2030-03-04 11:30")

    def test_a_third_time_takes_a_third_unit(self, clinic: Clinic, therapist: UUID) -> None:
        for start in (TEN, TEN, TEN):
            lifting(clinic, start, "resource_busy")
        assert [unit for unit, *_ in rows(clinic, therapist)] == [0, 1, 2]
        assert overlaps(clinic.engine) == 0

    def test_cancelling_gives_the_extra_unit_back(self, clinic: Clinic, therapist: UUID) -> None:
        book(clinic, clinic.patient(), "talk", TEN)
        made = lifting(clinic, TEN, "resource_busy")
        clinic.do(lambda s, c: booking.cancel(s, c, made.id, reason="x", by="staff"))
        again = lifting(clinic, TEN, "resource_busy")
        assert again.row.override is not None
        assert [unit for unit, *_ in rows(clinic, therapist)] == [0, 1]

    def test_who_is_free_comes_first(self, clinic: Clinic, therapist: UUID) -> None:
        """One of two is free, but no room is: only the room is shared."""
        book(clinic, clinic.patient(), "talk", TEN)
        second = clinic.staff("therapist")
        made = lifting(clinic, TEN, "resource_busy")
        assert second in {each.resource_id for each in made.participants}
        assert [unit for unit, *_ in rows(clinic, second)] == [0]

    def test_a_watcher_with_one_unit_left_gives_it_and_one_more(self, clinic: Clinic) -> None:
        """Preparing takes the whole nurse, who watches somebody: her free unit counts, the missing one is extra."""
        nurse = clinic.staff("nurse", units=2)
        clinic.staff("prescriber")
        for _ in range(2):
            clinic.room("bay")
        book(clinic, clinic.patient(), "watch", "2030-03-04 09:00")
        lifting(clinic, "2030-03-04 09:30", "resource_busy", code="infusion")
        # Once she watches nobody else, at ten, the lowest unit is free again.
        assert rows(clinic, nurse) == [
            (0, "09:00", "10:00"),
            (1, "09:30", "09:50"),
            (2, "09:30", "09:50"),
            (1, "09:50", "10:00"),
            (0, "10:00", "10:50"),
        ]
        assert overlaps(clinic.engine) == 0

    def test_the_patient_is_in_one_place_whatever_is_lifted(self, clinic: Clinic, therapist: UUID) -> None:
        patient = clinic.patient()
        book(clinic, patient, "talk", TEN)
        with pytest.raises(Refused) as caught:
            lifting(clinic, "2030-03-04 10:30", "resource_busy", patient=patient)
        assert [reason.code for reason in caught.value.reasons] == ["patient_busy"]


class TestHours:
    def test_before_opening_with_who_is_there_about_that_day(self, clinic: Clinic, therapist: UUID) -> None:
        made = lifting(clinic, "2030-03-04 07:00", "outside_hours")
        assert made.row.override is not None
        assert made.row.override["rules"] == ["outside_hours"]
        book(clinic, clinic.patient(), "talk", "2030-03-04 08:00")

    def test_on_a_closed_day_never(self, clinic: Clinic, therapist: UUID) -> None:
        closures = {"closures": [{"from": "2030-03-04", "to": "2030-03-04"}]}
        clinic.do(lambda s, c: locations.change(s, c, clinic.location_id, 1, closures))
        with pytest.raises(Refused) as caught:
            lifting(clinic, TEN, "outside_hours", "resource_busy")
        assert caught.value.code == "location_closed"

    def test_whoever_is_away_serves_nobody(self, clinic: Clinic, therapist: UUID) -> None:
        first, past = clinic.at("2030-03-04 06:00"), clinic.at("2030-03-04 20:00")
        clinic.do(lambda s, c: absences.create(s, c, resource_id=therapist, start=first, end=past))
        with pytest.raises(Refused) as caught:
            lifting(clinic, "2030-03-04 07:00", "outside_hours", "resource_busy")
        assert caught.value.code == "resource_absent"

    def test_who_works_elsewhere_comes_only_when_named(self, clinic: Clinic) -> None:
        clinic.room("consult")
        off = clinic.staff("therapist", hours=[{"weekday": "fri", "start": "09:00", "end": "17:00"}])
        with pytest.raises(Refused):
            lifting(clinic, "2030-03-05 10:00", "outside_hours")
        lifting(clinic, "2030-03-05 10:00", "outside_hours", pins=(Pin("role:therapist", off),))


class TestOtherRules:
    def test_lead_time_and_horizon_but_never_the_past(self, clinic: Clinic, therapist: UUID) -> None:
        policies = {"lead_minutes": 60 * 24 * 5, "horizon_days": 30}
        clinic.do(lambda s, c: organizations.change(s, c, 1, {"policies": policies}))
        assert refused(clinic, clinic.patient(), "talk", TEN).code == "lead_time"
        lifting(clinic, TEN, "lead_time")
        lifting(clinic, "2030-06-03 10:00", "horizon")
        with pytest.raises(Refused) as caught:
            lifting(clinic, "2030-02-25 10:00", "lead_time")
        assert caught.value.code == "lead_time"

    def test_only_what_is_named_is_lifted(self, clinic: Clinic, therapist: UUID) -> None:
        book(clinic, clinic.patient(), "talk", "2030-03-04 17:00")
        with pytest.raises(Refused) as caught:
            lifting(clinic, "2030-03-04 17:30", "outside_hours")
        assert {reason.code for reason in caught.value.reasons} == {"resource_busy"}
        with pytest.raises(Refused) as caught:
            lifting(clinic, "2030-03-04 17:30", "resource_busy")
        assert {reason.code for reason in caught.value.reasons} == {"outside_hours"}
        made = lifting(clinic, "2030-03-04 17:30", "resource_busy", "outside_hours", "horizon")
        assert made.row.override is not None
        assert made.row.override["rules"] == ["outside_hours", "resource_busy"], "the horizon was not in the way"

    def test_what_is_not_needed_is_not_recorded(self, clinic: Clinic, therapist: UUID) -> None:
        assert lifting(clinic, TEN, "outside_hours", "resource_busy").row.override is None


class TestRecords:
    def test_who_why_and_what_is_on_the_visit_and_in_the_audit(self, clinic: Clinic, therapist: UUID) -> None:
        made = lifting(clinic, "2030-03-04 07:00", "outside_hours")
        assert made.row.override == {
            "rules": ["outside_hours"],
            "reason": "no other way",
            "by": "test",
            "at": clinic.call.now.isoformat(),
        }
        with Session(clinic.engine) as session:
            event = session.scalars(select(AuditEvent).where(AuditEvent.action == "appointment.override")).one()
        assert (event.subject_id, event.reason) == (made.id, "no other way")
        assert event.after is not None
        assert event.after["rules"] == ["outside_hours"]

    def test_a_move_has_an_override_of_its_own(self, clinic: Clinic, therapist: UUID) -> None:
        made = lifting(clinic, "2030-03-04 07:00", "outside_hours")
        late, ten = clinic.at("2030-03-04 19:00"), clinic.at(TEN)
        with pytest.raises(Refused):
            clinic.do(lambda s, c: booking.reschedule(s, c, made.id, late))
        override = override_of(["outside_hours"], "asked for it")
        moved = clinic.do(lambda s, c: booking.reschedule(s, c, made.id, late, override=override))
        assert moved.row.override is not None
        assert moved.row.override["reason"] == "asked for it"
        back = clinic.do(lambda s, c: booking.reschedule(s, c, made.id, ten))
        assert back.row.override is None

    def test_without_the_scope_nothing_is_lifted(self, clinic: Clinic, therapist: UUID) -> None:
        asked = wanted(clinic, clinic.patient(), "talk", TEN, override=override_of(["lead_time"], "x"))
        made = book(clinic, clinic.patient(), "talk", "2030-03-04 12:00")
        few = frozenset({"scheduling:write"})
        with pytest.raises(ScopeMissing):
            clinic.do(lambda s, c: booking.book(s, c, asked), scopes=few)
        with pytest.raises(ScopeMissing):
            clinic.do(
                lambda s, c: booking.reschedule(s, c, made.id, clinic.at(TEN), override=asked.override), scopes=few
            )


def test_every_floor_and_every_unknown_rule_is_a_fault() -> None:
    with pytest.raises(Invalid) as caught:
        override_of(["lead_time", "patient_busy", "gravity"], "x")
    assert [(fault.pointer, fault.code) for fault in caught.value.faults] == [
        ("/override/rules/1", "not_overridable"),
        ("/override/rules/2", "unknown_rule"),
    ]
    assert not LIFTABLE.keys() & FLOORS.keys()


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
def test_the_guard_itself_lets_an_override_through_and_nothing_else(clinic: Clinic, therapist: UUID) -> None:
    book(clinic, clinic.patient(), "talk", TEN)
    lifting(clinic, TEN, "resource_busy")
    with clinic.engine.begin() as connection:
        blocking = connection.execute(text("SELECT count(*) FROM occupancies WHERE blocking")).scalar_one()
        assert blocking == 6, "nothing is merely set aside"


def test_a_visit_beside_an_override_can_still_be_read_and_moved(clinic: Clinic, therapist: UUID) -> None:
    first = book(clinic, clinic.patient(), "talk", TEN)
    lifting(clinic, "2030-03-04 10:30", "resource_busy")
    moved = clinic.do(lambda s, c: booking.reschedule(s, c, first.id, clinic.at("2030-03-04 09:30")))
    assert clinic.do(lambda s, c: appointments.get(s, c, moved.id)).row.starts_at == clinic.at("2030-03-04 09:30")
    assert overlaps(clinic.engine) == 0
