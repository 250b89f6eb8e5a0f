"""Booking, moving and cancelling by the law, on both databases. Races and the database's guard are next door."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import Engine, delete, insert, select, update
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.errors import Fault, IllegalTransition, Invalid, NotFound, Refused, StaleRevision
from scheduler.core.localgrid import Wish
from scheduler.models import (
    Appointment,
    AuditEvent,
    Hold,
    Message,
    Occupancy,
    Resource,
    ResourceUnit,
    VisitTypeRow,
    new_id,
)
from scheduler.services import absences, appointments, availability, booking
from scheduler.services.appointments import AppointmentView
from scheduler.services.finding import Wanted
from scheduler.services.locks import bump_calendars
from scheduler.services.pins import Pin
from tests.clinic import Clinic
from tests.desk import book, count, open_clinic, refused, wanted


@pytest.fixture
def clinic(engine: Engine) -> Clinic:
    return open_clinic(engine)


def test_a_visit_takes_its_people_for_their_own_segments(clinic: Clinic) -> None:
    nurse, prescriber, bay = clinic.staff("nurse", units=2), clinic.staff("prescriber"), clinic.room("bay")
    made = book(clinic, clinic.patient(), "infusion", "2030-03-04 09:00")
    assert (made.row.starts_at, made.row.ends_at) == (clinic.at("2030-03-04 09:00"), clinic.at("2030-03-04 10:20"))
    assert (made.row.local_start, made.row.time_zone) == ("2030-03-04T09:00", "America/New_York")
    served = {(each.resource_id, each.segment): (each.start, each.end) for each in made.participants}
    start = made.row.starts_at
    assert served[nurse, "prep"] == (start, start + timedelta(minutes=20))
    assert served[bay, "setup"] == (start - timedelta(minutes=10), start)
    assert served[bay, "turnover"] == (start + timedelta(minutes=80), start + timedelta(minutes=95))
    assert (prescriber, "dose") in served
    with Session(clinic.engine) as session:
        rows = session.scalars(select(Occupancy).where(Occupancy.resource_id == nurse)).all()
    minutes = {(row.unit, (row.ends_at - row.starts_at) // timedelta(minutes=1)) for row in rows}
    assert minutes == {(0, 20), (1, 20), (0, 60)}, "all units while preparing, one while watching"


def test_the_prescriber_is_free_again_once_the_prep_is_over(clinic: Clinic) -> None:
    """Three visits, staggered, where blocking people for whole visits would fit one."""
    clinic.staff("prescriber")
    for _ in range(3):
        clinic.staff("nurse")
        clinic.room("bay")
    patients = [clinic.patient() for _ in range(4)]
    for patient, start in zip(patients, ("09:00", "09:20", "09:40"), strict=False):
        book(clinic, patient, "infusion", f"2030-03-04 {start}")
    refusal = refused(clinic, patients[3], "infusion", "2030-03-04 09:50")
    assert {reason.code for reason in refusal.reasons} == {"resource_busy"}


def test_everything_offered_books_and_everything_else_is_refused_with_the_reason_given(clinic: Clinic) -> None:
    clinic.staff("therapist")
    clinic.staff("therapist", hours=[{"weekday": "mon", "start": "10:00", "end": "12:30"}])
    clinic.room("consult")
    first, patient = clinic.patient(), clinic.patient()
    book(clinic, first, "talk", "2030-03-04 10:10")
    book(clinic, patient, "talk", "2030-03-04 14:00")
    day = clinic.at("2030-03-04 07:00"), clinic.at("2030-03-04 19:00")
    question = availability.Question("talk", clinic.location_id, *day, patient_id=patient, wish=Wish(step=5))
    offers, more = clinic.do(lambda s, c: availability.search(s, c, question, limit=1000))
    assert more is None
    offered = {offer.start for offer in offers}
    assert len(offered) > 20
    slots = [day[0] + timedelta(minutes=5 * i) for i in range(144)]
    for start in slots:
        asked = Wanted(patient, "talk", clinic.location_id, start)
        ask = availability.Question("talk", clinic.location_id, start, start, patient_id=patient)
        explained = clinic.do(lambda s, c, ask=ask: availability.explain(s, c, ask))
        assert explained.bookable == (start in offered)
        if start in offered:
            clinic.do(lambda s, c, asked=asked: booking.book(s, c, asked), dry_run=True)
        else:
            with pytest.raises(Refused) as caught:
                clinic.do(lambda s, c, asked=asked: booking.book(s, c, asked), dry_run=True)
            assert caught.value.reasons == explained.reasons
    assert count(clinic, Appointment) == 2, "a dry run writes nothing"


def test_alternatives_are_the_nearest_starts_that_book(clinic: Clinic) -> None:
    clinic.staff("therapist")
    clinic.room("consult")
    first, second = clinic.patient(), clinic.patient()
    book(clinic, first, "talk", "2030-03-04 10:00")
    refusal = refused(clinic, second, "talk", "2030-03-04 10:00")
    assert clinic.at("2030-03-04 09:00") in refusal.alternatives
    assert clinic.at("2030-03-04 11:00") in refusal.alternatives
    assert len(refusal.alternatives) == 5
    for start in refusal.alternatives:
        asked = Wanted(second, "talk", clinic.location_id, start)
        clinic.do(lambda s, c, asked=asked: booking.book(s, c, asked), dry_run=True)


def test_back_to_back_is_allowed_and_one_patient_is_in_one_place(clinic: Clinic) -> None:
    clinic.staff("therapist")
    clinic.staff("therapist")
    clinic.room("consult")
    clinic.room("consult")
    patient = clinic.patient()
    book(clinic, patient, "talk", "2030-03-04 10:00")
    book(clinic, patient, "talk", "2030-03-04 11:00")
    refusal = refused(clinic, patient, "talk", "2030-03-04 10:30")
    assert refusal.code == "patient_busy"
    assert (refusal.reasons[0].start, refusal.reasons[0].end) == (
        clinic.at("2030-03-04 10:00"),
        clinic.at("2030-03-04 12:00"),
    )


@pytest.mark.parametrize(
    ("start", "code"),
    [
        ("2030-03-04 17:30", "outside_hours"),
        ("2030-03-03 10:00", "outside_hours"),
        ("2030-02-25 10:00", "lead_time"),
        ("2032-03-01 10:00", "horizon"),
    ],
)
def test_time_has_its_own_refusals(clinic: Clinic, start: str, code: str) -> None:
    clinic.staff("therapist")
    clinic.room("consult")
    assert code in {reason.code for reason in refused(clinic, clinic.patient(), "talk", start).reasons}


def test_an_absent_therapist_is_not_booked(clinic: Clinic) -> None:
    therapist = clinic.staff("therapist")
    clinic.room("consult")
    first, past = clinic.at("2030-03-04 09:00"), clinic.at("2030-03-04 12:00")
    clinic.do(lambda s, c: absences.create(s, c, resource_id=therapist, start=first, end=past, reason="away"))
    refusal = refused(clinic, clinic.patient(), "talk", "2030-03-04 11:30")
    assert [(r.code, r.role, r.resource_id) for r in refusal.reasons] == [("resource_absent", "therapist", therapist)]
    book(clinic, clinic.patient(), "talk", "2030-03-04 12:00")


def test_a_pin_is_kept_and_a_wrong_one_named(clinic: Clinic) -> None:
    clinic.staff("therapist")
    second = clinic.staff("therapist")
    clinic.room("consult")
    patient = clinic.patient()
    made = book(clinic, patient, "talk", "2030-03-04 10:00", pins=(Pin("role:therapist", second),))
    assert second in {each.resource_id for each in made.participants}
    pins = (Pin("role:nurse", second), Pin("role:therapist", new_id()))
    with pytest.raises(Invalid) as caught:
        book(clinic, patient, "talk", "2030-03-04 12:00", pins=pins)
    assert [(fault.pointer, fault.code) for fault in caught.value.faults] == [
        ("/pins/0", "no_such_need"),
        ("/pins/1/resource_id", "unknown_resource"),
    ]


def test_starts_lie_on_the_grid(clinic: Clinic) -> None:
    with pytest.raises(Invalid) as caught:
        book(clinic, clinic.patient(), "talk", "2030-03-04 10:03")
    assert caught.value.faults == (Fault("/start", "not_on_grid", "Visits start on the five-minute grid."),)


def test_unknown_things_are_not_found(clinic: Clinic) -> None:
    with pytest.raises(NotFound):
        book(clinic, new_id(), "talk", "2030-03-04 10:00")
    with pytest.raises(Invalid, match="fault"):
        book(clinic, clinic.patient(), "nothing", "2030-03-04 10:00")


class TestMoving:
    def test_a_visit_moves_over_its_own_time_and_stays_itself(self, clinic: Clinic) -> None:
        clinic.staff("therapist")
        clinic.room("consult")
        made = book(clinic, clinic.patient(), "talk", "2030-03-04 10:00")
        move = clinic.at("2030-03-04 10:30")
        moved = clinic.do(lambda s, c: booking.reschedule(s, c, made.id, move))
        assert (moved.id, moved.row.starts_at, moved.row.sequence) == (made.id, move, 1)
        assert moved.row.revision > made.row.revision
        assert {each.start for each in moved.participants} == {move}
        book(clinic, clinic.patient(), "talk", "2030-03-04 09:30")

    def test_a_refused_move_leaves_it_where_it_was(self, clinic: Clinic) -> None:
        clinic.staff("therapist")
        clinic.room("consult")
        made = book(clinic, clinic.patient(), "talk", "2030-03-04 10:00")
        book(clinic, clinic.patient(), "talk", "2030-03-04 13:00")
        with pytest.raises(Refused):
            clinic.do(lambda s, c: booking.reschedule(s, c, made.id, clinic.at("2030-03-04 13:30")))
        still = clinic.do(lambda s, c: appointments.get(s, c, made.id))
        assert (still.row.starts_at, still.revision, len(still.participants)) == (made.row.starts_at, 1, 2)

    def test_a_move_to_where_it_is_tells_nobody(self, clinic: Clinic) -> None:
        clinic.staff("therapist")
        clinic.room("consult")
        made = book(clinic, clinic.patient(), "talk", "2030-03-04 10:00")
        owed = count(clinic, Message)
        again = clinic.do(lambda s, c: booking.reschedule(s, c, made.id, made.row.starts_at))
        assert (again.row.sequence, count(clinic, Message)) == (0, owed)

    def test_a_stale_revision_is_refused(self, clinic: Clinic) -> None:
        clinic.staff("therapist")
        clinic.room("consult")
        made = book(clinic, clinic.patient(), "talk", "2030-03-04 10:00")
        with pytest.raises(StaleRevision):
            clinic.do(lambda s, c: booking.cancel(s, c, made.id, reason="ill", by="patient", revision=7))

    def test_a_cancelled_visit_frees_its_time_and_moves_no_more(self, clinic: Clinic) -> None:
        clinic.staff("therapist")
        clinic.room("consult")
        made = book(clinic, clinic.patient(), "talk", "2030-03-04 10:00")
        gone = clinic.do(lambda s, c: booking.cancel(s, c, made.id, reason="ill", by="patient"))
        assert (gone.row.status, gone.row.cancelled_by, gone.participants) == ("cancelled", "patient", ())
        assert count(clinic, Occupancy) == 0
        book(clinic, clinic.patient(), "talk", "2030-03-04 10:00")
        with pytest.raises(IllegalTransition):
            clinic.do(lambda s, c: booking.reschedule(s, c, made.id, clinic.at("2030-03-04 12:00")))

    def test_every_change_is_in_the_audit(self, clinic: Clinic) -> None:
        clinic.staff("therapist")
        clinic.room("consult")
        made = book(clinic, clinic.patient(), "talk", "2030-03-04 10:00")
        clinic.do(lambda s, c: booking.reschedule(s, c, made.id, clinic.at("2030-03-04 12:00")))
        clinic.do(lambda s, c: booking.cancel(s, c, made.id, reason="ill", by="patient"))
        with Session(clinic.engine) as session:
            events = session.scalars(
                select(AuditEvent).where(AuditEvent.subject_id == made.id).order_by(AuditEvent.id)
            ).all()
        assert [event.action for event in events] == [
            "appointment.book",
            "appointment.reschedule",
            "appointment.cancel",
        ]
        assert events[2].reason == "ill"
        assert events[1].before is not None
        assert events[1].before["start"] == clinic.at("2030-03-04 10:00").isoformat()


class TestUnits:
    def test_two_units_watch_two_patients_and_no_third(self, clinic: Clinic) -> None:
        clinic.staff("nurse", units=2)
        for _ in range(3):
            clinic.room("bay")
        book(clinic, clinic.patient(), "watch", "2030-03-04 09:00")
        book(clinic, clinic.patient(), "watch", "2030-03-04 09:30")
        refusal = refused(clinic, clinic.patient(), "watch", "2030-03-04 09:45")
        assert refusal.code == "resource_busy"

    def test_what_lies_in_pieces_is_packed_anew_and_nothing_else_changes(self, clinic: Clinic) -> None:
        """Unit 0 is free before ten, unit 1 after: counting says yes, so the answer must be yes."""
        nurse = clinic.staff("nurse", units=2)
        for _ in range(4):
            clinic.room("bay")
        gone = book(clinic, clinic.patient(), "watch", "2030-03-04 09:00")
        early = book(clinic, clinic.patient(), "watch", "2030-03-04 09:00")
        clinic.do(lambda s, c: booking.cancel(s, c, gone.id, reason="x", by="staff"))
        late = book(clinic, clinic.patient(), "watch", "2030-03-04 10:00")
        units = dict(_units(clinic, nurse))
        assert (units[early.id], units[late.id]) == (1, 0), "the pieces that this test is about"
        made = book(clinic, clinic.patient(), "watch", "2030-03-04 09:30")
        assert nurse in {each.resource_id for each in made.participants}
        again = clinic.do(lambda s, c: appointments.get(s, c, early.id))
        assert (again.revision, again.participants) == (early.revision, early.participants)

    def test_an_expired_hold_is_no_obstacle_and_is_voided(self, clinic: Clinic) -> None:
        nurse = clinic.staff("nurse")
        clinic.room("bay")
        start = clinic.at("2030-03-04 09:00")
        for minutes, free in ((5, False), (0, True)):
            with Session(clinic.engine) as session:
                session.execute(delete(Occupancy))
                _hold(session, clinic, nurse, start, clinic.later(minutes=minutes))
                bump_calendars(session, clinic.call, [nurse])
                session.commit()
            if free:
                book(clinic, clinic.patient(), "watch", "2030-03-04 09:00")
            else:
                assert refused(clinic, clinic.patient(), "watch", "2030-03-04 09:00").code == "resource_busy"


def _units(clinic: Clinic, resource_id: UUID) -> list[tuple[UUID | None, int]]:
    with Session(clinic.engine) as session:
        rows = session.execute(
            select(Occupancy.appointment_id, Occupancy.unit).where(Occupancy.resource_id == resource_id)
        )
        return [(row.appointment_id, row.unit) for row in rows]


def _hold(session: Session, clinic: Clinic, resource_id: UUID, start: datetime, expires_at: datetime) -> None:
    organization_id = clinic.call.organization_id
    visit = session.scalars(select(VisitTypeRow).where(VisitTypeRow.code == "watch")).one()
    hold = Hold(
        organization_id=organization_id,
        id=new_id(),
        location_id=clinic.location_id,
        visit_type_id=visit.id,
        visit_type=visit.code,
        time_zone=clinic.time_zone,
        starts_at=start,
        ends_at=start + timedelta(hours=1),
        token_hash="x",
        body={},
        created_at=clinic.call.now,
        expires_at=expires_at,
    )
    session.add(hold)
    session.flush()
    session.add(
        Occupancy(
            organization_id=organization_id,
            resource_id=resource_id,
            unit=0,
            starts_at=start,
            ends_at=start + timedelta(hours=1),
            kind="hold",
            blocking=True,
            hold_id=hold.id,
        )
    )


def test_a_calendar_revision_counts_bookings_and_the_etag_does_not(clinic: Clinic) -> None:
    therapist = clinic.staff("therapist")
    clinic.room("consult")

    def revisions() -> tuple[int, int]:
        with Session(clinic.engine) as session:
            row = session.get_one(Resource, (clinic.call.organization_id, therapist))
            return row.calendar_revision, row.revision

    before = revisions()
    book(clinic, clinic.patient(), "talk", "2030-03-04 10:00")
    assert revisions() == (before[0] + 1, before[1])


def test_units_beyond_the_regular_ones_take_nothing_from_anybody(clinic: Clinic) -> None:
    """An override's extra unit is book-keeping: it must not make anybody look busy."""
    therapist = clinic.staff("therapist")
    clinic.room("consult")
    made = book(clinic, clinic.patient(), "talk", "2030-03-04 10:00")
    with Session(clinic.engine) as session:
        key = {"organization_id": clinic.call.organization_id, "resource_id": therapist, "unit": 1}
        session.execute(insert(ResourceUnit), [key | {"extra": True}])
        session.execute(
            update(Occupancy)
            .where(Occupancy.appointment_id == made.id, Occupancy.resource_id == therapist)
            .values(unit=1)
        )
        bump_calendars(session, clinic.call, [therapist])
        session.commit()
    clinic.room("consult")
    book(clinic, clinic.patient(), "talk", "2030-03-04 10:00")


def test_the_call_says_when(clinic: Clinic) -> None:
    clinic.staff("therapist")
    clinic.room("consult")
    late = clinic.at("2030-03-04 10:05")
    asked = wanted(clinic, clinic.patient(), "talk", "2030-03-04 10:00")

    def work(session: Session, call: Call) -> AppointmentView:
        return booking.book(session, call, asked)

    with pytest.raises(Refused) as caught:
        clinic.do(work, now=late)
    assert caught.value.code == "lead_time"
