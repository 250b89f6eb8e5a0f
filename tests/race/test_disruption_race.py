"""A repair is accepted while the same people are booked by others: never twice, never in part, no deadlock."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier, Thread
from uuid import UUID

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.errors import LostRace, PlanStale, Refused
from scheduler.core.intervals import Span
from scheduler.models import Absence, Appointment, Occupancy, Resource
from scheduler.services import appointments, booking, disruptions, groups
from scheduler.services.appointments import AppointmentView
from scheduler.services.disruptions import Offer, accepting
from scheduler.services.finding import Wanted
from scheduler.services.pins import Pin
from tests.clinic import Clinic, week
from tests.coursework import TALK, open_course_clinic
from tests.desk import book, count, wanted
from tests.race.test_kept_time import Job, at_once
from tests.services.test_plans_join_groups import FIRST, join, sound, with_circles

VISITS, RIVALS = 4, 4


@pytest.mark.slow
def test_acceptance_against_bookings_of_the_same_times(engine: Engine) -> None:
    clinic = open_course_clinic(engine)
    clinic.staff("therapist")
    clinic.room("consult")
    starts = [clinic.at("2030-03-05 09:00") + timedelta(hours=2 * place) for place in range(VISITS)]
    mine = [Wanted(clinic.patient(), str(TALK["code"]), clinic.location_id, start) for start in starts]
    ids = [clinic.do(lambda s, c, each=each: booking.book(s, c, each)).id for each in mine]
    with Session(engine) as session:
        room = session.scalars(
            select(Occupancy.resource_id).where(Occupancy.appointment_id == ids[0], Occupancy.role == "room:consult")
        ).one()
    day = Span(clinic.at("2030-03-05 00:00"), clinic.at("2030-03-06 00:00"))
    found = clinic.do(lambda s, c: disruptions.offer(s, c, room, day.start, day.end, "leak"))
    rivals = [Wanted(clinic.patient(), str(TALK["code"]), clinic.location_id, start) for start in starts[:RIVALS]]
    together, told = Barrier(RIVALS + 1), Counter[str]()

    def rival(asked: Wanted) -> None:
        together.wait()
        try:
            clinic.do(lambda s, c: booking.book(s, c, asked))
            told["booked"] += 1
        except (Refused, LostRace):
            told["refused"] += 1

    def accept() -> None:
        together.wait()
        try:
            clinic.do(lambda s, c: disruptions.accept(s, c, found.token, everything=True))
            told["accepted"] += 1
        except PlanStale:
            told["stale"] += 1

    with ThreadPoolExecutor(RIVALS + 1) as pool:
        for each in [pool.submit(accept), *(pool.submit(rival, each) for each in rivals)]:
            each.result()
    assert told["accepted"] + told["stale"] == 1
    assert told["booked"] + told["refused"] == RIVALS
    with Session(engine) as session:
        rows = session.scalars(select(Appointment).where(Appointment.id.in_(ids))).all()
        taken = session.execute(
            select(Occupancy.resource_id, Occupancy.starts_at, Occupancy.ends_at).where(Occupancy.blocking)
        ).all()
    assert len({(key, start) for key, start, _ in taken}) == len(taken)
    if told["accepted"]:
        assert count(clinic, Absence) == 1
        assert not [key for key, start, end in taken if key == room and start < day.end and day.start < end]
    else:
        assert {row.revision for row in rows} == {1}
        assert count(clinic, Absence) == 0


def one_circle(engine: Engine) -> tuple[Clinic, list[AppointmentView], UUID]:
    """A group of two with a room, its therapist, and another one who is free; and the therapist's talk before it."""
    clinic = with_circles(engine, 1, 1, week("09:00", "11:15", ("wed",)))
    who = clinic.do(lambda s, _: s.scalars(select(Resource.id).where(Resource.name == "therapist")).one())
    book(clinic, clinic.patient(), "talk", "2030-03-06 09:00")
    group = [join(clinic), join(clinic)]
    clinic.staff("therapist", hours=week("09:00", "11:15", ("wed",)))
    return clinic, group, who


def rescued(clinic: Clinic, who: UUID) -> Offer:
    day = Span(clinic.at("2030-03-06 00:00"), clinic.at("2030-03-07 00:00"))
    return clinic.do(lambda s, c: disruptions.offer(s, c, who, day.start, day.end, "ill"))


def alike(clinic: Clinic) -> set[frozenset[UUID]]:
    """Who serves the visits of groups that are to come, each."""
    wanted = select(Appointment.id).where(Appointment.group_id.is_not(None), Appointment.status == "booked")

    def work(session: Session, call: Call) -> set[frozenset[UUID]]:
        views = [appointments.get(session, call, key) for key in session.scalars(wanted)]
        return {frozenset(each.resource_id for each in view.participants) for view in views}

    return clinic.do(work)


@pytest.mark.parametrize("turn", range(3))
def test_a_group_is_served_anew_while_others_join_it_leave_it_and_want_who_stands_in(engine: Engine, turn: int) -> None:
    clinic, group, who = one_circle(engine)
    found = rescued(clinic, who)
    [now_serving] = alike(clinic)
    [stands_in] = set(found.lines[-1].people) - now_serving
    by_hand = wanted(clinic, clinic.patient(), "talk", FIRST, pins=(Pin("role:therapist", stands_in),))
    another = wanted(clinic, clinic.patient(), "circle", FIRST)
    jobs: list[tuple[Job, dict[str, object]]] = [
        (lambda s, c: disruptions.accept(s, c, found.token, everything=True), {}),
        (lambda s, c: booking.cancel(s, c, group[0].id, reason="ill", by="patient"), {}),
        (lambda s, c: booking.book(s, c, another), {}),
        (lambda s, c: booking.book(s, c, by_hand), {}),
    ]
    results = at_once(clinic, jobs[: 2 + turn])
    assert isinstance(results[0], disruptions.Accepted | PlanStale), results[0]
    [people] = alike(clinic)
    assert (who in people) == isinstance(results[0], PlanStale)
    assert count(clinic, Absence) == int(who not in people)
    sound(clinic)


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
@pytest.mark.parametrize("locked", [True, False])
def test_who_carries_a_group_leaves_it_just_as_others_are_about_to_serve_it(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, *, locked: bool
) -> None:
    """What the locks of an acceptance are worth: without them a group is left without anybody."""
    clinic, group, who = one_circle(engine)
    found = rescued(clinic, who)
    talk = next(line.appointment_id for line in found.lines if line.group_id is None)
    clinic.do(lambda s, c: disruptions.accept(s, c, found.token, appointment_ids=[talk]))
    take, left = accepting.take_for, list[Thread]()

    def leave_group() -> None:
        clinic.do(lambda s, c: booking.cancel(s, c, group[0].id, reason="ill", by="patient"))

    def take_meanwhile(*given: object) -> None:
        left.append(Thread(target=leave_group))
        left[0].start()
        left[0].join(None if not locked else 0.3)
        assert left[0].is_alive() is locked
        if locked:
            take(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(accepting, "take_for", take_meanwhile)
    if not locked:
        for name in ("lock_locations", "lock_resources", "lock_row"):
            monkeypatch.setattr(accepting, name, unlocked)
        monkeypatch.setattr(groups, "lock_of", lambda *_: None)
    clinic.do(lambda s, c: disruptions.accept(s, c, found.token, everything=True))
    left[0].join()
    [people] = alike(clinic)
    assert (len(people), who in people) == ((2, False) if locked else (0, False))
    if locked:
        sound(clinic)


def unlocked(session: Session, call: Call, table: object, key: object = None, **_: object) -> Appointment | None:
    """A row as it is, whoever changes it."""
    return session.get(Appointment, (call.organization_id, key)) if table is Appointment else None
