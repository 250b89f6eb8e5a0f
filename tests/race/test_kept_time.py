"""Holds, overrides, offers and doses that are fought over: threads at the same moment, on both databases."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from scheduler.core.errors import Refused, SchedulingError
from scheduler.core.overriding import override_of
from scheduler.models import Appointment, Hold, WaitlistEntry, WaitlistOffer
from scheduler.services import access, booking, holds, organizations, waitlist
from scheduler.services.appointments import AppointmentView
from scheduler.services.holds import HoldView
from tests.clinic import Clinic, need, segment, visit_type
from tests.desk import book, count, open_clinic, overlaps, wanted

TEN = "2030-03-04 10:00"
Job = Callable[[Any, Any], Any]


@pytest.fixture
def clinic(engine: Engine) -> Clinic:
    made = open_clinic(engine)
    made.staff("therapist")
    made.room("consult")
    return made


def at_once(clinic: Clinic, jobs: Sequence[tuple[Job, dict[str, Any]]]) -> list[Any]:
    """Every job in a thread and transaction of its own; results, or the refusals that came instead."""
    gate = threading.Barrier(len(jobs))
    results: list[Any] = [None] * len(jobs)

    def run(place: int) -> None:
        job, changes = jobs[place]
        gate.wait()
        try:
            results[place] = clinic.do(job, **changes)
        except Exception as error:  # noqa: BLE001 - the test looks at what came
            results[place] = error

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(jobs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    odd = [each for each in results if isinstance(each, Exception) and not isinstance(each, SchedulingError)]
    assert odd == []
    return results


def kinds(results: Sequence[Any]) -> Counter[str]:
    return Counter(each.code if isinstance(each, SchedulingError) else type(each).__name__ for each in results)


def booking_of(clinic: Clinic, start: str = TEN, code: str = "talk", patient: UUID | None = None, **more: Any) -> Job:
    asked = wanted(clinic, patient or clinic.patient(), code, start, **more)
    return lambda s, c: booking.book(s, c, asked)


def converting(clinic: Clinic, held: HoldView) -> Job:
    asked = wanted(clinic, clinic.patient(), "talk", TEN)
    return lambda s, c: holds.book(s, c, asked, held.id, held.token)


def hold(clinic: Clinic, **more: Any) -> HoldView:
    asked = wanted(clinic, None, "talk", TEN)  # type: ignore[arg-type]
    return clinic.do(lambda s, c: holds.create(s, c, asked), **more)


class TestHolds:
    def test_of_many_holds_and_bookings_of_one_time_one_is_made(self, clinic: Clinic) -> None:
        asked = wanted(clinic, None, "talk", TEN)  # type: ignore[arg-type]
        jobs: list[tuple[Job, dict[str, Any]]] = [(lambda s, c: holds.create(s, c, asked), {})] * 4
        jobs += [(booking_of(clinic), {}) for _ in range(4)]
        results = at_once(clinic, jobs)
        assert kinds(results)["resource_busy"] == 7, kinds(results)
        assert count(clinic, Hold) + count(clinic, Appointment) == 1
        assert overlaps(clinic.engine) == 0

    def test_one_hold_becomes_one_visit(self, clinic: Clinic) -> None:
        """Two of everyone: only the hold itself stands between the second conversion and a second visit."""
        clinic.staff("therapist")
        clinic.room("consult")
        held = hold(clinic)
        results = at_once(clinic, [(converting(clinic, held), {}) for _ in range(6)])
        assert kinds(results) == {"AppointmentView": 1, "hold_expired": 5}
        assert count(clinic, Appointment) == 1

    def test_used_or_given_back_but_not_both(self, clinic: Clinic) -> None:
        for _ in range(4):
            held = hold(clinic)
            give = (lambda s, c, held=held: holds.release(s, c, held.id, 1), {})
            made, _ = at_once(clinic, [(converting(clinic, held), {}), give])
            with Session(clinic.engine) as session:
                row = session.get_one(Hold, (clinic.call.organization_id, held.id))
                assert row.ended_at is not None
            if isinstance(made, AppointmentView):
                clinic.do(lambda s, c, made=made: booking.cancel(s, c, made.id, reason="x", by="clinic"))
            else:
                assert made.code == "hold_expired"

    def test_at_its_last_moment_it_is_its_holders_or_somebody_elses(self, clinic: Clinic) -> None:
        """One clock says that it still counts, another that it is over."""
        before, after = clinic.later(minutes=5, seconds=-1), clinic.later(minutes=5)
        for _ in range(4):
            held = hold(clinic)
            results = at_once(
                clinic, [(converting(clinic, held), {"now": before}), (booking_of(clinic), {"now": after})]
            )
            made = [each for each in results if isinstance(each, AppointmentView)]
            assert len(made) == 1, kinds(results)
            assert overlaps(clinic.engine) == 0
            clinic.do(lambda s, c, gone=made[0].id: booking.cancel(s, c, gone, reason="x", by="clinic"))

    def test_extended_or_run_over_but_not_both(self, clinic: Clinic) -> None:
        before, after = clinic.later(minutes=5, seconds=-1), clinic.later(minutes=5)
        for _ in range(4):
            held = hold(clinic)
            extend = (lambda s, c, held=held: holds.extend(s, c, held.id, token=held.token), {"now": before})
            longer, made = at_once(clinic, [extend, (booking_of(clinic), {"now": after})])
            assert isinstance(longer, HoldView) != isinstance(made, AppointmentView), kinds([longer, made])
            if isinstance(longer, HoldView):
                clinic.do(lambda s, c, held=held: holds.release(s, c, held.id, 2))
            else:
                clinic.do(lambda s, c, made=made: booking.cancel(s, c, made.id, reason="x", by="clinic"))

    def test_one_key_never_holds_more_than_it_may(self, clinic: Clinic) -> None:
        """Nobody and nothing is wanted twice: the key is all that the holds have in common."""
        for place in range(6):
            clinic.staff(f"nurse{place}")
            clinic.visit(visit_type(f"check{place}", segment("check", 30, need(f"role:nurse{place}"))))
        clinic.do(lambda s, c: organizations.change(s, c, 1, {"policies": {"max_holds": 2}}))
        key_id = clinic.do(lambda s, c: access.create_key(s, c, name="desk", scopes=["front_desk"])[0].id)
        wishes = [wanted(clinic, None, f"check{place}", TEN) for place in range(6)]  # type: ignore[arg-type]
        jobs: list[tuple[Job, dict[str, Any]]] = [
            (lambda s, c, asked=asked: holds.create(s, c, asked), {"key_id": key_id}) for asked in wishes
        ]
        assert kinds(at_once(clinic, jobs)) == {"HoldView": 2, "too_many_holds": 4}


def test_every_override_of_one_time_has_units_of_its_own(clinic: Clinic) -> None:
    override = override_of(["resource_busy"], "all at once")
    results = at_once(clinic, [(booking_of(clinic, override=override), {}) for _ in range(5)])
    assert kinds(results) == {"AppointmentView": 5}
    assert overlaps(clinic.engine) == 0


class TestOffers:
    def entry(self, clinic: Clinic) -> UUID:
        values = {"patient_id": clinic.patient(), "visit_type": "talk", "location_id": clinic.location_id}
        return clinic.do(lambda s, c: waitlist.create(s, c, values).id)

    def freed(self, clinic: Clinic, *starts: str) -> None:
        """Those times are taken, and given back while somebody waits."""
        for made in [book(clinic, clinic.patient(), "talk", f"2030-03-04 {start}") for start in starts]:
            clinic.do(lambda s, c, gone=made.id: booking.cancel(s, c, gone, reason="x", by="patient"))

    def sweeping(self, clinic: Clinic, times: int, workers: int = 4, **more: Any) -> None:
        for _ in range(times):
            at_once(clinic, [(waitlist.sweep, more)] * workers)

    def living(self, clinic: Clinic) -> list[WaitlistOffer]:
        with Session(clinic.engine) as session:
            return list(session.scalars(select(WaitlistOffer).where(WaitlistOffer.status == "offered")))

    def test_many_workers_offer_a_time_to_one(self, clinic: Clinic) -> None:
        for _ in range(4):
            self.entry(clinic)
        book(clinic, clinic.patient(), "talk", "2030-03-04 11:00")
        book(clinic, clinic.patient(), "talk", "2030-03-04 09:00")
        self.freed(clinic, "10:00")
        self.sweeping(clinic, 3)
        assert [offer.starts_at for offer in self.living(clinic)] == [clinic.at(TEN)]
        assert overlaps(clinic.engine) == 0

    def test_nobody_is_offered_two_times_at_once(self, clinic: Clinic) -> None:
        self.entry(clinic)
        self.freed(clinic, "09:00", "11:00", "13:00", "15:00")
        self.sweeping(clinic, 3)
        assert len(self.living(clinic)) == 1

    def test_an_offer_is_answered_once(self, clinic: Clinic) -> None:
        for hour in ("09:00", "11:00", "13:00", "15:00"):  # a time of its own each: clocks do not run back
            entry = self.entry(clinic)
            self.freed(clinic, hour)
            while clinic.do(waitlist.sweep):
                pass
            (offer,) = self.living(clinic)
            late = {"now": offer.expires_at}
            accept: Job = lambda s, c, e=entry, o=offer.id: waitlist.accept(s, c, e, o)  # noqa: E731
            decline: Job = lambda s, c, e=entry, o=offer.id: waitlist.decline(s, c, e, o)  # noqa: E731
            results = at_once(clinic, [(accept, {}), (accept, {}), (decline, {}), (waitlist.sweep, late)])
            made = [each for each in results if isinstance(each, AppointmentView)]
            with Session(clinic.engine) as session:
                answered = session.get_one(WaitlistOffer, (clinic.call.organization_id, offer.id))
                waits = session.get_one(WaitlistEntry, (clinic.call.organization_id, entry))
                assert (answered.status == "accepted") == (len(made) == 1), kinds(results)
                assert (waits.status == "booked") == (len(made) == 1)
                assert answered.status != "offered"
            assert len(made) <= 1
            assert overlaps(clinic.engine) == 0
            for each in made:
                clinic.do(lambda s, c, gone=each.id: booking.cancel(s, c, gone, reason="x", by="clinic"))
            clinic.do(
                lambda s, c, e=entry: waitlist.remove(s, c, e, waitlist.get(s, c, e).revision), now=offer.expires_at
            )


def test_two_doses_at_once_are_still_too_close(clinic: Clinic) -> None:
    """Different people, rooms and hours: only the patient is the same."""
    for place in range(2):
        clinic.staff(f"nurse{place}")
        needs = need(f"role:nurse{place}")
        limits = {"min_hours_between_doses": 24}
        clinic.visit(
            visit_type(f"dose{place}", segment("dose", 30, needs), kind="dosing", modality="iv", limits=limits)
        )
    for day in (4, 5, 6, 7):
        patient = clinic.patient()
        jobs = [
            (booking_of(clinic, f"2030-03-0{day} {hour}:00", f"dose{place}", patient), {})
            for place, hour in enumerate(("09", "14"))
        ]
        results = at_once(clinic, jobs)
        assert kinds(results) == {"AppointmentView": 1, "dose_interval": 1}
        assert isinstance(next(each for each in results if isinstance(each, Exception)), Refused)
    with Session(clinic.engine) as session:
        most = session.execute(select(func.count()).select_from(Appointment).group_by(Appointment.patient_id)).scalars()
        assert set(most) == {1}


def test_the_jobs_of_these_tests_really_meet(clinic: Clinic) -> None:
    """A barrier that lets them pass one after the other would prove nothing."""
    inside, most = 0, 0
    lock = threading.Lock()
    together = threading.Barrier(3)

    def job(session: Session, call: Any) -> int:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        if session.get_bind().dialect.name != "sqlite":  # which has one writer at a time
            together.wait(timeout=timedelta(seconds=20).total_seconds())
        with lock:
            inside -= 1
        return 1

    assert at_once(clinic, [(job, {})] * 3) == [1, 1, 1]
    assert most == (1 if clinic.engine.dialect.name == "sqlite" else 3)
