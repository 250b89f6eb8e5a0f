"""A running course with sessions in groups is planned anew, and many at once: places are kept, left and shared."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from scheduler.core.errors import NoFeasiblePlan
from scheduler.models import Appointment, Occupancy
from scheduler.services import booking, courses, rebooking, replanning
from scheduler.services.appointments import AppointmentView
from scheduler.services.course_changes import Change
from scheduler.services.courses import CourseView
from tests.clinic import Clinic
from tests.coursework import accept, approve, course, offer
from tests.services.test_plan_batches import planned
from tests.services.test_plans_join_groups import (
    FIRST,
    SECOND,
    THERAPIST,
    THIRD,
    circles,
    in_order,
    join,
    sound,
    with_circles,
)


@pytest.fixture
def clinic(engine: Engine) -> Clinic:
    return with_circles(engine)


class Running:
    """A course of three circles that is booked, the first and the last beside somebody else."""

    def __init__(self, clinic: Clinic) -> None:
        self.clinic = clinic
        approve(clinic, circles(3, most=11, gap=15))
        self.others = [join(clinic, start) for start in (FIRST, THIRD)]
        self.id = course(clinic).id
        [best] = offer(clinic, self.id)
        self.visits = accept(clinic, self.id, best.token)

    def replan(self, *changes: Change) -> list[AppointmentView]:
        def propose(session: Session, call: Any) -> replanning.Replan:
            return replanning.propose(session, call, self.id, changes, minutes=30)

        plan = self.clinic.do(propose)
        return self.clinic.do(lambda s, c: rebooking.accept(s, c, self.id, plan.token))

    def view(self) -> CourseView:
        return self.clinic.do(lambda s, c: courses.get(s, c, self.id))

    def standing(self) -> list[tuple[datetime, UUID | None]]:
        return [(row.starts_at, row.group_id) for row in sorted(self.view().booked.values(), key=lambda r: r.starts_at)]


def test_a_replan_keeps_the_places_of_what_stays(clinic: Clinic) -> None:
    running = Running(clinic)
    before = running.standing()
    running.replan(Change(running.visits[1].id, "cancel"))
    assert (running.standing()[0], len(running.standing())) == (before[0], 3)
    assert running.standing()[1] == before[2], "the second took the place that the third left"
    sound(clinic)


def test_a_visit_that_is_planned_anew_leaves_its_group_and_joins_another(clinic: Clinic) -> None:
    running = Running(clinic)
    there = join(clinic, "2030-03-27 10:00")
    with in_order(clinic):
        running.replan(Change(running.visits[2].id, "cancel"))
    assert running.standing()[-1] == (clinic.at("2030-03-27 10:00"), there.row.group_id)
    with Session(clinic.engine) as session:
        groups = select(Appointment.group_id).where(Appointment.status == "booked")
        assert running.others[1].row.group_id in set(session.scalars(groups))
    sound(clinic)


def test_whoever_carries_a_group_leaves_what_it_carries_to_the_others(clinic: Clinic) -> None:
    """A plan does not count on the staff of a group that goes on without the visit that moves."""
    approve(clinic, circles(most=11, gap=15))
    made = course(clinic)
    [best] = offer(clinic, made.id)
    [carrier] = accept(clinic, made.id, best.token)
    assert join(clinic).row.group_id == carrier.row.group_id
    change = Change(carrier.id, "move", clinic.at(FIRST) + timedelta(minutes=15))
    running = Running.__new__(Running)
    running.clinic, running.id = clinic, made.id
    with pytest.raises(NoFeasiblePlan):  # the therapist is in the circle
        running.replan(change)
    running.replan(Change(carrier.id, "move", clinic.at(SECOND)))
    assert [start for start, _ in running.standing()] == [clinic.at(SECOND)]
    with Session(clinic.engine) as session:
        carried = select(Appointment.starts_at).join(Occupancy, Occupancy.appointment_id == Appointment.id)
        found = set(session.scalars(carried.where(Occupancy.role == THERAPIST)))
    assert found == {clinic.at(FIRST), clinic.at(SECOND)}
    sound(clinic)


def test_a_visit_alone_in_its_group_stays_where_it_is(clinic: Clinic) -> None:
    running = Running(clinic)
    for other in running.others:
        clinic.do(lambda s, c, other=other: booking.cancel(s, c, other.id, reason="ill", by="patient"))  # type: ignore[misc]
    before = running.standing()
    running.replan(Change(running.visits[1].id, "cancel"))
    assert running.standing()[0] == before[0]
    sound(clinic)


def test_courses_of_a_batch_share_the_groups_that_they_begin(clinic: Clinic) -> None:
    """As if each was planned and booked after the other; and whoever is booked first begins the group."""
    approve(clinic, circles(2))
    ids = [course(clinic).id for _ in range(4)]
    result = planned(clinic, ids)
    assert (result["placed"], result["total"]["unplaced"]) == (3, 1)
    assert result["one_by_one"]["unplaced"] == 1
    found = set()
    for line in reversed(result["courses"]):
        if line["plan_token"]:
            visits = accept(clinic, UUID(line["course_id"]), line["plan_token"])
            found |= {each.row.group_id for each in visits}
    assert len(found) == 2
    sound(clinic)


def test_a_batch_gives_each_place_of_a_group_to_one_course(clinic: Clinic) -> None:
    approve(clinic, circles())
    join(clinic)
    ids = [course(clinic).id for _ in range(3)]
    result = planned(clinic, ids)
    assert (result["placed"], result["total"]["unplaced"]) == (2, 1)
    for line in result["courses"]:
        if line["plan_token"]:
            accept(clinic, UUID(line["course_id"]), line["plan_token"])
    assert [line["code"] for line in result["courses"] if not line["plan_token"]] == ["no_place_beside_the_others"]
    sound(clinic)
