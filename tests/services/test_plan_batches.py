"""Many courses planned at once against the real calendar: a token each, to be booked one by one or not at all."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from scheduler.core.errors import Invalid
from scheduler.core.planner.guide import Guide
from scheduler.models import Job, Occupancy, new_id
from scheduler.services import jobs, organizations, plan_batches
from scheduler.worker import Worker
from tests.clinic import Clinic
from tests.coursework import accept, approve, course, offer, open_course_clinic, protocol
from tests.desk import count


@pytest.fixture
def clinic(engine: Engine) -> Clinic:
    made = open_course_clinic(engine)
    approve(made, protocol(2))
    return made


def planned(clinic: Clinic, ids: list[UUID], rounds: int = 3) -> dict[str, Any]:
    job_id = clinic.do(lambda s, c: plan_batches.ask(s, c, ids, through="all", seconds=60, seed=1, rounds=rounds).id)
    worker = Worker(lambda: Session(clinic.engine), {}, clock=lambda: clinic.call.now)
    assert worker.jobs.run_due() == 1
    worker.close()
    with Session(clinic.engine) as session:
        job = session.get_one(Job, (clinic.call.organization_id, job_id))
        assert job.status == "done", (job.code, job.detail)
        return dict(job.result or {})


def test_every_course_gets_a_plan_that_fits_beside_the_others(clinic: Clinic) -> None:
    ids = [course(clinic).id for _ in range(3)]
    result = planned(clinic, ids)
    assert [line["course_id"] for line in result["courses"]] == [str(each) for each in ids]
    assert (result["placed"], result["total"]["unplaced"]) == (3, 0)
    assert result["total"]["cost"] <= result["one_by_one"]["cost"]
    assert result["bound"]["cost"] <= result["total"]["cost"]
    assert count(clinic, Occupancy) == 0
    for line in reversed(result["courses"]):
        assert len(accept(clinic, UUID(line["course_id"]), line["plan_token"])) == line["sessions"]


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_the_bound_holds_where_useless_pieces_of_a_day_have_a_price(clinic: Clinic) -> None:
    weights = {"room_remainders": 900, "therapist_remainders": 900}
    clinic.do(lambda s, c: organizations.change(s, c, 1, {"policies": {"planning_weights": weights}}))
    result = planned(clinic, [course(clinic).id for _ in range(3)])
    assert result["placed"] == 3
    assert result["bound"]["cost"] <= result["total"]["cost"] <= result["one_by_one"]["cost"]
    for line in reversed(result["courses"]):
        assert len(accept(clinic, UUID(line["course_id"]), line["plan_token"])) == line["sessions"]


def test_one_by_one_is_what_planning_and_booking_each_would_come_to(clinic: Clinic) -> None:
    ids = [course(clinic).id for _ in range(2)]
    result = planned(clinic, ids, rounds=0)
    cost = 0
    for course_id in ids:
        [best] = offer(clinic, course_id, through="all")
        cost += best.plan.plan.cost
        accept(clinic, course_id, best.token)
    assert result["one_by_one"] == {"unplaced": 0, "cost": cost}


def test_the_same_seed_finds_the_same(clinic: Clinic) -> None:
    ids = [course(clinic).id for _ in range(3)]
    one, other = planned(clinic, ids), planned(clinic, ids)
    assert [{**line, "plan_token": ""} for line in one["courses"]] == [
        {**line, "plan_token": ""} for line in other["courses"]
    ]


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_whoever_holds_the_people_that_a_course_needs_is_asked_to_make_way(clinic: Clinic) -> None:
    approve(clinic, protocol(1) | {"code": "short"})
    near = {"blackouts": [{"from": "2030-03-07", "to": "2031-03-07"}], "earliest": "09:00", "latest": "13:00"}
    far = {"blackouts": [{"from": "2030-03-04", "to": "2030-04-08"}]}
    ids = [course(clinic, code="short", **wishes).id for wishes in (near, near, far)]
    request = {"course_ids": [str(each) for each in ids], "through": "all", "seed": 0, "rounds": 0}
    floor = clinic.do(lambda s, c: plan_batches.begin(s, c, request).floor)
    for number in (0, 2):
        found = floor.plan(number)
        assert found is not None
        floor.put(number, found)
    stands = floor.alone(0)
    assert stands is not None
    assert floor.plan(1) is None
    guide = Guide(floor, [0, 1, 2])
    assert guide.plan(1) is None
    assert guide.rivals(1, {0: 1, 2: 1}) == {0}
    floor.lift(0, stands)
    assert floor.plan(1) is not None
    assert not guide.rivals(1, {2: 1})
    soon = guide.plan(1)
    assert soon is not None
    floor.put(1, soon)
    assert floor.plan(0) is None
    for _ in range(20):
        guide.turn(placed=2)
    assert guide.most == 2


def test_whoever_cannot_be_planned_is_named(clinic: Clinic) -> None:
    patient = clinic.patient()
    first, same = course(clinic, patient).id, course(clinic, patient).id
    with pytest.raises(Invalid) as refused:
        clinic.do(
            lambda s, c: plan_batches.ask(s, c, [first, new_id(), same], through="all", seconds=9, seed=0, rounds=1)
        )
    assert [(fault.pointer, fault.code) for fault in refused.value.faults] == [
        ("/course_ids/1", "unknown_course"),
        ("/course_ids/2", "same_patient"),
    ]
    never = course(clinic, weekdays=["sat"]).id
    lines = planned(clinic, [first, never])["courses"]
    assert [line["code"] for line in lines] == [None, "no_feasible_plan"]
    assert clinic.do(lambda s, c: len(jobs.listed(s, c, limit=9).items)) == 1
