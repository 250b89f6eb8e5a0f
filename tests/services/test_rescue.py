"""The search for a repair: never worse than one course after the other, better where it has rounds, and true."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from uuid import UUID

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from scheduler.core.civil import to_local
from scheduler.core.errors import Invalid
from scheduler.core.intervals import Span
from scheduler.models import Appointment, Resource
from scheduler.services import absences, booking, disruptions
from scheduler.services.disruptions import Search, Total
from scheduler.services.finding import Wanted
from scheduler.services.pins import Pin
from tests.clinic import Clinic, need, segment, visit_type, week
from tests.coursework import accept as book
from tests.coursework import approve, course, offer, open_course_clinic, protocol
from tests.services.test_disruptions import accept, day_of, propose, serving, somebody, therapists, visits
from tests.services.test_plans_join_groups import join, sound, with_circles

pytestmark = pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)


@pytest.fixture
def clinic(engine: Engine) -> Clinic:
    made = open_course_clinic(engine)
    approve(made, protocol(1))
    return made


def booked(clinic: Clinic, code: str = "trial", **preferences: object) -> UUID:
    made = course(clinic, code=code, **preferences)
    book(clinic, made.id, offer(clinic, made.id)[0].token)
    return made.id


def away(clinic: Clinic, resource_id: UUID, start: str, end: str) -> None:
    span = {"start": clinic.at(start), "end": clinic.at(end)}
    clinic.do(lambda s, c: absences.create(s, c, resource_id=resource_id, reason="", **span))


def searched(clinic: Clinic, resource_id: UUID, span: Span, rounds: int = 30, now: str = "2030-03-04 08:00") -> Search:
    asked = {"rounds": rounds, "seed": 3}
    search = clinic.do(lambda s, c: disruptions.begin(s, c, resource_id, span, **asked), now=clinic.at(now))
    for _ in search.steps():
        pass
    return search


def rivals(clinic: Clinic) -> tuple[UUID, Span]:
    """The therapist is away on the day of two talks; afterwards two hours are free, and the second patient can come at
    one of them alone, which is nearest for the first."""
    for role in ("nurse", "prescriber"):
        clinic.staff(role)
    clinic.room("bay")
    clinic.room("consult")
    therapist = somebody(clinic, "therapist")
    away(clinic, therapist, "2030-03-06 00:00", "2030-03-07 00:00")
    for start, end in (("00:00", "10:00"), ("11:00", "13:00"), ("14:00", "23:00")):
        away(clinic, therapist, f"2030-03-08 {start}", f"2030-03-08 {end}")
    booked(clinic, wishes={"earliest": "12:00", "until": "14:00"})
    booked(clinic, earliest="13:00", latest="13:00")
    talk = visits(clinic, "talk")[0]
    return therapist, day_of(talk)


@pytest.mark.parametrize(
    ("now", "before", "after"),
    [("2030-03-04 08:00", (0, 3, 8), (0, 2, 2)), ("2030-03-06 08:00", (1, 1, 1), (0, 2, 2))],
    ids=["a dose would move too", "the dose was given"],
)
def test_whoever_took_the_only_time_of_another_makes_way(
    clinic: Clinic, now: str, before: tuple[int, int, int], after: tuple[int, int, int]
) -> None:
    therapist, span = rivals(clinic)
    first = searched(clinic, therapist, span, 0, now)
    assert [told(each) for each in (first.total, first.one_by_one, first.alone)] == [before, before, after]
    better = searched(clinic, therapist, span, 30, now)
    assert [told(each) for each in (better.total, better.one_by_one)] == [after, before]
    assert better.made < 30, "nothing better is to be had, and it ends"
    kept = clinic.do(lambda s, c: disruptions.keep(s, c, therapist, span, "", better.lines), now=clinic.at(now))
    assert clinic.do(lambda s, c: disruptions.accept(s, c, kept.token, everything=True), now=clinic.at(now)).open == ()


def told(total: Total) -> tuple[int, int, int]:
    """Visits lost, visits moved, days by which they move."""
    return total.lost, total.moved, total.days


def test_a_course_of_which_not_all_can_be_served_keeps_what_can(clinic: Clinic) -> None:
    """The second dose has no time left near enough to the first, and the third keeps its gap to where that was."""
    approve(clinic, protocol(3) | {"code": "longer"})
    made = course(clinic, code="longer")
    book(clinic, made.id, offer(clinic, made.id)[0].token)
    doses = visits(clinic, "dose")
    span = Span(day_of(doses[1]).start, day_of(doses[1]).start + timedelta(days=5))
    given = to_local(doses[0].ends_at, clinic.time_zone).strftime("%Y-%m-%d %H:%M")
    search = searched(clinic, somebody(clinic, "nurse"), span, 5, given)
    found = {line.appointment_id: line.outcome for line in search.lines if line.struck}
    assert found == {doses[1].id: "broken", doses[2].id: "moved"}
    assert search.total.lost == search.alone.lost == 1


def test_a_visit_that_goes_where_another_stands_waits_for_it(clinic: Clinic) -> None:
    """Alone it is refused, and says who stands there; once that one has gone it goes, by the same token."""
    clinic.visit(visit_type("check", segment("check", 55, need("role:watcher"), need("room:consult"))))
    both = clinic.staff("therapist", "watcher", hours=week())
    away(clinic, somebody(clinic, "therapist"), "2030-03-04 00:00", "2030-04-30 00:00")
    one, other = (single(clinic, *each) for each in (("talk", "2030-03-05 09:00"), ("check", "2030-03-05 10:00")))
    clinic.staff("therapist", hours=[{"weekday": "tue", "start": "10:00", "end": "11:00"}])
    span = Span(clinic.at("2030-03-05 00:00"), clinic.at("2030-03-06 00:00"))
    search = searched(clinic, both, span)
    assert {line.appointment_id: line.after for line in search.lines} == {one: (other,), other: ()}
    assert {line.to for line in search.lines} == {clinic.at("2030-03-05 10:00"), clinic.at("2030-03-06 10:00")}
    kept = clinic.do(lambda s, c: disruptions.keep(s, c, both, span, "", search.lines))
    with pytest.raises(Invalid) as refused:
        accept(clinic, kept.token, [one])
    [fault] = refused.value.faults
    assert (fault.pointer, fault.code) == ("/appointment_ids/0", "stands_there")
    assert str(other) in fault.detail
    assert [line.appointment_id for line in accept(clinic, kept.token, [other]).open] == [one]
    assert accept(clinic, kept.token, [one]).open == ()


def test_a_room_that_a_visit_was_promised_is_not_counted_on_for_another(clinic: Clinic) -> None:
    """A course's first talk, which could make room for its second, has the bay in which another visit would fit."""
    approve(clinic, talks("loose", 5))
    clinic.visit(visit_type("sit", segment("sit", 60, need("room:consult"))))
    for _ in range(2):
        clinic.room("consult")
        clinic.staff("therapist")
    with Session(clinic.engine) as session:
        wanted = select(Resource.id).where(Resource.type_code == "consult").order_by(Resource.id)
        promised, taken, closed = session.scalars(wanted).all()
    course_id = booked(clinic, code="loose")
    first, second = (row for row in visits(clinic) if row.course_id == course_id)
    put_into(clinic, first, promised)
    put_into(clinic, second, closed)
    sit(clinic, first.ends_at, taken)
    struck = sit(clinic, first.starts_at + timedelta(minutes=30), closed)
    found = propose(clinic, closed, Span(day_of(first).start, day_of(second).end))
    [line] = [line for line in found.lines if line.appointment_id == struck]
    assert line.outcome == "moved"
    assert accept(clinic, found.token, everything=True).open == ()


def put_into(clinic: Clinic, row: Appointment, room: UUID) -> None:
    pins = (Pin("room:consult", room),)
    clinic.do(lambda s, c: booking.reschedule(s, c, row.id, row.starts_at, pins=pins))


def sit(clinic: Clinic, start: datetime, room: UUID) -> UUID:
    asked = Wanted(clinic.patient(), "sit", clinic.location_id, start, pins=(Pin("room:consult", room),))
    return clinic.do(lambda s, c: booking.book(s, c, asked)).id


def single(clinic: Clinic, code: str, start: str) -> UUID:
    wanted = Wanted(clinic.patient(), code, clinic.location_id, clinic.at(start))
    return clinic.do(lambda s, c: booking.book(s, c, wanted)).id


def test_where_a_visit_stands_after_the_absence_nobody_else_is_sent(clinic: Clinic) -> None:
    """A course's first talk is struck, its second stands: whoever is back has that hour no more for another talk."""
    approve(clinic, talks("loose", 5))
    therapist = somebody(clinic, "therapist")
    clinic.room("consult")
    hours = [("03-05 13:00", "03-05 14:00"), ("03-06 13:00", "03-06 15:00"), ("03-08 13:00", "03-08 14:00")]
    hours.append(("03-11 13:00", "03-11 14:00"))
    for (_, gone), (back, _) in pairwise([("", "03-04 00:00"), *hours, ("04-30 00:00", "")]):
        away(clinic, therapist, f"2030-{gone}", f"2030-{back}")
    meanwhile = single(clinic, "talk", "2030-03-05 13:00")
    kept = booked(clinic, code="loose")
    other = single(clinic, "talk", "2030-03-06 14:00")
    assert [row.starts_at for row in visits(clinic) if row.course_id == kept] == [
        clinic.at(f"2030-{day} 13:00") for day in ("03-06", "03-08")
    ]
    clinic.do(lambda s, c: booking.cancel(s, c, meanwhile, reason="ill", by="patient"))
    lines = searched(clinic, therapist, Span(clinic.at("2030-03-06 00:00"), clinic.at("2030-03-07 00:00"))).lines
    assert {line.course_id: line.to for line in lines} == {
        kept: clinic.at("2030-03-05 13:00"),
        None: clinic.at("2030-03-11 13:00"),
    }
    assert {line.appointment_id for line in lines if line.course_id is None} == {other}


def test_whoever_stays_has_somebody_else_where_theirs_was_given_to_another(clinic: Clinic) -> None:
    """While a course is looked at anew, another visit may have come to where one of its visits stands."""
    approve(clinic, talks("loose", 5))
    clinic.staff("therapist")
    clinic.room("consult")
    course_id = booked(clinic, code="loose")
    struck, stands = (row for row in visits(clinic) if row.course_id == course_id)
    [therapist] = therapists(clinic) & serving(clinic, struck.id)
    search = searched(clinic, therapist, day_of(struck), 0)
    repair = search._repair
    assert repair is not None
    assert repair.displaced(course_id) is None
    repair.lift(course_id)
    theirs = [each for each in repair.scene.takings[stands.id] if each.resource_id in therapists(clinic)]
    repair.scene.scratch.put("another", theirs)
    search._settle(course_id)
    line = repair.lines[stands.id]
    assert (line.outcome, line.to, line.struck) == ("kept", stands.starts_at, False)
    assert not {each.resource_id for each in theirs} & set(line.people)


@pytest.mark.parametrize("first", ["loose", "tight"], ids=["the loose one is earlier", "the tight one is earlier"])
def test_the_only_place_goes_to_whoever_is_nearest_to_breaking_its_longest_gap(clinic: Clinic, first: str) -> None:
    """Two talks of Wednesday, one free hour on Thursday: a day later is the last that the tight course has."""
    for code, most in (("loose", 5), ("tight", 3)):
        approve(clinic, talks(code, most))
    therapist = somebody(clinic, "therapist")
    away(clinic, therapist, "2030-03-07 00:00", "2030-03-07 13:00")
    away(clinic, therapist, "2030-03-07 14:00", "2031-12-01 00:00")
    courses = {code: booked(clinic, code=code) for code in sorted(("loose", "tight"), key=lambda code: code != first)}
    wednesday = Span(clinic.at("2030-03-06 00:00"), clinic.at("2030-03-07 00:00"))
    lines = searched(clinic, therapist, wednesday, 0).lines
    assert [line.course_id for line in lines] == list(courses.values()), "by their starts"
    assert {line.course_id: line.to for line in lines} == {
        courses["tight"]: clinic.at("2030-03-07 13:00"),
        courses["loose"]: None,
    }


def talks(code: str, most: int) -> dict[str, object]:
    """Two talks, two days apart, at most so many."""
    gap = {"unit": "days", "min": 2, "target": 2, "max": most}
    step = {"key": "talk", "visit_type": "talk", "count": 2, "gap": gap}
    return {"code": code, "name": code, "modality": "none", "phases": [{"key": "all", "steps": [step]}]}


def test_a_single_visit_leaves_its_stand_in_to_a_group(engine: Engine) -> None:
    """Who stands in needs a quarter of an hour after each, and the single visit comes first: it can move instead."""
    hours = week("09:00", "11:15", ("wed",))
    clinic = with_circles(engine, 1, 1, hours)
    alone, who = single(clinic, "talk", "2030-03-06 09:30"), somebody(clinic, "therapist")
    group = {join(clinic).id: "kept" for _ in range(3)}
    clinic.staff("therapist", hours=hours, buffer_after_minutes=15)
    found = propose(clinic, who, Span(clinic.at("2030-03-06 00:00"), clinic.at("2030-03-07 00:00")))
    assert {line.appointment_id: line.outcome for line in found.lines} == {**group, alone: "moved"}
    accept(clinic, found.token, everything=True)
    sound(clinic)
