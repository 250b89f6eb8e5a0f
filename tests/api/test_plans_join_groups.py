"""A course whose session is a group over HTTP: the plan or re-plan names the group that it joins, and takes a place."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from scheduler.services import access
from tests.api.problem import assert_problem
from tests.coursework import approve
from tests.services.test_plans_join_groups import FIRST, SECOND, circles, with_circles

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask.testing import FlaskClient
    from sqlalchemy import Engine

    from tests.clinic import Clinic
    from tests.plumbing.clock import Clock


@pytest.fixture
def clinic(engine: Engine, clock: Clock) -> Clinic:
    clock.set(datetime(2030, 3, 1, 12, tzinfo=UTC))
    made = with_circles(engine)
    approve(made, circles(most=11))
    return made


@pytest.fixture
def post(clinic: Clinic, client: FlaskClient) -> Callable[..., Any]:
    key = clinic.do(lambda s, c: access.create_key(s, c, name="desk", scopes=["admin"])[1])

    def asked(path: str, **body: Any) -> Any:
        return client.post(f"/v1{path}", json=body, headers={"Authorization": f"Bearer {key}"})

    return asked


def book(clinic: Clinic, post: Callable[..., Any], start: str) -> Any:
    booking = {"patient_id": str(clinic.patient()), "location_id": str(clinic.location_id), "visit_type": "circle"}
    return post("/appointments", **booking, start=clinic.at(start).isoformat()).json


def planned(clinic: Clinic, post: Callable[..., Any]) -> tuple[str, Any]:
    wanted = {"patient_id": str(clinic.patient()), "location_id": str(clinic.location_id), "protocol": "trial"}
    course_id = post("/courses", **wanted, start_after="2030-03-04").json["id"]
    return course_id, post(f"/courses/{course_id}/plans").json["plans"][0]


def test_a_plan_joins_a_group_and_is_stale_when_that_is_full(clinic: Clinic, post: Callable[..., Any]) -> None:
    first = book(clinic, post, FIRST)
    (one, plan), (other, late) = planned(clinic, post), planned(clinic, post)
    [session] = plan["sessions"]
    assert session["group"] == {"id": first["group_id"], "free": 2, "maximum": 3}
    assert session["participants"] == first["participants"]
    booked = post(f"/courses/{one}/bookings", plan_token=plan["token"])
    assert booked.status_code == 201
    [visit] = booked.json["appointments"]
    assert (visit["group_id"], visit["start"]) == (first["group_id"], first["start"])
    assert visit["participants"] == first["participants"]
    book(clinic, post, FIRST)
    problem = assert_problem(post(f"/courses/{other}/bookings", plan_token=late["token"]), 409, "plan_stale")
    assert problem["detail"] == "Session 1 finds no place any more in the group that it was to join."
    [session] = problem["plan"]["sessions"]
    assert (datetime.fromisoformat(session["start"]), session["group"]) == (clinic.at(SECOND), None)
    assert post(f"/courses/{other}/bookings", plan_token=problem["plan"]["token"]).status_code == 201


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_a_new_plan_of_a_running_course_names_the_group_that_it_joins(clinic: Clinic, post: Callable[..., Any]) -> None:
    course_id, plan = planned(clinic, post)
    [visit] = post(f"/courses/{course_id}/bookings", plan_token=plan["token"]).json["appointments"]
    changes = [{"appointment_id": visit["id"], "action": "move"}]

    def moved() -> tuple[str, Any]:
        told = post(f"/courses/{course_id}/replans", changes=changes).json
        [session] = told["diff"]["moved"]
        return told["token"], session

    _, alone = moved()
    assert (datetime.fromisoformat(alone["to"]), alone["group"]) == (clinic.at(SECOND), None)
    begun = book(clinic, post, SECOND)
    token, session = moved()
    assert (session["to"], session["group"]) == (begun["start"], {"id": begun["group_id"], "free": 2, "maximum": 3})
    [visit] = post(f"/courses/{course_id}/bookings", plan_token=token).json["appointments"]
    assert (visit["group_id"], visit["start"]) == (begun["group_id"], begun["start"])
