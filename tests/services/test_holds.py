"""Holds on both databases: kept for their holder, free for everybody else once over, and used up by one booking."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.errors import InUse, Invalid, NotFound, NotTheHolder, Refused, StaleRevision
from scheduler.core.localgrid import Wish
from scheduler.models import Appointment, AuditEvent, Hold, Occupancy, new_id
from scheduler.services import access, appointments, availability, booking, holds, locations, organizations
from scheduler.services.holds import HoldView
from tests.clinic import Clinic
from tests.desk import book, count, open_clinic, refused, wanted

NINE = "2030-03-04 09:00"


@pytest.fixture
def clinic(engine: Engine) -> Clinic:
    made = open_clinic(engine)
    made.staff("therapist")
    made.room("consult")
    return made


def hold(clinic: Clinic, start: str = NINE, *, minutes: int = 5, patient: UUID | None = None, **more: Any) -> HoldView:
    asked = wanted(clinic, patient, "talk", start)  # type: ignore[arg-type]
    return clinic.do(lambda s, c: holds.create(s, c, asked, lasting=timedelta(minutes=minutes)), **more)


def convert(clinic: Clinic, held: HoldView, start: str = NINE, **more: Any) -> appointments.AppointmentView:
    asked = wanted(clinic, more.pop("patient", None) or clinic.patient(), "talk", start)
    token = more.pop("token", held.token)
    return clinic.do(lambda s, c: holds.book(s, c, asked, held.id, token), **more)


def starts(clinic: Clinic, **more: Any) -> list[datetime]:
    day = clinic.at("2030-03-04 08:00"), clinic.at("2030-03-04 11:00")
    question = availability.Question("talk", clinic.location_id, *day, wish=Wish(step=60), **more)
    offers, _ = clinic.do(lambda s, c: availability.search(s, c, question, limit=10))
    return [offer.start for offer in offers]


def test_a_hold_is_free_for_its_holder_alone(clinic: Clinic) -> None:
    held = hold(clinic)
    eight, nine, ten = (clinic.at(f"2030-03-04 {hour}") for hour in ("08:00", NINE[-5:], "10:00"))
    assert (held.row.starts_at, held.row.ends_at, held.row.expires_at) == (nine, ten, clinic.later(minutes=5))
    assert {each.kind for each in held.participants} == {"practitioner", "room"}
    assert starts(clinic) == [eight, ten]
    assert starts(clinic, hold_id=held.id) == [eight, nine, ten]
    assert refused(clinic, clinic.patient(), "talk", NINE).code == "resource_busy"


def test_a_booking_uses_it_up_and_leaves_no_other_trace(clinic: Clinic) -> None:
    held = hold(clinic)
    made = convert(clinic, held)
    assert made.row.starts_at == held.row.starts_at
    with Session(clinic.engine) as session:
        assert {row.kind for row in session.scalars(select(Occupancy))} == {"visit"}
        row = session.get_one(Hold, (clinic.call.organization_id, held.id))
        assert (row.ended_at, row.revision) == (clinic.call.now, 2)
    for start in (NINE, "2030-03-04 13:00"):
        with pytest.raises(Refused) as caught:
            convert(clinic, held, start)
        assert caught.value.code == "hold_expired"
    assert count(clinic, Appointment) == 1


def test_a_booking_that_is_refused_leaves_the_hold(clinic: Clinic) -> None:
    held = hold(clinic)
    book(clinic, clinic.patient(), "talk", "2030-03-04 13:00")
    with pytest.raises(Refused):
        convert(clinic, held, "2030-03-04 13:30")
    assert convert(clinic, held).row.starts_at == held.row.starts_at


def test_its_holder_may_take_a_time_beside_it(clinic: Clinic) -> None:
    """Half over its own hold: what is left of the hold is free again."""
    held = hold(clinic)
    convert(clinic, held, "2030-03-04 09:30")
    book(clinic, clinic.patient(), "talk", "2030-03-04 08:30")


def test_over_is_over_without_any_sweep(clinic: Clinic) -> None:
    held = hold(clinic, minutes=5)
    late = clinic.later(minutes=5)
    with pytest.raises(Refused) as caught:
        convert(clinic, held, now=late)
    assert caught.value.code == "hold_expired"
    asked = wanted(clinic, clinic.patient(), "talk", NINE)
    with pytest.raises(Refused):
        clinic.do(lambda s, c: booking.book(s, c, asked), now=late - timedelta(seconds=1))
    clinic.do(lambda s, c: booking.book(s, c, asked), now=late)
    with Session(clinic.engine) as session:
        assert session.get_one(Hold, (clinic.call.organization_id, held.id)).ended_at == late, "it was in the way"


def test_who_extends_by_a_clock_that_is_behind_finds_it_ended(clinic: Clinic) -> None:
    """Its rows are gone: a hold that lived on would hold nothing."""
    held = hold(clinic, minutes=5)
    asked = wanted(clinic, clinic.patient(), "talk", NINE)
    clinic.do(lambda s, c: booking.book(s, c, asked), now=clinic.later(minutes=5))
    with pytest.raises(Refused) as caught:
        clinic.do(lambda s, c: holds.extend(s, c, held.id, token=held.token), now=clinic.later(minutes=4))
    assert caught.value.code == "hold_expired"


class TestExtending:
    def extend(self, clinic: Clinic, held: HoldView, minutes: int = 10, **more: Any) -> HoldView:
        lasting = timedelta(minutes=minutes)
        return clinic.do(lambda s, c: holds.extend(s, c, held.id, token=held.token, lasting=lasting), **more)

    def test_once_and_from_now(self, clinic: Clinic) -> None:
        held = hold(clinic, minutes=5)
        longer = self.extend(clinic, held, now=clinic.later(minutes=4))
        assert (longer.row.expires_at, longer.row.extended, longer.token) == (clinic.later(minutes=14), True, None)
        with pytest.raises(Refused) as caught:
            self.extend(clinic, held, now=clinic.later(minutes=4))
        assert caught.value.code == "already_extended"

    def test_readers_with_a_good_memory_see_it(self, clinic: Clinic) -> None:
        """Calendars are remembered with their holds' ends."""
        held = hold(clinic, minutes=5)
        assert clinic.at(NINE) not in starts(clinic)
        self.extend(clinic, held)
        asked = wanted(clinic, clinic.patient(), "talk", NINE)
        with pytest.raises(Refused):
            clinic.do(lambda s, c: booking.book(s, c, asked), now=clinic.later(minutes=9))

    def test_it_never_becomes_shorter(self, clinic: Clinic) -> None:
        held = hold(clinic, minutes=20)
        assert self.extend(clinic, held, minutes=1).row.expires_at == clinic.later(minutes=20)

    def test_not_when_it_is_over(self, clinic: Clinic) -> None:
        held = hold(clinic)
        with pytest.raises(Refused, match="over"):
            self.extend(clinic, held, now=clinic.later(minutes=5))


class TestHolders:
    @pytest.fixture
    def key_id(self, clinic: Clinic) -> UUID:
        return clinic.do(lambda s, c: access.create_key(s, c, name="desk", scopes=["front_desk"])[0].id)

    def test_without_the_token_only_the_key_that_made_it(self, clinic: Clinic, key_id: UUID) -> None:
        held = hold(clinic, key_id=key_id)
        for stranger in ({}, {"key_id": new_id()}):
            with pytest.raises(NotTheHolder):
                convert(clinic, held, token=None, **stranger)
            with pytest.raises(NotTheHolder):
                clinic.do(lambda s, c: holds.extend(s, c, held.id), **stranger)
            with pytest.raises(NotTheHolder):
                clinic.do(
                    lambda s, c: holds.release(s, c, held.id, 1), scopes=frozenset({"scheduling:write"}), **stranger
                )
        with pytest.raises(NotTheHolder):
            convert(clinic, held, token="wrong", key_id=key_id)
        convert(clinic, held, token=None, key_id=key_id)

    def test_the_token_itself_is_kept_nowhere(self, clinic: Clinic) -> None:
        held = hold(clinic)
        assert held.token is not None
        with Session(clinic.engine) as session:
            row = session.get_one(Hold, (clinic.call.organization_id, held.id))
            events = session.scalars(select(AuditEvent)).all()
        assert held.token not in str([vars(row), *map(vars, events)])
        assert clinic.do(lambda s, c: holds.get(s, c, held.id)).token is None

    def test_a_key_holds_so_many_and_no_more(self, clinic: Clinic, key_id: UUID) -> None:
        clinic.do(lambda s, c: organizations.change(s, c, 1, {"policies": {"max_holds": 2}}))
        first = hold(clinic, "2030-03-04 09:00", key_id=key_id)
        hold(clinic, "2030-03-04 10:00", key_id=key_id)
        with pytest.raises(Refused) as caught:
            hold(clinic, "2030-03-04 11:00", key_id=key_id)
        assert caught.value.code == "too_many_holds"
        hold(clinic, "2030-03-04 11:00", key_id=None)
        clinic.do(lambda s, c: holds.release(s, c, first.id, 1), key_id=key_id)
        hold(clinic, "2030-03-04 12:00", key_id=key_id)
        hold(clinic, "2030-03-04 13:00", key_id=key_id, now=clinic.later(minutes=5))


class TestReleasing:
    def test_its_time_is_free_at_once_and_twice_is_no_harm(self, clinic: Clinic) -> None:
        held = hold(clinic)
        assert clinic.at(NINE) not in starts(clinic)
        with pytest.raises(StaleRevision):
            clinic.do(lambda s, c: holds.release(s, c, held.id, 2))
        for revision in (1, 2):
            clinic.do(lambda s, c, seen=revision: holds.release(s, c, held.id, seen))
        assert clinic.at(NINE) in starts(clinic)
        assert count(clinic, Occupancy) == 0
        with Session(clinic.engine) as session:
            actions = session.scalars(select(AuditEvent.action).where(AuditEvent.subject_id == held.id)).all()
        assert sorted(actions) == ["hold.create", "hold.release"]

    def test_living_holds_are_listed(self, clinic: Clinic) -> None:
        first, gone = hold(clinic), hold(clinic, "2030-03-04 11:00")
        clinic.do(lambda s, c: holds.release(s, c, gone.id, 1))
        for location_id, expected in ((None, [first.id]), (clinic.location_id, [first.id]), (new_id(), [])):
            found = clinic.do(lambda s, c, at=location_id: holds.listing(s, c, location_id=at))
            assert [view.id for view in found.items] == expected
        assert clinic.do(holds.listing, now=clinic.later(minutes=5)).items == []


def test_a_hold_for_a_patient_is_that_patients(clinic: Clinic) -> None:
    patient = clinic.patient()
    held = hold(clinic, patient=patient)
    clinic.staff("therapist")
    clinic.room("consult")
    assert refused(clinic, patient, "talk", "2030-03-04 09:30").code == "patient_busy"
    with pytest.raises(Invalid) as caught:
        convert(clinic, held)
    assert [fault.code for fault in caught.value.faults] == ["not_the_holds_patient"]
    convert(clinic, held, patient=patient)


def test_what_is_not_there(clinic: Clinic) -> None:
    stranger = replace(clinic.call, organization_id=Clinic(clinic.engine).call.organization_id)
    held = hold(clinic)

    def get(session: Session, call: Call) -> HoldView:
        del call
        return holds.get(session, stranger, held.id)

    with pytest.raises(NotFound):
        clinic.do(get)
    asked = wanted(clinic, clinic.patient(), "talk", NINE)
    with pytest.raises(Invalid) as caught:
        clinic.do(lambda s, c: holds.book(s, c, asked, new_id(), held.token))
    assert [fault.pointer for fault in caught.value.faults] == ["/hold_id"]


def test_a_dry_run_holds_nothing(clinic: Clinic) -> None:
    asked = wanted(clinic, None, "talk", NINE)  # type: ignore[arg-type]
    clinic.do(lambda s, c: holds.create(s, c, asked), dry_run=True)
    assert count(clinic, Hold) == count(clinic, Occupancy) == 0


def test_the_clock_of_its_place_stays_while_it_lasts(clinic: Clinic) -> None:
    """As under a visit: what was held at nine would be booked at eight."""
    hold(clinic)
    central = {"time_zone": "America/Chicago"}
    with pytest.raises(InUse, match=r"ahead there \(1\)"):
        clinic.do(lambda s, c: locations.change(s, c, clinic.location_id, 1, central))
    over = clinic.later(minutes=5)
    assert clinic.do(lambda s, c: locations.change(s, c, clinic.location_id, 1, central), now=over).revision == 2
