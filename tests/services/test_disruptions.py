"""Somebody falls ill, a room cannot be used: the joint repair, its stages, and what becomes of whom it cannot help."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from functools import partial
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.civil import to_local
from scheduler.core.errors import Invalid, NotFound, PlanStale
from scheduler.core.intervals import Span
from scheduler.models import Absence, Appointment, Disruption, Message, Occupancy, Resource, Task, new_id
from scheduler.services import booking, calendars, disruptions
from scheduler.services.consequences import AFFECTED
from scheduler.services.disruptions import Accepted, Offer, scene
from scheduler.services.finding import Wanted
from scheduler.services.pins import Pin
from tests.clinic import Clinic
from tests.coursework import accept as book
from tests.coursework import approve, course, offer, open_course_clinic, protocol
from tests.desk import count
from tests.plumbing.lock_order import watching


@pytest.fixture
def clinic(engine: Engine) -> Clinic:
    made = open_course_clinic(engine)
    approve(made, protocol(gap=(2, 2, 5)))
    return made


def booked_course(clinic: Clinic) -> UUID:
    made = course(clinic)
    [best] = offer(clinic, made.id)
    book(clinic, made.id, best.token)
    return made.id


def visits(clinic: Clinic, code: str | None = None) -> list[Appointment]:
    with Session(clinic.engine, expire_on_commit=False) as session:
        wanted = select(Appointment).where(Appointment.organization_id == clinic.call.organization_id)
        rows = session.scalars(wanted.order_by(Appointment.starts_at)).all()
    return [row for row in rows if code in {None, row.visit_type}]


def day_of(visit: Appointment) -> Span:
    start = visit.starts_at.replace(hour=0, minute=0)
    return Span(start, start + timedelta(days=1))


def somebody(clinic: Clinic, name: str) -> UUID:
    with Session(clinic.engine) as session:
        wanted = select(Resource.id).where(Resource.organization_id == clinic.call.organization_id)
        return session.scalars(wanted.where(Resource.name == name).order_by(Resource.id)).first() or new_id()


def propose(clinic: Clinic, resource_id: UUID, span: Span, reason: str = "ill") -> Offer:
    return clinic.do(lambda s, c: disruptions.offer(s, c, resource_id, span.start, span.end, reason))


def accept(clinic: Clinic, token: UUID, ids: Collection[UUID] = (), *, everything: bool = False) -> Accepted:
    return clinic.do(lambda s, c: disruptions.accept(s, c, token, appointment_ids=ids, everything=everything))


def serving(clinic: Clinic, visit_id: UUID) -> set[UUID]:
    with Session(clinic.engine) as session:
        return set(session.scalars(select(Occupancy.resource_id).where(Occupancy.appointment_id == visit_id)))


def open_tasks(clinic: Clinic) -> set[UUID | None]:
    """The visits for which somebody still has to find a way."""
    with Session(clinic.engine) as session:
        wanted = select(Task.appointment_id).where(Task.kind == AFFECTED, Task.status == "open")
        return set(session.scalars(wanted))


def outcomes(found: Offer) -> dict[UUID, str]:
    return {line.appointment_id: line.outcome for line in found.lines}


def test_whoever_can_stand_in_at_the_same_time_does_and_nobody_is_told(clinic: Clinic) -> None:
    booked_course(clinic)
    second = clinic.staff("nurse")
    nurse = next(key for key in serving(clinic, visits(clinic, "dose")[0].id) if key == somebody(clinic, "nurse"))
    dose, before = visits(clinic, "dose")[1], count(clinic, Message)
    found = propose(clinic, nurse, day_of(dose))
    assert outcomes(found) == {dose.id: "kept"}
    assert (count(clinic, Absence), serving(clinic, dose.id) >= {nurse}) == (0, True), "an offer writes nothing"
    done = accept(clinic, found.token, everything=True)
    assert (len(done.done), done.open) == (1, ())
    assert second in serving(clinic, dose.id)
    assert nurse not in serving(clinic, dose.id)
    assert (count(clinic, Absence), count(clinic, Message), open_tasks(clinic)) == (1, before, set())


def test_where_nobody_stands_in_the_course_moves_least_and_keeps_its_gaps(clinic: Clinic) -> None:
    booked_course(clinic)
    dose, stood = visits(clinic, "dose")[1], {row.id: row.starts_at for row in visits(clinic)}
    found = propose(clinic, somebody(clinic, "nurse"), day_of(dose))
    assert outcomes(found)[dose.id] == "moved"
    assert {line.appointment_id for line in found.lines if line.struck} == {dose.id}
    with Session(clinic.engine) as session:
        before = set(session.scalars(select(Message.id)))
    accept(clinic, found.token, everything=True)
    days = [to_local(row.starts_at, clinic.time_zone).date() for row in visits(clinic, "dose")]
    assert all(2 <= (later - earlier).days <= 5 for earlier, later in pairwise(days))
    for given, talk in zip(visits(clinic, "dose"), visits(clinic, "talk"), strict=True):
        assert timedelta(hours=24) <= talk.starts_at - given.ends_at <= timedelta(hours=72)
    moved = {row.id for row in visits(clinic) if row.starts_at != stood[row.id]}
    assert moved == {line.appointment_id for line in found.lines if line.outcome == "moved"}
    assert not any(day_of(dose).start <= row.starts_at < day_of(dose).end for row in visits(clinic, "dose"))
    with Session(clinic.engine) as session:
        told = session.scalars(select(Message).order_by(Message.id)).all()
    news = [
        each
        for each in told
        if each.id not in before and each.rule in {"rescheduled", "course_booked", "course_changed"}
    ]
    assert len(news) == 1, "one message for the whole change"


def test_what_cannot_be_helped_is_broken_and_becomes_a_task_with_the_first_acceptance(clinic: Clinic) -> None:
    booked_course(clinic)
    nurse, doses = somebody(clinic, "nurse"), visits(clinic, "dose")
    ever = Span(clinic.call.now, clinic.call.now + timedelta(days=500))
    found = propose(clinic, nurse, ever)
    assert outcomes(found) == {dose.id: "broken" for dose in doses}
    with pytest.raises(Invalid) as refused:
        accept(clinic, found.token, [doses[0].id, new_id()])
    assert [fault.code for fault in refused.value.faults] == ["no_way", "not_in_the_repair"]
    assert count(clinic, Absence) == 0
    accept(clinic, found.token, everything=True)
    assert open_tasks(clinic) == {dose.id for dose in doses}


def test_a_visit_outside_courses_goes_to_the_nearest_free_time(clinic: Clinic) -> None:
    wanted = Wanted(clinic.patient(), "talk", clinic.location_id, clinic.at("2030-03-05 10:00"))
    made = clinic.do(lambda s, c: booking.book(s, c, wanted))
    away = Span(clinic.at("2030-03-05 09:00"), clinic.at("2030-03-05 11:00"))
    found = propose(clinic, somebody(clinic, "consult"), away, "The ceiling leaks.")
    [line] = found.lines
    assert (line.appointment_id, line.outcome, line.to) == (made.id, "moved", clinic.at("2030-03-05 11:00"))
    accept(clinic, found.token, everything=True)
    assert [(row.starts_at, row.sequence) for row in visits(clinic)] == [(line.to, 1)]


def test_each_patient_keeps_what_else_is_booked_for_them_and_everybody_else_is_read_once(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    patients = [clinic.patient() for _ in range(3)]
    for patient, hour in zip(patients, (9, 10, 11), strict=True):
        wanted = Wanted(patient, "talk", clinic.location_id, clinic.at(f"2030-03-05 {hour:02}:00"))
        clinic.do(partial(booking.book, wanted=wanted))
    # Twelve is the nearest time for the second, but this patient is here then.
    later = Wanted(patients[1], "dose", clinic.location_id, clinic.at("2030-03-05 12:30"))
    clinic.do(partial(booking.book, wanted=later))
    looks: list[Any] = []
    monkeypatch.setattr(
        scene, "load", lambda *args, **asked: looks.append(asked["only"]) or calendars.load(*args, **asked)
    )
    away = Span(clinic.at("2030-03-05 09:00"), clinic.at("2030-03-05 12:00"))
    found = propose(clinic, somebody(clinic, "consult"), away, "The ceiling leaks.")
    [dose] = visits(clinic, "dose")
    to = {line.patient_id: line.to for line in found.lines if line.struck and line.to}
    assert to.keys() == set(patients)
    assert to[patients[1]] >= dose.ends_at
    assert looks == [None, frozenset(), frozenset()]
    assert len(accept(clinic, found.token, everything=True).done) == len(patients)


def test_stages_leave_the_rest_and_the_same_token_goes_on(clinic: Clinic) -> None:
    clinic.staff("therapist")
    clinic.room("consult")
    times = [clinic.at("2030-03-05 09:00"), clinic.at("2030-03-05 13:00")]
    wanted = [Wanted(clinic.patient(), "talk", clinic.location_id, start) for start in times]
    first, second = (clinic.do(partial(booking.book, wanted=each)) for each in wanted)
    found = propose(clinic, somebody(clinic, "therapist"), day_of(visits(clinic)[0]))
    struck = [line.appointment_id for line in found.lines]
    assert set(struck) <= {first.id, second.id}
    done = accept(clinic, found.token, struck[:1])
    assert [line.appointment_id for line in done.open] == struck[1:]
    assert open_tasks(clinic) == set(struck[1:])
    done = accept(clinic, found.token, everything=True)
    assert done.open == ()
    assert open_tasks(clinic) == set()
    assert count(clinic, Absence) == 1


def test_a_stage_that_no_longer_fits_changes_nothing_and_can_be_made_anew(clinic: Clinic) -> None:
    booked_course(clinic)
    dose = visits(clinic, "dose")[1]
    found = propose(clinic, somebody(clinic, "nurse"), day_of(dose))
    line = next(each for each in found.lines if each.appointment_id == dose.id)
    before = {row.id: (row.starts_at, row.revision) for row in visits(clinic)}
    clinic.room("bay")
    clinic.staff("prescriber")
    other = Wanted(clinic.patient(), "dose", clinic.location_id, line.to or line.start)
    clinic.do(lambda s, c: booking.book(s, c, other))
    with pytest.raises(PlanStale):
        accept(clinic, found.token, everything=True)
    assert {row.id: (row.starts_at, row.revision) for row in visits(clinic) if row.id in before} == before
    assert count(clinic, Absence) == 0
    fresh = clinic.do(lambda s, c: disruptions.anew(s, c, found.token))
    assert accept(clinic, fresh.token, everything=True).open == ()


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
def test_whoever_stands_in_instead_is_locked_before_the_look(clinic: Clinic) -> None:
    """The stand-in of the repair was booked by another meanwhile: a third one serves, in one go and in order."""
    for _ in range(2):
        clinic.staff("therapist")
        clinic.room("consult")
    start = clinic.at("2030-03-05 09:00")
    mine = Wanted(clinic.patient(), "talk", clinic.location_id, start)
    visit = clinic.do(lambda s, c: booking.book(s, c, mine))
    therapist = next(each.resource_id for each in visit.participants if each.role == "therapist")
    found = propose(clinic, therapist, day_of(visits(clinic)[0]))
    [line] = found.lines
    assert line.outcome == "kept"
    taken = next(each for each in line.people if each in therapists(clinic))
    rival = Wanted(clinic.patient(), "talk", clinic.location_id, start, pins=(Pin("role:therapist", taken),))
    clinic.do(lambda s, c: booking.book(s, c, rival))
    tries = 0

    def work(session: Session, call: Call) -> Accepted:
        nonlocal tries
        tries += 1
        return disruptions.accept(session, call, found.token, everything=True)

    with watching(clinic.engine) as watch:
        assert clinic.do(work).open == ()
    assert (tries, watch.faults) == (1, [])
    assert serving(clinic, visit.id) & therapists(clinic) == therapists(clinic) - {therapist, taken}


def therapists(clinic: Clinic) -> set[UUID]:
    with Session(clinic.engine) as session:
        return set(session.scalars(select(Resource.id).where(Resource.name == "therapist")))


def test_every_struck_visit_has_one_line_and_none_is_served_by_who_is_away(clinic: Clinic) -> None:
    for _ in range(3):
        booked_course(clinic)
    clinic.staff("nurse", hours=[{"weekday": "wed", "start": "08:00", "end": "18:00"}])
    nurse = somebody(clinic, "nurse")
    span = Span(clinic.at("2030-03-05 00:00"), clinic.at("2030-03-12 00:00"))
    struck = {
        row.id
        for row in visits(clinic)
        if nurse in serving(clinic, row.id) and span.start < row.ends_at and row.starts_at < span.end
    }
    found = propose(clinic, nurse, span)
    assert len(struck) > 3
    assert sorted(line.appointment_id for line in found.lines if line.struck) == sorted(struck)
    assert len({line.appointment_id for line in found.lines}) == len(found.lines)
    accept(clinic, found.token, everything=True)
    left = {line.appointment_id for line in found.lines if line.outcome == "broken"}
    for row in visits(clinic):
        if row.id not in left and span.start < row.ends_at and row.starts_at < span.end:
            assert nurse not in serving(clinic, row.id)


def test_an_offer_is_known_by_its_token_for_a_day(clinic: Clinic) -> None:
    found = propose(
        clinic, somebody(clinic, "nurse"), Span(clinic.at("2030-03-05 09:00"), clinic.at("2030-03-06 09:00"))
    )
    assert found.lines == ()
    with pytest.raises(NotFound):
        accept(clinic, new_id(), everything=True)
    with pytest.raises(NotFound):
        clinic.do(
            lambda s, c: disruptions.accept(s, c, found.token, everything=True), now=clinic.later(days=1, seconds=1)
        )
    with pytest.raises(NotFound):
        propose(clinic, new_id(), found.span)
    with pytest.raises(Invalid):
        clinic.do(lambda s, c: disruptions.offer(s, c, found.resource_id, found.span.end, found.span.start, ""))


def test_a_patient_is_told_once_of_all_that_changes(clinic: Clinic) -> None:
    """Of two courses, and of a visit outside of them."""
    patient = clinic.patient()
    for _ in range(2):
        made = course(clinic, patient)
        [best] = offer(clinic, made.id)
        book(clinic, made.id, best.token)
    nurse = somebody(clinic, "nurse")
    days = sorted(visits(clinic, "dose"), key=lambda row: row.starts_at)[2:4]
    span = Span(day_of(days[0]).start, day_of(days[1]).end)
    found = propose(clinic, nurse, span)
    moving = {line.course_id for line in found.lines if line.outcome == "moved"}
    assert len(moving) == 2
    with Session(clinic.engine) as session:
        before = set(session.scalars(select(Message.id)))
    accept(clinic, found.token, everything=True)
    with Session(clinic.engine) as session:
        wanted = select(Message).where(Message.kind == "course_changed", Message.channel == "email")
        told = [each for each in session.scalars(wanted) if each.id not in before]
        alone = list(session.scalars(select(Message).where(Message.kind == "rescheduled")))
    assert (len(told), alone) == (1, [])
    moved = {str(line.appointment_id) for line in found.lines if line.outcome == "moved"}
    assert {entry["id"] for entry in told[0].context["visits"]} == moved


def test_a_repair_that_breaks_a_rule_is_seen_before_it_is_carried_out(clinic: Clinic) -> None:
    """Whatever it was that made it: here somebody has tampered with what is stored."""
    booked_course(clinic)
    dose = visits(clinic, "dose")[1]
    found = propose(clinic, somebody(clinic, "nurse"), day_of(dose))
    far = found.lines[-1].start + timedelta(days=14)
    with Session(clinic.engine) as session, session.begin():
        row = session.scalars(select(Disruption)).one()
        lines = [line | {"to": far.isoformat()} if line["outcome"] == "moved" else line for line in row.body["lines"]]
        row.body = {"lines": [lines[-1]]}
    with pytest.raises(PlanStale, match="no longer keeps the rules"):
        accept(clinic, found.token, everything=True)
    assert count(clinic, Absence) == 0


def test_a_room_that_is_closed_is_none_of_those_that_may_be_changed_for_another(clinic: Clinic) -> None:
    """The other two are free in turn: who sits in one of them changes over, and nobody is sent into the closed one."""
    for _ in range(2):
        clinic.staff("therapist")
        clinic.room("consult")

    def talk(start: str) -> Appointment:
        wanted = Wanted(clinic.patient(), "talk", clinic.location_id, clinic.at(f"2030-03-05 {start}"))
        key = clinic.do(lambda s, c: booking.book(s, c, wanted)).id
        return next(row for row in visits(clinic) if row.id == key)

    struck, _, between = talk("10:30"), talk("10:00"), talk("11:00")
    talk("11:00")
    clinic.do(lambda s, c: booking.cancel(s, c, between.id, reason="ill", by="patient"))
    [room] = serving(clinic, struck.id) & rooms(clinic)
    found = propose(clinic, room, day_of(struck), "A pipe has burst.")
    [line] = found.lines
    assert (line.outcome, line.to, room in line.people) == ("kept", struck.starts_at, False)
    accept(clinic, found.token, everything=True)
    assert room not in serving(clinic, struck.id)


def rooms(clinic: Clinic) -> set[UUID]:
    with Session(clinic.engine) as session:
        return set(session.scalars(select(Resource.id).where(Resource.kind == "room")))
