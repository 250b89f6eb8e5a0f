"""One-off shifts on both databases: offered like any other hours, bound by the site's own, missed when taken back."""

from __future__ import annotations

import threading
from uuid import UUID

import pytest
from sqlalchemy import Engine

from scheduler.core.errors import Invalid, NotFound, Refused, StaleRevision
from scheduler.models import new_id
from scheduler.services import booking, extra_hours, resources
from scheduler.services.extra_hours import ExtraHoursView
from scheduler.services.resources import PRACTITIONER
from tests.clinic import Clinic
from tests.desk import book, open_clinic, refused, wanted

FRIDAYS = [{"weekday": "fri", "start": "09:00", "end": "17:00"}]


@pytest.fixture
def clinic(engine: Engine) -> Clinic:
    made = open_clinic(engine)
    made.room("consult")
    return made


@pytest.fixture
def therapist(clinic: Clinic) -> UUID:
    """Who comes on Fridays only."""
    return clinic.staff("therapist", hours=FRIDAYS)


def shift(clinic: Clinic, who: UUID, start: str, end: str, **more: UUID) -> ExtraHoursView:
    first, past = clinic.at(f"2030-03-04 {start}"), clinic.at(f"2030-03-04 {end}")
    place = {"resource_id": who, "location_id": clinic.location_id} | more
    return clinic.do(lambda s, c: extra_hours.create(s, c, start=first, end=past, **place))


def test_a_shift_is_worked_and_not_a_minute_more(clinic: Clinic, therapist: UUID) -> None:
    assert refused(clinic, clinic.patient(), "talk", "2030-03-04 10:00").code == "outside_hours"
    shift(clinic, therapist, "10:00", "12:00")
    for start in ("09:55", "11:05"):
        assert refused(clinic, clinic.patient(), "talk", f"2030-03-04 {start}").code == "outside_hours"
    book(clinic, clinic.patient(), "talk", "2030-03-04 10:00")
    book(clinic, clinic.patient(), "talk", "2030-03-04 11:00")


def test_it_joins_the_weekly_hours_without_a_seam(clinic: Clinic) -> None:
    who = clinic.staff("therapist", hours=[{"weekday": "mon", "start": "09:00", "end": "10:00"}])
    shift(clinic, who, "10:00", "11:00")
    book(clinic, clinic.patient(), "talk", "2030-03-04 09:30")


def test_the_sites_own_hours_bind_it(clinic: Clinic, therapist: UUID) -> None:
    shift(clinic, therapist, "17:00", "20:00")
    reasons = refused(clinic, clinic.patient(), "talk", "2030-03-04 18:00").reasons
    assert "outside_hours" in {reason.code for reason in reasons}


def test_taking_it_back_names_the_visits_and_ends_the_offer(clinic: Clinic, therapist: UUID) -> None:
    kept = book(clinic, clinic.patient(), "talk", "2030-03-08 10:00")
    made = shift(clinic, therapist, "10:00", "12:00")
    lost = book(clinic, clinic.patient(), "talk", "2030-03-04 10:00")
    with pytest.raises(StaleRevision):
        clinic.do(lambda s, c: extra_hours.remove(s, c, made.id, 2))
    affected = clinic.do(lambda s, c: extra_hours.remove(s, c, made.id, 1))
    assert [each.id for each in affected] == [lost.id]
    assert kept.id not in {each.id for each in affected}
    assert refused(clinic, clinic.patient(), "talk", "2030-03-04 11:00").code == "outside_hours"
    with pytest.raises(NotFound):
        clinic.do(lambda s, c: extra_hours.get(s, c, made.id))


def test_a_second_shift_over_the_same_time_still_carries_the_visit(clinic: Clinic, therapist: UUID) -> None:
    first = shift(clinic, therapist, "10:00", "12:00")
    shift(clinic, therapist, "09:00", "12:00")
    book(clinic, clinic.patient(), "talk", "2030-03-04 10:00")
    assert clinic.do(lambda s, c: extra_hours.remove(s, c, first.id, 1)) == ()


def test_the_last_one_on_site_is_missed(clinic: Clinic) -> None:
    """The prescriber's shift is over before the dose is: nobody would be present for the rest."""
    clinic.room("bay")
    clinic.staff("nurse")
    prescriber = clinic.staff("prescriber", hours=FRIDAYS)
    made = shift(clinic, prescriber, "09:00", "12:00")
    visit = book(clinic, clinic.patient(), "infusion", "2030-03-04 09:30")
    affected = clinic.do(lambda s, c: extra_hours.remove(s, c, made.id, 1))
    assert [each.id for each in affected] == [visit.id]


def test_other_changes_of_hours_know_the_shifts(clinic: Clinic, therapist: UUID) -> None:
    shift(clinic, therapist, "10:00", "12:00")
    book(clinic, clinic.patient(), "talk", "2030-03-04 10:00")
    changed = clinic.do(lambda s, c: resources.change(s, c, PRACTITIONER, therapist, 1, {"hours": []}))
    assert changed.affected_appointments == ()


@pytest.mark.parametrize(
    ("start", "end", "found"),
    [
        ("10:00", "10:00", [("/end", "ends_before_start")]),
        ("10:02", "11:03", [("/start", "not_on_grid"), ("/end", "not_on_grid")]),
    ],
)
def test_each_fault_is_named(
    clinic: Clinic, therapist: UUID, start: str, end: str, found: list[tuple[str, str]]
) -> None:
    with pytest.raises(Invalid) as caught:
        shift(clinic, therapist, start, end)
    assert [(fault.pointer, fault.code) for fault in caught.value.faults] == found


def test_only_who_and_where_there_is(clinic: Clinic, therapist: UUID) -> None:
    for missing in ({"resource_id": new_id()}, {"location_id": new_id()}, {"resource_id": clinic.patient()}):
        with pytest.raises(NotFound):
            shift(clinic, therapist, "10:00", "12:00", **missing)


def test_a_booking_and_the_end_of_its_shift_at_once(clinic: Clinic, therapist: UUID) -> None:
    """Whichever is first: the visit is refused, or it is named. It never stays booked in silence."""
    for _ in range(6):
        made = shift(clinic, therapist, "10:00", "12:00")
        asked = wanted(clinic, clinic.patient(), "talk", "2030-03-04 10:00")
        outcome: dict[str, object] = {}
        gate = threading.Barrier(2)

        def run(name: str, work: object, outcome: dict[str, object] = outcome, gate: threading.Barrier = gate) -> None:
            gate.wait()
            try:
                outcome[name] = clinic.do(work)  # type: ignore[arg-type]
            except Refused as refusal:
                outcome[name] = refusal

        both = [
            threading.Thread(target=run, args=("book", lambda s, c, asked=asked: booking.book(s, c, asked))),
            threading.Thread(target=run, args=("end", lambda s, c, made=made: extra_hours.remove(s, c, made.id, 1))),
        ]
        for thread in both:
            thread.start()
        for thread in both:
            thread.join()
        affected = [each.id for each in outcome["end"]]  # type: ignore[attr-defined]
        if isinstance(outcome["book"], Refused):
            assert affected == []
        else:
            booked = outcome["book"].id  # type: ignore[attr-defined]
            assert affected == [booked]
            clinic.do(lambda s, c, gone=booked: booking.cancel(s, c, gone, reason="x", by="clinic"))
