"""What each lock of a repair and of a re-plan is for, one by one: somebody is first, and is not done yet."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar
from uuid import UUID

import pytest
from sqlalchemy import Engine, select, text
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.intervals import Span
from scheduler.models import Absence, Appointment
from scheduler.services import booking, course_rules, disruptions, notes
from scheduler.services.course_changes import Change
from scheduler.services.disruptions import Accepted, Offer
from scheduler.services.finding import Wanted
from scheduler.services.locks import bump_calendars
from tests.clinic import Clinic
from tests.coursework import open_course_clinic
from tests.desk import count
from tests.services.test_disruptions import accept, day_of, outcomes, propose, somebody
from tests.services.test_replanning import Running

# SQLite has one writer, who is alone anyway.
pytestmark = pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)

T = TypeVar("T")

WAITING = text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")


def after(
    clinic: Clinic, first: Callable[[Session, Call], object], late: Callable[[], T], then: Callable[[], object] = int
) -> T:
    """What `late` gives that is begun when `first` is done but for its end; before which, and when it waits, `then`."""
    with Session(clinic.engine) as acting, ThreadPoolExecutor(1) as pool, clinic.engine.connect() as look:
        first(acting, clinic.call)
        acting.flush()
        begun = pool.submit(late)
        while not look.scalar(WAITING) and not begun.done():
            look.rollback()
        try:
            then()
        finally:
            acting.commit()
        return begun.result()


def a_talk(clinic: Clinic) -> Appointment:
    wanted = Wanted(clinic.patient(), "talk", clinic.location_id, clinic.at("2030-03-05 10:00"))
    made = clinic.do(lambda s, c: booking.book(s, c, wanted))
    return row_of(clinic, made.id)


def row_of(clinic: Clinic, key: UUID) -> Appointment:
    with Session(clinic.engine, expire_on_commit=False) as session:
        return session.scalars(select(Appointment).where(Appointment.id == key)).one()


def without_room(clinic: Clinic, talk: Appointment) -> Offer:
    """The repair for an hour without the only room: the talk moves."""
    found = propose(clinic, somebody(clinic, "consult"), Span(talk.starts_at, talk.ends_at))
    assert outcomes(found) == {talk.id: "moved"}
    return found


def noted(visit: Appointment) -> Callable[[Session, Call], None]:
    """Somebody writes a note, for which neither location nor course is taken."""
    return lambda s, c: notes.change(s, c, visit.id, visit.revision, {"note": "Rings first."})


def test_who_accepts_a_repair_again_finds_it_done(engine: Engine) -> None:
    """Somebody stands in, so the visit itself looks as before."""
    clinic = open_course_clinic(engine)
    other = clinic.staff("therapist")
    talk = a_talk(clinic)
    away = next(key for key in (somebody(clinic, "therapist"), other) if propose(clinic, key, day_of(talk)).lines)
    found = propose(clinic, away, day_of(talk))
    assert outcomes(found) == {talk.id: "kept"}
    again = after(
        clinic,
        lambda s, c: disruptions.accept(s, c, found.token, everything=True),
        lambda: accept(clinic, found.token, everything=True),
    )
    assert (again.done, again.open) == ((), ())
    assert count(clinic, Absence) == 1


def test_a_repair_moves_a_visit_as_it_is_when_a_note_is_written(engine: Engine) -> None:
    clinic = open_course_clinic(engine)
    talk = a_talk(clinic)
    found = without_room(clinic, talk)
    after(clinic, noted(talk), lambda: accept(clinic, found.token, everything=True))
    moved = row_of(clinic, talk.id)
    assert (moved.starts_at, moved.note) == (found.lines[0].to, "Rings first.")


def test_a_re_plan_ends_a_visit_as_it_is_when_a_note_is_written(engine: Engine) -> None:
    running = Running(open_course_clinic(engine))
    dose = running.visit("dose", 4)
    plan = running.propose(Change(dose.id, "cancel"))
    after(running.clinic, noted(dose), lambda: running.accept(plan))
    ended = row_of(running.clinic, dose.id)
    assert (ended.status, ended.note) == ("cancelled", "Rings first.")


def test_a_repair_looks_once_at_who_is_booked_elsewhere_at_the_same_moment(engine: Engine) -> None:
    """At another location, whose lock a repair of this one does not take: people are locked before the look."""
    clinic = open_course_clinic(engine)
    talk = a_talk(clinic)
    found, tries = without_room(clinic, talk), 0

    def work(session: Session, call: Call) -> Accepted:
        nonlocal tries
        tries += 1
        return disruptions.accept(session, call, found.token, everything=True)

    after(clinic, lambda s, c: bump_calendars(s, c, [talk.patient_id]), lambda: clinic.do(work))
    assert tries == 1


def test_whoever_has_a_course_in_hand_finds_its_visits_as_they_were_looked_at(engine: Engine) -> None:
    """A re-plan locks the course and its location; the visit may be at another, so a repair of it waits for the course.

    Else what a re-plan has seen before it locks the visits themselves is over, and the repair is written over.
    """
    running = Running(open_course_clinic(engine))
    clinic, dose = running.clinic, running.visit("dose", 2)
    found = propose(clinic, somebody(clinic, "nurse"), day_of(dose))
    assert outcomes(found)[dose.id] == "moved"

    def still() -> None:
        assert row_of(clinic, dose.id).revision == dose.revision

    after(
        clinic,
        lambda s, c: course_rules.lock(s, c, running.id),
        lambda: accept(clinic, found.token, everything=True),
        still,
    )
    assert row_of(clinic, dose.id).starts_at != dose.starts_at
