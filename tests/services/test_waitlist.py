"""The waitlist on both databases: freed time goes to the next who can use it, once, held, and never too late."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, select, text, update
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.errors import Invalid, LostRace, NotFound, Refused, StaleRevision
from scheduler.models import (
    AuditEvent,
    Hold,
    Occupancy,
    WaitlistEntry,
    WaitlistOffer,
    WaitlistOpening,
    new_id,
)
from scheduler.services import booking, offering, organizations, visit_types, waitlist
from scheduler.services.appointments import AppointmentView
from scheduler.services.pins import Pin
from scheduler.services.waitlist import EntryView
from tests.clinic import Clinic
from tests.desk import book, count, open_clinic, refused, wanted

TEN = "2030-03-04 10:00"


@pytest.fixture
def clinic(engine: Engine) -> Clinic:
    made = open_clinic(engine)
    made.staff("therapist", hours=[{"weekday": "mon", "start": "10:00", "end": "12:00"}])
    made.room("consult")
    return made


@pytest.fixture
def full(clinic: Clinic) -> AppointmentView:
    """The visit at ten; the only other hour of the day is taken as well."""
    book(clinic, clinic.patient(), "talk", "2030-03-04 11:00")
    return book(clinic, clinic.patient(), "talk", TEN)


def wait(clinic: Clinic, *pins: Pin, **more: Any) -> EntryView:
    values = {"patient_id": clinic.patient(), "visit_type": "talk", "location_id": clinic.location_id, **more}
    return clinic.do(lambda s, c: waitlist.create(s, c, values, pins))


def cancel(clinic: Clinic, made: AppointmentView, **more: Any) -> None:
    clinic.do(lambda s, c: booking.cancel(s, c, made.id, reason="ill", by="patient"), **more)


def sweep(clinic: Clinic, **more: Any) -> None:
    for _ in range(20):
        if not clinic.do(waitlist.sweep, **more):
            return
    pytest.fail("the sweep finds no end")


def offers(clinic: Clinic, entry: EntryView, **more: Any) -> list[str]:
    view = clinic.do(lambda s, c: waitlist.get(s, c, entry.id), **more)
    return [offer.status for offer in view.offers]


def live(clinic: Clinic, entry: EntryView) -> UUID:
    return next(
        offer.id for offer in clinic.do(lambda s, c: waitlist.get(s, c, entry.id)).offers if offer.status == "offered"
    )


def test_freed_time_is_held_for_who_waits(clinic: Clinic, full: AppointmentView) -> None:
    entry = wait(clinic)
    cancel(clinic, full)
    sweep(clinic)
    view = clinic.do(lambda s, c: waitlist.get(s, c, entry.id))
    (offer,) = view.offers
    assert (view.status, offer.status) == ("offered", "offered")
    assert (offer.start, offer.expires_at) == (clinic.at(TEN), clinic.later(minutes=60))
    assert refused(clinic, clinic.patient(), "talk", TEN).code == "resource_busy"


def test_accepted_it_is_a_visit_and_the_waiting_is_over(clinic: Clinic, full: AppointmentView) -> None:
    entry = wait(clinic, note="by the window")
    cancel(clinic, full)
    sweep(clinic)
    offer_id = live(clinic, entry)
    made = clinic.do(lambda s, c: waitlist.accept(s, c, entry.id, offer_id))
    assert (made.row.starts_at, made.row.patient_id, made.row.note) == (
        clinic.at(TEN),
        entry.patient_id,
        "by the window",
    )
    view = clinic.do(lambda s, c: waitlist.get(s, c, entry.id))
    assert (view.status, view.appointment_id, view.offers[0].status) == ("booked", made.id, "accepted")
    with pytest.raises(Refused) as caught:
        clinic.do(lambda s, c: waitlist.accept(s, c, entry.id, offer_id))
    assert caught.value.code == "offer_over"
    with Session(clinic.engine) as session:
        assert {row.kind for row in session.scalars(select(Occupancy))} == {"visit"}


def test_the_highest_priority_first_then_who_waits_longest(clinic: Clinic, full: AppointmentView) -> None:
    low, first, second = wait(clinic), wait(clinic, priority=5), wait(clinic, priority=5)
    cancel(clinic, full)
    sweep(clinic)
    assert [offers(clinic, entry) for entry in (first, second, low)] == [["offered"], [], []]
    for entry in (first, second, low):
        offer_id = live(clinic, entry)
        clinic.do(lambda s, c, e=entry, o=offer_id: waitlist.decline(s, c, e.id, o))
        sweep(clinic)
    assert [offers(clinic, entry) for entry in (first, second, low)] == [["declined"]] * 3
    book(clinic, clinic.patient(), "talk", TEN)


def test_an_offer_that_nobody_answers_goes_on_to_the_next(clinic: Clinic, full: AppointmentView) -> None:
    first, second = wait(clinic), wait(clinic)
    cancel(clinic, full)
    sweep(clinic)
    offer_id, late = live(clinic, first), clinic.later(minutes=60)
    assert offers(clinic, first, now=late) == ["expired"], "by the clock, swept or not"
    with pytest.raises(Refused) as caught:
        clinic.do(lambda s, c: waitlist.accept(s, c, first.id, offer_id), now=late)
    assert caught.value.code == "offer_over"
    sweep(clinic, now=late)
    assert (offers(clinic, first), offers(clinic, second)) == (["expired"], ["offered"])
    assert clinic.do(lambda s, c: waitlist.get(s, c, first.id)).status == "waiting"


@pytest.mark.parametrize("end", ["declined", "expired"])
@pytest.mark.parametrize("came", ["before", "meanwhile"])
def test_what_came_while_one_time_was_thought_about_is_offered_next(clinic: Clinic, came: str, end: str) -> None:
    first, second = (book(clinic, clinic.patient(), "talk", f"2030-03-04 {hour}:00") for hour in (10, 11))
    entry = wait(clinic)
    cancel(clinic, first)
    if came == "before":
        cancel(clinic, second)
    sweep(clinic)
    if came == "meanwhile":
        cancel(clinic, second)
        sweep(clinic)
    assert offers(clinic, entry) == ["offered"]
    later, offer = clinic.call.now if end == "declined" else clinic.later(minutes=60), live(clinic, entry)
    if end == "declined":
        clinic.do(lambda s, c: waitlist.decline(s, c, entry.id, offer))
    sweep(clinic, now=later)
    assert offers(clinic, entry, now=later) == [end, "offered"]
    told = clinic.do(lambda s, c: waitlist.get(s, c, entry.id), now=later).offers
    assert {offer.start for offer in told} == {first.row.starts_at, second.row.starts_at}


class TestAnsweredWhileAnotherTimeIsClosed:
    """Two times came free; the first is offered, and the second closed at the moment of the answer."""

    pytestmark = pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)

    @pytest.fixture
    def entry(self, clinic: Clinic) -> EntryView:
        visits = [book(clinic, clinic.patient(), "talk", f"2030-03-04 {hour}:00") for hour in (10, 11)]
        entry = wait(clinic)
        for made in visits:
            cancel(clinic, made)
        for _ in range(2):  # the first time is offered, and nobody else waits for the rest of it
            clinic.do(waitlist.sweep)
        assert offers(clinic, entry) == ["offered"]
        return entry

    def told(self, clinic: Clinic, entry: EntryView) -> None:
        sweep(clinic)
        assert offers(clinic, entry) == ["declined", "offered"], "the second time is theirs to think about now"

    def test_nothing_is_closed_while_somebody_answers(self, clinic: Clinic, entry: EntryView) -> None:
        with Session(clinic.engine) as answering:
            waitlist.decline(answering, clinic.call, entry.id, live(clinic, entry))
            answering.flush()
            with pytest.raises(LostRace):
                clinic.do(waitlist.sweep)
            answering.commit()
        self.told(clinic, entry)

    def test_who_answers_sees_what_was_closed_since_they_looked(self, clinic: Clinic, entry: EntryView) -> None:
        with Session(clinic.engine) as closing, ThreadPoolExecutor(1) as pool:
            waitlist.sweep(closing, clinic.call)
            closing.flush()
            offer_id = live(clinic, entry)
            answer = pool.submit(clinic.do, lambda s, c: waitlist.decline(s, c, entry.id, offer_id))
            waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
            with clinic.engine.connect() as look:
                while not look.scalar(waiting) and not answer.done():
                    look.rollback()
            assert not answer.done(), "it has looked, and waits for the entry"
            closing.commit()
            answer.result()
        self.told(clinic, entry)


def test_a_move_frees_the_time_that_it_leaves(clinic: Clinic) -> None:
    made = book(clinic, clinic.patient(), "talk", TEN)
    entry = wait(clinic, windows=[{"earliest": "10:00", "latest": "10:00"}])
    clinic.do(lambda s, c: booking.reschedule(s, c, made.id, clinic.at("2030-03-04 11:00")))
    sweep(clinic)
    assert offers(clinic, entry) == ["offered"]


class TestNever:
    @pytest.mark.parametrize(
        ("more", "offered"),
        [
            ({"windows": [{"weekdays": ["tue"]}]}, False),
            ({"windows": [{"weekdays": ["tue"]}, {"weekdays": ["mon"], "earliest": "10:00"}]}, True),
            ({"windows": [{"latest": "09:55"}]}, False),
            ({"windows": [{"earliest": "10:05", "latest": "10:55"}]}, False),
            ({"windows": [{"from": "2030-03-05"}]}, False),
            ({"windows": [{"from": "2030-03-04", "to": "2030-03-04"}]}, True),
            ({"windows": [{"to": "2030-03-03"}]}, False),
            ({"notice_minutes": 60 * 24 * 30}, False),
            ({"notice_minutes": 60 * 24}, True),
        ],
    )
    def test_outside_the_windows_or_on_too_short_notice(
        self, clinic: Clinic, full: AppointmentView, more: dict[str, Any], *, offered: bool
    ) -> None:
        entry = wait(clinic, **more)
        cancel(clinic, full)
        sweep(clinic)
        assert offers(clinic, entry) == (["offered"] if offered else [])

    def test_of_a_visit_type_that_is_off_by_now(self, clinic: Clinic, full: AppointmentView) -> None:
        """Nobody could accept it, and others would be kept away for so long."""
        entry = wait(clinic)
        (talk,) = (each for each in clinic.do(visit_types.listing).items if each.code == "talk")
        clinic.do(lambda s, c: visit_types.change(s, c, talk.id, talk.revision, {"enabled": False}))
        cancel(clinic, full)
        sweep(clinic)
        assert offers(clinic, entry) == []

    def test_in_the_past(self, clinic: Clinic, full: AppointmentView) -> None:
        entry = wait(clinic)
        cancel(clinic, full)
        sweep(clinic, now=clinic.at("2030-03-04 10:30"))
        assert offers(clinic, entry) == []
        cancel(clinic, book(clinic, clinic.patient(), "talk", "2030-03-11 10:00"), now=clinic.at("2030-03-12 10:00"))
        with Session(clinic.engine) as session:
            assert {row.status for row in session.scalars(select(WaitlistOpening))} == {"closed"}

    def test_with_less_time_to_answer_than_is_fair(self, clinic: Clinic, full: AppointmentView) -> None:
        """Ten minutes before the start with a lead time of eight: an offer would stand for two."""
        clinic.do(lambda s, c: organizations.change(s, c, 1, {"policies": {"lead_minutes": 8}}))
        entry = wait(clinic)
        now = clinic.at("2030-03-04 09:50")
        cancel(clinic, full, now=now)
        sweep(clinic, now=now)
        assert offers(clinic, entry) == []

    def test_an_offer_ends_where_the_lead_time_begins(self, clinic: Clinic, full: AppointmentView) -> None:
        """Or else it could be accepted and then refused."""
        clinic.do(lambda s, c: organizations.change(s, c, 1, {"policies": {"lead_minutes": 60}}))
        entry = wait(clinic)
        now = clinic.at("2030-03-04 08:40")
        cancel(clinic, full, now=now)
        sweep(clinic, now=now)
        offer_id = live(clinic, entry)
        last = clinic.at("2030-03-04 09:00") - timedelta(seconds=1)
        clinic.do(lambda s, c: waitlist.accept(s, c, entry.id, offer_id), now=last)

    def test_to_a_patient_who_is_elsewhere_then(self, clinic: Clinic, full: AppointmentView) -> None:
        busy = clinic.patient()
        clinic.room("bay")
        clinic.staff("nurse")
        book(clinic, busy, "watch", "2030-03-04 10:30")
        entry, other = wait(clinic, patient_id=busy, priority=9), wait(clinic)
        cancel(clinic, full)
        sweep(clinic)
        assert (offers(clinic, entry), offers(clinic, other)) == ([], ["offered"])

    def test_twice_of_one_opening_or_two_times_at_once(self, clinic: Clinic) -> None:
        visits = [book(clinic, clinic.patient(), "talk", f"2030-03-04 {hour}") for hour in ("10:00", "11:00")]
        entry = wait(clinic)
        for made in visits:
            cancel(clinic, made)
        sweep(clinic)
        assert offers(clinic, entry) == ["offered"]
        offer_id = live(clinic, entry)
        clinic.do(lambda s, c: waitlist.decline(s, c, entry.id, offer_id))
        sweep(clinic)
        with Session(clinic.engine) as session:
            openings = list(session.scalars(select(WaitlistOffer.opening_id).order_by(WaitlistOffer.id)))
        assert len(openings) == len(set(openings)), "another opening may be offered, the same never again"

    def test_when_nobody_waits_nothing_is_written(self, clinic: Clinic, full: AppointmentView) -> None:
        cancel(clinic, full)
        assert count(clinic, WaitlistOpening) == 0
        assert clinic.do(waitlist.sweep) is False


class TestEntries:
    def test_taken_off_the_list_the_offer_goes_on(self, clinic: Clinic, full: AppointmentView) -> None:
        first, second = wait(clinic), wait(clinic)
        cancel(clinic, full)
        sweep(clinic)
        revision = clinic.do(lambda s, c: waitlist.get(s, c, first.id)).revision
        with pytest.raises(StaleRevision):
            clinic.do(lambda s, c: waitlist.remove(s, c, first.id, revision - 1))
        clinic.do(lambda s, c: waitlist.remove(s, c, first.id, revision))
        with pytest.raises(NotFound):
            clinic.do(lambda s, c: waitlist.get(s, c, first.id))
        sweep(clinic)
        assert offers(clinic, second) == ["offered"]

    @pytest.mark.parametrize("status", ["closed", "booked"])
    def test_who_waits_no_more_since_the_look_is_not_asked(
        self, clinic: Clinic, full: AppointmentView, monkeypatch: pytest.MonkeyPatch, status: str
    ) -> None:
        first, second = wait(clinic), wait(clinic)
        cancel(clinic, full)
        real = vars(offering)["_candidates"]

        def late(session: Session, call: Call, opening: WaitlistOpening) -> list[UUID]:
            found: list[UUID] = real(session, call, opening)
            gone = update(WaitlistEntry).where(WaitlistEntry.id == first.id).values(status=status)
            session.connection().execute(gone)
            return found

        monkeypatch.setattr(offering, "_candidates", late)
        sweep(clinic)
        assert offers(clinic, second) == ["offered"]
        assert count(clinic, WaitlistOffer) == 1

    def test_a_change_is_obeyed_by_the_next_sweep(self, clinic: Clinic, full: AppointmentView) -> None:
        entry = wait(clinic)
        values = {"windows": [{"weekdays": ["fri"]}], "priority": 3}
        changed = clinic.do(lambda s, c: waitlist.change(s, c, entry.id, 1, values, None))
        assert (changed.priority, changed.revision) == (3, 2)
        cancel(clinic, full)
        sweep(clinic)
        assert offers(clinic, entry) == []

    def test_lists_are_filtered(self, clinic: Clinic) -> None:
        first, _ = wait(clinic), wait(clinic)
        found = clinic.do(lambda s, c: waitlist.listing(s, c, patient_id=first.patient_id, status="waiting"))
        assert [view.id for view in found.items] == [first.id]
        assert clinic.do(lambda s, c: waitlist.listing(s, c, location_id=new_id())).items == []

    def test_faults_and_strangers(self, clinic: Clinic) -> None:
        with pytest.raises(Invalid) as caught:
            wait(clinic, windows=[{"earliest": "12:00", "latest": "10:00"}, {"from": "2030-03-02", "to": "2030-03-01"}])
        assert [fault.pointer for fault in caught.value.faults] == ["/windows/0/latest", "/windows/1/to"]
        for missing in ({"patient_id": new_id()}, {"location_id": new_id()}, {"course_session_id": new_id()}):
            with pytest.raises(NotFound):
                wait(clinic, **missing)
        entry = wait(clinic)
        with pytest.raises(Invalid) as caught:
            clinic.do(lambda s, c: waitlist.accept(s, c, entry.id, new_id()))
        assert [fault.code for fault in caught.value.faults] == ["unknown_offer"]
        with pytest.raises(NotFound):
            clinic.do(lambda s, c: waitlist.accept(s, c, new_id(), new_id()))

    def test_every_step_is_in_the_audit(self, clinic: Clinic, full: AppointmentView) -> None:
        entry = wait(clinic)
        cancel(clinic, full)
        sweep(clinic)
        offer_id = live(clinic, entry)
        clinic.do(lambda s, c: waitlist.accept(s, c, entry.id, offer_id))
        with Session(clinic.engine) as session:
            events = session.scalars(select(AuditEvent).where(AuditEvent.subject_id == entry.id)).all()
        assert sorted(event.action for event in events) == [
            "waitlist.accept",
            "waitlist.offer",
            "waitlist_entry.create",
        ]


def test_organizations_with_something_to_do_are_found(clinic: Clinic, full: AppointmentView) -> None:
    def due(**more: Any) -> bool:
        with Session(clinic.engine) as session:
            return clinic.call.organization_id in waitlist.organizations_due(session, clinic.later(**more))

    wait(clinic)
    assert not due()
    cancel(clinic, full)
    assert due()
    sweep(clinic)
    assert not due()
    assert due(minutes=61)


def test_a_hold_of_an_offer_counts_for_no_key(clinic: Clinic, full: AppointmentView) -> None:
    wait(clinic)
    cancel(clinic, full)
    sweep(clinic, key_id=new_id())
    with Session(clinic.engine) as session:
        assert session.scalars(select(Hold.key_id)).all() == [None]
    asked = wanted(clinic, clinic.patient(), "talk", TEN)
    with pytest.raises(Refused):
        clinic.do(lambda s, c: booking.book(s, c, asked))
