"""What a course respects when it is planned: days, hours, people, clocks; and what is said when it cannot be."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.civil import to_local
from scheduler.core.errors import NoFeasiblePlan
from scheduler.models import Gate, StoredPlan
from scheduler.services import absences, courses, organizations, planning, plans
from scheduler.services.course_wishes import WantedCourse
from scheduler.services.plans import OfferedPlan
from tests.clinic import Clinic, need, segment, visit_type
from tests.coursework import accept, approve, course, offer, open_course_clinic, protocol
from tests.desk import book, count


@pytest.fixture
def clinic(engine: Engine) -> Clinic:
    return open_course_clinic(engine)


class TestWishes:
    def test_days_hours_and_blackouts_bind(self, clinic: Clinic) -> None:
        approve(clinic, protocol())
        away = [{"from": "2030-03-06", "to": "2030-03-08"}]
        made = course(clinic, weekdays=["mon", "tue", "wed", "thu"], earliest="10:00", latest="14:00", blackouts=away)
        [best] = offer(clinic, made.id)
        for each in best.plan.sessions:
            local = to_local(each.start, clinic.time_zone)
            assert local.weekday() <= 3
            assert "10:00" <= f"{local:%H:%M}" <= "14:00"
            assert not date(2030, 3, 6) <= local.date() <= date(2030, 3, 8)

    def test_what_is_only_wished_is_weighed_and_shown(self, clinic: Clinic) -> None:
        approve(clinic, protocol())
        [plain] = offer(clinic, course(clinic).id)
        liked = {"weekdays": ["tue", "thu"], "earliest": "13:00", "until": "18:00"}
        [best] = offer(clinic, course(clinic, wishes=liked).id)
        parts = best.plan.plan.parts
        walls = [to_local(each.start, clinic.time_zone) for each in best.plan.sessions]
        main = [each.spec.kind == "main" for each in best.plan.sessions]
        assert parts["weekday"] == 25 * sum(w.weekday() not in {1, 3} for w, m in zip(walls, main, strict=True) if m)
        assert parts["hours"] == 20 * sum(wall.hour < 13 for wall, m in zip(walls, main, strict=True) if m)
        assert parts["leaf_hours"] == 10 * sum(wall.hour < 13 for wall, m in zip(walls, main, strict=True) if not m)
        assert min(wall.hour for wall in walls) >= 13, "the whole afternoon is free, and costs nothing else"
        assert [each.start for each in best.plan.sessions] != [each.start for each in plain.plan.sessions]
        weights = {"weekday": 0, "hours": 0, "leaf_hours": 0}
        clinic.do(lambda s, c: organizations.change(s, c, 1, {"policies": {"planning_weights": weights}}))
        [indifferent] = offer(clinic, course(clinic, wishes=liked).id)
        assert [each.start for each in indifferent.plan.sessions] == [each.start for each in plain.plan.sessions]

    def test_the_same_person_throughout_when_required(self, clinic: Clinic) -> None:
        second = clinic.staff("therapist")
        approve(clinic, protocol())
        made = course(clinic, practitioner_ids=[str(second)], continuity="required")
        [best] = offer(clinic, made.id)
        booked = accept(clinic, made.id, best.token)
        therapists = {p.resource_id for view in booked for p in view.participants if p.role == "therapist"}
        assert therapists == {second}

    def test_what_cannot_be_is_refused_with_what_blocks_it(self, clinic: Clinic) -> None:
        approve(clinic, protocol())
        made = course(clinic, weekdays=["sat"])
        with pytest.raises(NoFeasiblePlan) as caught:
            offer(clinic, made.id)
        assert (caught.value.blocking[0]["session"], caught.value.blocking[0]["code"]) == (1, "weekdays")
        assert count(clinic, StoredPlan) == 0


def test_the_only_plan_there_is_is_found_where_taking_the_first_free_time_fails(clinic: Clinic) -> None:
    """The nurse's free days leave one chain: a greedy desk takes Tuesday for the first dose and is stuck."""
    approve(clinic, protocol(2, gap=(3, 3, 3)))
    nurse = _the(clinic, "nurse")
    away = [("03-04", "03-05"), ("03-07", "03-09"), ("03-10", "03-12"), ("03-13", "12-31")]  # there on 5, 6, 9 and 12
    for first, past in away:
        span = clinic.at(f"2030-{first} 00:00"), clinic.at(f"2030-{past} 00:00")
        clinic.do(lambda s, c, span=span: absences.create(s, c, resource_id=nurse, start=span[0], end=span[1]))
    made = course(clinic)
    with pytest.raises(NoFeasiblePlan):
        offer(clinic, made.id)  # 9 March is a Saturday: the clinic is closed, so no two free days are three apart
    saturday = [
        {"weekday": day, "start": "08:00", "end": "18:00"} for day in ("mon", "tue", "wed", "thu", "fri", "sat")
    ]
    _open(clinic, saturday)
    [best] = offer(clinic, made.id)
    days = [to_local(each.start, clinic.time_zone).day for each in best.plan.sessions if each.spec.step == "dose"]
    assert days == [6, 9], "from the 5th, three days lead to the 8th, on which nobody is there"


def test_a_course_that_can_only_begin_late_is_found_all_the_same(clinic: Clinic) -> None:
    approve(clinic, protocol())
    absent = {"start": clinic.at("2030-03-01 00:00"), "end": clinic.at("2030-09-01 00:00")}
    clinic.do(lambda s, c: absences.create(s, c, resource_id=_the(clinic, "prescriber"), **absent))
    [best] = offer(clinic, course(clinic).id)
    assert to_local(best.plan.sessions[0].start, clinic.time_zone).date() == date(2030, 9, 2)
    assert best.plan.plan.optimal


def _the(clinic: Clinic, role: str) -> UUID:
    from scheduler.models import Resource

    with Session(clinic.engine) as session:
        rows = session.scalars(select(Resource).where(Resource.kind == "practitioner")).all()
        return next(row.id for row in rows if row.roles[0]["code"] == role)


def _open(clinic: Clinic, hours: list[dict[str, str]]) -> None:
    """Give the location and everyone in it these hours."""
    from scheduler.models import Location, Resource

    with Session(clinic.engine) as session:
        session.get_one(Location, (clinic.call.organization_id, clinic.location_id)).hours = hours
        for row in session.scalars(select(Resource).where(Resource.kind == "practitioner")):
            row.hours = [{**entry, "location_id": str(clinic.location_id)} for entry in hours]
        session.commit()


@pytest.mark.parametrize(
    ("zone", "start"),
    [
        ("America/New_York", "2030-02-18"),
        ("Europe/London", "2030-03-11"),
        ("America/New_York", "2030-10-14"),
        ("Europe/London", "2030-10-07"),
    ],
)
def test_a_weekly_course_keeps_nine_o_clock_across_the_change(engine: Engine, zone: str, start: str) -> None:
    clinic = open_course_clinic(engine, time_zone=zone)
    approve(clinic, protocol(4, gap=(7, 7, 7)))
    day = date.fromisoformat(start)
    wishes = {"weekdays": ["mon", "tue", "wed"], "earliest": "09:00", "latest": "09:00"}
    wanted = WantedCourse(clinic.patient(), "trial", clinic.location_id, day, wishes)
    now = datetime.fromisoformat(f"{start}T00:00+00:00") - timedelta(days=1)
    made = clinic.do(lambda s, c: courses.create(s, c, wanted), now=now)

    def work(session: Session, call: Call) -> list[OfferedPlan]:
        desk, found = planning.make_plans(session, call, made.id)
        return plans.keep(session, call, desk, found, 30)

    [best] = clinic.do(work, now=now)
    booked = accept(clinic, made.id, best.token, now=now)
    doses = [view.row for view in booked if view.row.visit_type == "dose"]
    assert {row.local_start[-5:] for row in doses} == {"09:00"}
    assert len({row.starts_at.time() for row in doses}) == 2, "the instants move by the hour, the clock does not"
    assert {row.ends_at - row.starts_at for row in doses} == {timedelta(minutes=120)}


def test_who_has_served_goes_on_to_serve_when_the_same_person_is_required(clinic: Clinic) -> None:
    """The first tranche binds the second: its therapist, though taken at those hours, is the course's own."""
    clinic.staff("therapist")
    approve(clinic, protocol(gate=2))
    made = course(clinic, continuity="required")
    booked = accept(clinic, made.id, offer(clinic, made.id)[0].token)

    def passed(session: Session, call: Call) -> None:
        session.get_one(Gate, (call.organization_id, made.id, "review")).outcome = "passed"

    clinic.do(passed)
    rest = accept(clinic, made.id, offer(clinic, made.id)[0].token)
    therapists = {p.resource_id for view in [*booked, *rest] for p in view.participants if p.role == "therapist"}
    assert len(therapists) == 1


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_the_patients_other_visits_are_planned_around(engine: Engine) -> None:
    """Somebody who is seen elsewhere in the clinic all morning has nothing planned then."""
    clinic = open_course_clinic(engine)
    clinic.visit(visit_type("long", segment("long", 240, need("room:quiet"))))
    clinic.room("quiet")
    approve(clinic, protocol(1))
    patient = clinic.patient()
    free = offer(clinic, course(clinic, patient).id)[0].plan.sessions[0]
    book(clinic, patient, "long", "2030-03-04 08:00")
    busy = clinic.at("2030-03-04 08:00"), clinic.at("2030-03-04 12:00")
    assert busy[0] <= free.start < busy[1]
    planned = offer(clinic, course(clinic, patient).id)[0].plan.sessions
    assert all(each.end <= busy[0] or each.start >= busy[1] for each in planned)
