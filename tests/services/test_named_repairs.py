"""A visit that was promised a room or somebody by name, and has to move: it keeps that where it can, or is told."""

from __future__ import annotations

import random
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from scheduler.core.errors import NoFeasiblePlan, Refused
from scheduler.core.intervals import Span
from scheduler.models import Appointment, Resource
from scheduler.services import absences, booking
from scheduler.services.course_changes import Change
from scheduler.services.disruptions import Line
from scheduler.services.finding import Wanted
from scheduler.services.pins import Pin, pins_of
from scheduler.services.replanning import Replan
from tests.clinic import Clinic
from tests.coursework import approve, open_course_clinic, protocol
from tests.services.test_disruptions import accept, booked_course, day_of, propose, serving, somebody, visits
from tests.services.test_replanning import Running

CONSULT, BAY = "room:consult", "room:bay"


@pytest.fixture
def clinic(engine: Engine) -> Clinic:
    """Three rooms of each kind, of which the first that was made is taken first."""
    made = open_course_clinic(engine)
    for _ in range(2):
        made.room("bay")
        made.room("consult")
    approve(made, protocol(gap=(2, 2, 5)))
    return made


def rooms(clinic: Clinic, code: str) -> list[UUID]:
    with Session(clinic.engine) as session:
        return list(session.scalars(select(Resource.id).where(Resource.type_code == code).order_by(Resource.id)))


def talk_in(clinic: Clinic, *pins: Pin) -> Appointment:
    asked = Wanted(clinic.patient(), "talk", clinic.location_id, clinic.at("2030-03-06 10:00"), pins=pins)
    return clinic.do(lambda s, c: booking.book(s, c, asked)).row


def repaired(clinic: Clinic, away: UUID, span: Span, visit: Appointment) -> tuple[Line, Appointment]:
    """The visit's line, and the visit once the repair was accepted."""
    found = propose(clinic, away, span)
    accept(clinic, found.token, everything=True)
    [line] = [each for each in found.lines if each.appointment_id == visit.id]
    with Session(clinic.engine) as session:
        return line, session.get_one(Appointment, (clinic.call.organization_id, visit.id))


def test_a_visit_that_moves_keeps_the_room_that_it_was_promised(clinic: Clinic) -> None:
    room = rooms(clinic, "consult")[-1]
    visit = talk_in(clinic, Pin(CONSULT, room))
    line, after = repaired(clinic, somebody(clinic, "therapist"), day_of(visit), visit)
    assert (line.outcome, line.dropped, room in line.people) == ("moved", (), True)
    assert (pins_of(after), room in serving(clinic, visit.id)) == ((Pin(CONSULT, room),), True)
    assert after.starts_at == visit.starts_at + timedelta(days=1), "and no other day is chosen for that"


def test_it_waits_for_the_room_rather_than_have_another(clinic: Clinic) -> None:
    room = rooms(clinic, "consult")[-1]
    visit = talk_in(clinic, Pin(CONSULT, room))
    shut = {"start": clinic.at("2030-03-07 00:00"), "end": clinic.at("2030-03-09 00:00")}
    clinic.do(lambda s, c: absences.create(s, c, resource_id=room, reason="", **shut))
    line, after = repaired(clinic, somebody(clinic, "therapist"), day_of(visit), visit)
    assert (line.outcome, line.dropped, room in line.people) == ("moved", (), True)
    assert after.starts_at == clinic.at("2030-03-05 10:00")


def test_where_it_can_have_the_room_no_more_it_moves_and_that_is_told(clinic: Clinic) -> None:
    room = rooms(clinic, "consult")[-1]
    visit = talk_in(clinic, Pin(CONSULT, room))
    for start, end in (("2030-03-01 08:00", "2030-03-06 09:00"), ("2030-03-06 12:00", "2030-05-01 00:00")):
        shut = {"start": clinic.at(start), "end": clinic.at(end)}
        clinic.do(lambda s, c, shut=shut: absences.create(s, c, resource_id=room, reason="", **shut))  # type: ignore[misc]
    line, after = repaired(clinic, somebody(clinic, "therapist"), day_of(visit), visit)
    assert (line.outcome, line.dropped, room in line.people) == ("moved", (room,), False)
    assert pins_of(after) == ()


def test_who_is_away_is_promised_to_nobody_and_that_is_told(clinic: Clinic) -> None:
    therapist, room = somebody(clinic, "therapist"), rooms(clinic, "consult")[-1]
    visit = talk_in(clinic, Pin("role:therapist", therapist), Pin(CONSULT, room))
    clinic.staff("therapist")
    line, after = repaired(clinic, therapist, day_of(visit), visit)
    assert (line.outcome, line.dropped, room in line.people) == ("kept", (therapist,), True)
    assert (pins_of(after), after.starts_at) == ((Pin(CONSULT, room),), visit.starts_at)


def test_a_session_of_a_course_keeps_its_room_too(clinic: Clinic) -> None:
    booked_course(clinic)
    [_, dose, *_] = visits(clinic, "dose")
    room = rooms(clinic, "bay")[-1]
    pins = (Pin(BAY, room),)
    clinic.do(lambda s, c: booking.reschedule(s, c, dose.id, dose.starts_at, pins=pins))
    line, after = repaired(clinic, somebody(clinic, "nurse"), day_of(dose), dose)
    assert (line.outcome, line.dropped, room in line.people) == ("moved", (), True)
    assert (pins_of(after), room in serving(clinic, dose.id)) == (pins, True)


def test_no_other_session_moves_for_the_room_of_one(clinic: Clinic) -> None:
    booked_course(clinic)
    [_, dose, *_] = visits(clinic, "dose")
    room = rooms(clinic, "bay")[-1]
    clinic.do(lambda s, c: booking.reschedule(s, c, dose.id, dose.starts_at, pins=(Pin(BAY, room),)))
    shut = {"start": day_of(dose).end, "end": day_of(dose).end + timedelta(days=60)}
    clinic.do(lambda s, c: absences.create(s, c, resource_id=room, reason="", **shut))
    shut = {"start": clinic.call.now, "end": day_of(dose).start}
    clinic.do(lambda s, c: absences.create(s, c, resource_id=room, reason="", **shut))
    line, after = repaired(clinic, somebody(clinic, "nurse"), day_of(dose), dose)
    assert (line.outcome, line.dropped, pins_of(after)) == ("moved", (room,), ())


@pytest.mark.parametrize("shut", [False, True])
def test_a_replan_keeps_the_room_where_that_is_free_and_tells_where_it_is_not(clinic: Clinic, *, shut: bool) -> None:
    running = Running(clinic)
    dose, room = running.visit("dose", 2), rooms(clinic, "bay")[-1]
    clinic.do(lambda s, c: booking.reschedule(s, c, dose.id, dose.starts_at, pins=(Pin(BAY, room),)))
    if shut:
        for start, end in ((clinic.call.now, day_of(dose).start), (day_of(dose).end, clinic.later(days=60))):
            away = {"start": start, "end": end}
            clinic.do(lambda s, c, away=away: absences.create(s, c, resource_id=room, reason="", **away))  # type: ignore[misc]
    plan = running.propose(Change(dose.id, "move", dose.starts_at + timedelta(days=1)))
    [moved] = [each for each in plan.moved if each.session_id == running.session_id("dose", 2)]
    assert moved.dropped == ((room,) if shut else ())
    running.accept(plan)
    after = running.visit("dose", 2)
    assert pins_of(after) == (() if shut else (Pin(BAY, room),))
    assert (room in serving(clinic, dose.id)) != shut


@pytest.mark.parametrize("seed", range(3))
def test_no_start_moves_fewer_or_as_few_and_keeps_more_that_was_promised(clinic: Clinic, seed: int) -> None:
    """Against starts all over the days around, each of which the visit could be asked to have instead."""
    rng, running = random.Random(seed), Running(clinic)
    dose, room = running.visit("dose", 2), rooms(clinic, "bay")[-1]
    nurse = somebody(clinic, "nurse")
    clinic.staff("nurse")
    pins = (Pin(BAY, room), Pin("role:nurse", nurse))
    clinic.do(lambda s, c: booking.reschedule(s, c, dose.id, dose.starts_at, pins=pins))
    day = day_of(dose)
    for who in (room, nurse):
        for each in (-2, -1, 1, 2, 3):
            first = dose.starts_at + timedelta(days=each, hours=rng.choice((-12, -2, -1)))
            away = {"start": first, "end": dose.starts_at + timedelta(days=each, hours=rng.choice((1, 2, 12)))}
            clinic.do(lambda s, c, who=who, away=away: absences.create(s, c, resource_id=who, reason="", **away))  # type: ignore[misc]
    [mine] = [_disturbance(running.propose(Change(dose.id, "move")))]
    others = set()
    for hours in range(-24 * 3, 24 * 5, 3):
        start = dose.starts_at.replace(minute=0) + timedelta(hours=hours)
        if not (day.start <= start < day.end) and 12 <= start.hour < 23:
            try:
                plan = running.propose(Change(dose.id, "move", start))
            except (Refused, NoFeasiblePlan):
                continue
            if not plan.broken:
                others.add(_disturbance(plan))
    assert len(others) > 1
    assert mine <= min(others)


def _disturbance(plan: Replan) -> tuple[int, int]:
    """How many visits move, and how many promises are lost by it."""
    return len(plan.moved), sum(len(each.dropped) for each in plan.moved)
