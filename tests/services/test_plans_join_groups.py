"""Courses whose sessions are groups: a plan joins one that began, by the law by which the desk does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import pairwise
from random import Random
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from scheduler.core.bitmap import bits
from scheduler.core.errors import NoFeasiblePlan, PlanStale, Refused
from scheduler.core.gathering import all_starts
from scheduler.models import GroupPlace, Occupancy
from scheduler.services import absences, availability, booking, courses, holds, planning
from scheduler.services.appointments import AppointmentView
from scheduler.services.availability import Question
from scheduler.services.doctor import examine
from scheduler.services.finding import Wanted
from scheduler.services.pins import Pin
from scheduler.services.plans import OfferedPlan
from tests.clinic import Clinic, need, segment, visit_type, week
from tests.coursework import accept, approve, course, offer
from tests.desk import overlaps
from tests.plumbing.lock_order import watching

THERAPIST = "role:therapist"
CIRCLE = visit_type(
    "circle",
    segment("circle", 60, need(THERAPIST), need("room:group")),
    segment("tidy", 15, need("room:group"), patient=False),
    kind="group",
    group={"minimum": 1, "maximum": 3},
)
TALK = visit_type("talk", segment("talk", 30, need(THERAPIST)))
#: Wednesdays in March 2030; the course begins on Monday the 4th.
FIRST, SECOND, THIRD = "2030-03-06 10:00", "2030-03-13 10:00", "2030-03-20 10:00"
#: One circle fits into them.
HOURS = week("10:00", "11:15", ("wed",))


def circles(count: int = 1, *, most: int = 4, gap: int = 7, continuity: Sequence[str] = ()) -> dict[str, Any]:
    """A protocol of circles alone, the first within so many days, the others a week after the one before."""
    days = dict(zip(("unit", "min", "target", "max"), ("days", 7, 7, gap), strict=True))
    step: dict[str, Any] = {"key": "circle", "visit_type": "circle", "count": count}
    step |= {"entry": {"unit": "days", "min": 0, "target": 0, "max": most, "hard_max": True}}
    step |= {"gap": days} if count > 1 else {}
    phases = [{"key": "circles", "steps": [step]}]
    return {"code": "trial", "name": "Circles", "phases": phases, "continuity": list(continuity)}


def with_circles(engine: Engine, therapists: int = 1, rooms: int = 1, hours: Any = HOURS) -> Clinic:
    made = Clinic(engine)
    for document in (CIRCLE, TALK):
        made.visit(document)
    for _ in range(therapists):
        made.staff("therapist", hours=hours)
    for _ in range(rooms):
        made.room("group")
    return made


@pytest.fixture
def clinic(engine: Engine) -> Clinic:
    return with_circles(engine)


def join(clinic: Clinic, start: str = FIRST, patient: UUID | None = None, **more: Any) -> AppointmentView:
    asked = Wanted(patient or clinic.patient(), "circle", clinic.location_id, clinic.at(start), **more)
    return clinic.do(lambda s, c: booking.book(s, c, asked))


def starts(plan: OfferedPlan) -> list[datetime]:
    return [each.start for each in plan.plan.sessions]


@contextmanager
def in_order(clinic: Clinic) -> Iterator[None]:
    """Whoever takes locks in it takes them in the order of all; SQLite has none."""
    if clinic.engine.dialect.name == "sqlite":
        yield
        return
    with watching(clinic.engine) as locks:
        yield
    assert (locks.faults, locks.taken > 0) == ([], True)


def sound(clinic: Clinic) -> None:
    """Nobody is in two places, no group is beyond its places, and each is served once."""
    assert overlaps(clinic.engine) == 0
    with Session(clinic.engine) as session:
        assert [found for found in examine(session, clinic.call) if found.count] == []
        taken = select(GroupPlace.group_id, func.count(GroupPlace.appointment_id)).group_by(GroupPlace.group_id)
        assert all(number <= 3 for _, number in session.execute(taken))


def test_a_plan_that_there_is_only_by_joining_is_found_and_booked(clinic: Clinic) -> None:
    approve(clinic, circles())
    first = join(clinic)
    made = course(clinic)
    [best] = offer(clinic, made.id)
    assert starts(best) == [clinic.at(FIRST)]
    with in_order(clinic):
        [visit] = accept(clinic, made.id, best.token)
    assert visit.row.group_id == first.row.group_id
    assert {each.resource_id for each in visit.participants} == {each.resource_id for each in first.participants}
    with Session(clinic.engine) as session:
        mine = select(Occupancy.role).where(Occupancy.appointment_id == visit.id)
        assert list(session.scalars(mine)) == ["patient"], "who serves the group serves all of it"
    sound(clinic)


def test_a_group_that_filled_meanwhile_makes_the_plan_stale_and_another_start_is_found(clinic: Clinic) -> None:
    approve(clinic, circles(most=10))
    join(clinic)
    join(clinic)
    made = course(clinic)
    [best] = offer(clinic, made.id)
    join(clinic)
    with pytest.raises(PlanStale, match="no place any more in the group"):
        accept(clinic, made.id, best.token)
    [fresh] = offer(clinic, made.id)
    assert starts(fresh) == [clinic.at(SECOND)]
    accept(clinic, made.id, fresh.token)
    sound(clinic)


def test_where_the_group_filled_people_of_its_own_serve_at_the_same_time(engine: Engine) -> None:
    clinic = with_circles(engine, 2, 2)
    approve(clinic, circles())
    first, _ = join(clinic), join(clinic)
    made = course(clinic)
    [best] = offer(clinic, made.id)
    assert best.plan.sessions[0].group is not None
    join(clinic)
    [visit] = accept(clinic, made.id, best.token)
    assert (visit.row.starts_at, visit.row.group_id != first.row.group_id) == (clinic.at(FIRST), True)
    sound(clinic)


def test_who_planned_a_group_of_its_own_joins_the_one_that_began_then_meanwhile(clinic: Clinic) -> None:
    approve(clinic, circles())
    made = course(clinic)
    [best] = offer(clinic, made.id)
    first = join(clinic)
    [visit] = accept(clinic, made.id, best.token)
    assert visit.row.group_id == first.row.group_id
    sound(clinic)


def test_a_group_that_only_holds_keep_is_joined_too(clinic: Clinic) -> None:
    approve(clinic, circles())
    asked = Wanted(clinic.patient(), "circle", clinic.location_id, clinic.at(FIRST))
    held = clinic.do(lambda s, c: holds.create(s, c, asked))
    made = course(clinic)
    [best] = offer(clinic, made.id)
    with in_order(clinic):
        [visit] = accept(clinic, made.id, best.token)
    used = clinic.do(lambda s, c: holds.book(s, c, asked, held.id, held.token))
    assert used.row.group_id == visit.row.group_id
    sound(clinic)


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_no_group_is_joined_whose_people_are_away_or_that_is_not_what_its_type_says(clinic: Clinic) -> None:
    approve(clinic, circles())
    first = join(clinic)
    made = course(clinic)
    [best] = offer(clinic, made.id)
    who = next(each.resource_id for each in first.participants if each.role == "therapist")
    day = clinic.at("2030-03-06 00:00")
    clinic.do(lambda s, c: absences.create(s, c, resource_id=who, start=day, end=day + timedelta(days=1)))
    with pytest.raises(NoFeasiblePlan):
        offer(clinic, made.id)
    with pytest.raises(PlanStale):
        accept(clinic, made.id, best.token)
    with pytest.raises(Refused):
        join(clinic)


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_a_plan_of_several_joins_some_and_begins_others(clinic: Clinic) -> None:
    approve(clinic, circles(3))
    begun = [join(clinic, start).row.group_id for start in (FIRST, THIRD)]
    made = course(clinic)
    [best] = offer(clinic, made.id)
    visits = accept(clinic, made.id, best.token)
    assert [each.row.starts_at for each in visits] == [clinic.at(each) for each in (FIRST, SECOND, THIRD)]
    assert [visits[0].row.group_id, visits[2].row.group_id] == begun
    assert len({each.row.group_id for each in visits}) == 3
    sound(clinic)


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_a_patient_who_is_in_the_group_does_not_join_it_twice(clinic: Clinic) -> None:
    approve(clinic, circles())
    patient = clinic.patient()
    join(clinic, patient=patient)
    made = course(clinic, patient)
    with pytest.raises(NoFeasiblePlan):
        offer(clinic, made.id)


# --- the same people throughout


def therapists(clinic: Clinic, view: AppointmentView) -> set[UUID]:
    return {each.resource_id for each in view.participants if each.role == "therapist"}


def begin(clinic: Clinic, start: str, who: UUID) -> AppointmentView:
    return join(clinic, start, pins=(Pin(THERAPIST, who),))


@pytest.fixture
def pair(engine: Engine) -> tuple[Clinic, UUID, UUID]:
    """Two therapists, and two rooms."""
    made = Clinic(engine)
    for document in (CIRCLE, TALK):
        made.visit(document)
    both = made.staff("therapist", hours=HOURS), made.staff("therapist", hours=HOURS)
    for _ in both:
        made.room("group")
    return made, *both


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_where_the_same_person_is_required_only_their_groups_are_joined(pair: tuple[Clinic, UUID, UUID]) -> None:
    clinic, one, other = pair
    approve(clinic, circles(2, continuity=["therapist"]))
    begin(clinic, FIRST, one)
    begin(clinic, SECOND, other)
    for start in (FIRST, SECOND):  # the other two serve somebody by themselves: nobody begins a circle then
        busy = Wanted(clinic.patient(), "talk", clinic.location_id, clinic.at(start))
        clinic.do(lambda s, c, busy=busy: booking.book(s, c, busy))  # type: ignore[misc]
    made = course(clinic, continuity="required")
    with pytest.raises(NoFeasiblePlan):
        offer(clinic, made.id)
    [best] = offer(clinic, course(clinic, continuity="preferred").id)
    assert best.plan.plan.parts["persons"] > 0


def test_a_session_booked_by_itself_joins_only_groups_of_its_person(pair: tuple[Clinic, UUID, UUID]) -> None:
    """What is offered, explained, held, booked and moved: the fullest group is another's."""
    clinic, one, other = pair
    approve(clinic, circles(2, continuity=["therapist"]))
    theirs = begin(clinic, SECOND, other)
    made = course(clinic, continuity="required")
    begin(clinic, FIRST, one)
    sessions = [each.id for each in made.sessions]
    wanted = Wanted(made.row.patient_id, "circle", clinic.location_id, clinic.at(FIRST), pins=(Pin(THERAPIST, one),))
    wanted = Wanted(**{**vars(wanted), "course_session_id": sessions[0]})
    visit = clinic.do(lambda s, c: booking.book(s, c, wanted))
    assert therapists(clinic, visit) == {one}
    second = Wanted(made.row.patient_id, "circle", clinic.location_id, clinic.at(SECOND), course_session_id=sessions[1])
    span = clinic.at(SECOND), clinic.at(SECOND) + timedelta(minutes=5)
    question = Question("circle", clinic.location_id, *span, made.row.patient_id, course_session_id=sessions[1])
    [offered], _ = clinic.do(lambda s, c: availability.search(s, c, question, limit=9))
    assert offered.group is None
    booked = clinic.do(lambda s, c: booking.book(s, c, second))
    assert (therapists(clinic, booked), booked.row.group_id != theirs.row.group_id) == ({one}, True)
    clinic.do(lambda s, c: booking.cancel(s, c, booked.id, reason="ill", by="patient"))
    busy = Wanted(clinic.patient(), "talk", clinic.location_id, clinic.at(SECOND), pins=(Pin(THERAPIST, one),))
    clinic.do(lambda s, c: booking.book(s, c, busy))
    assert clinic.do(lambda s, c: availability.search(s, c, question, limit=9))[0] == []
    assert not clinic.do(lambda s, c: availability.explain(s, c, question)).bookable
    for act in (booking.book, holds.create):
        with pytest.raises(Refused):
            clinic.do(lambda s, c, act=act: act(s, c, second))  # type: ignore[misc]


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_a_required_person_is_kept_by_a_plan_from_group_to_group(pair: tuple[Clinic, UUID, UUID]) -> None:
    clinic, one, other = pair
    approve(clinic, circles(2, continuity=["therapist"]))
    begin(clinic, FIRST, one)
    for patient in (None, None):  # the fuller
        join(clinic, SECOND, patient, pins=(Pin(THERAPIST, other),))
    made = course(clinic, continuity="required")
    [best] = offer(clinic, made.id)
    visits = accept(clinic, made.id, best.token)
    assert len(set().union(*(therapists(clinic, each) for each in visits))) == 1
    sound(clinic)


# --- the law, by brute force


def furnished(engine: Engine, random: Random) -> Clinic:
    """A clinic of one morning a week, some circles of which have begun and some people of which are busy."""
    clinic = with_circles(engine, random.choice((1, 2)), random.choice((1, 2)), week("10:00", "12:30", ("wed",)))
    mornings = [f"2030-03-{day:02} {hour}" for day in (6, 13, 20) for hour in ("10:00", "10:30", "11:00", "11:15")]
    for start in random.sample(mornings, 6):
        for _ in range(random.choice((1, 1, 2, 3))):
            asked = Wanted(clinic.patient(), random.choice(("circle", "talk")), clinic.location_id, clinic.at(start))
            try:
                clinic.do(lambda s, c, asked=asked: booking.book(s, c, asked))  # type: ignore[misc]
            except Refused:
                continue
    return clinic


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_what_the_desk_books_one_by_one_a_plan_finds(engine: Engine, seed: int) -> None:
    """The starts that planning sees are those that the desk is offered; and a course has a plan if these hold one."""
    clinic = furnished(engine, Random(seed))
    approve(clinic, circles(2, most=10))
    patient = clinic.patient()
    made = course(clinic, patient)
    span = clinic.at("2030-03-04 00:00"), clinic.at("2030-03-23 00:00")
    question = Question("circle", clinic.location_id, *span, patient, wish=availability.Wish(step=5))
    offers, _ = clinic.do(lambda s, c: availability.search(s, c, question, limit=1000))
    by_hand = {offer.start for offer in offers}
    desk = clinic.do(lambda s, c: planning.set_up(s, c, courses.get(s, c, made.id)))
    kind = desk.kinds["circle"]
    timeline = desk.loaded.site.timeline
    seen = {timeline.instant(slot) for slot in bits(all_starts(kind.demand, desk.clinic(kind)))}
    assert {each for each in seen if each < span[1]} == by_hand
    weeks = [{each for each in by_hand if each.day == day} for day in (6, 13, 20)]
    possible = any(one and other for one, other in pairwise(weeks))
    try:
        [best] = offer(clinic, made.id)
    except NoFeasiblePlan:
        assert not possible
    else:
        assert possible
        assert set(starts(best)) <= by_hand
        accept(clinic, made.id, best.token)
    sound(clinic)
