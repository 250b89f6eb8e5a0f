"""A course whose session is a group over HTTP: the plan names the group that it joins, and booking it takes a place."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from scheduler.services import access
from tests.api.problem import assert_problem
from tests.coursework import approve
from tests.services.test_plans_join_groups import FIRST, SECOND, circles, with_circles

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from sqlalchemy import Engine

    from tests.plumbing.clock import Clock


def test_a_plan_joins_a_group_and_is_stale_when_that_is_full(engine: Engine, client: FlaskClient, clock: Clock) -> None:
    clock.set(datetime(2030, 3, 1, 12, tzinfo=UTC))
    clinic = with_circles(engine)
    approve(clinic, circles(most=11))
    key = clinic.do(lambda s, c: access.create_key(s, c, name="desk", scopes=["admin"])[1])
    where = {"location_id": str(clinic.location_id)}

    def post(path: str, **body: Any) -> Any:
        return client.post(f"/v1{path}", json=body, headers={"Authorization": f"Bearer {key}"})

    def book() -> Any:
        booking = {"patient_id": str(clinic.patient()), "visit_type": "circle", "start": clinic.at(FIRST).isoformat()}
        return post("/appointments", **where, **booking).json

    def planned() -> tuple[str, Any]:
        wanted = {"patient_id": str(clinic.patient()), "protocol": "trial", "start_after": "2030-03-04"}
        course_id = post("/courses", **where, **wanted).json["id"]
        return course_id, post(f"/courses/{course_id}/plans").json["plans"][0]

    first = book()
    (one, plan), (other, late) = planned(), planned()
    [session] = plan["sessions"]
    assert session["group"] == {"id": first["group_id"], "free": 2, "maximum": 3}
    assert session["participants"] == first["participants"]
    booked = post(f"/courses/{one}/bookings", plan_token=plan["token"])
    assert booked.status_code == 201
    [visit] = booked.json["appointments"]
    assert (visit["group_id"], visit["start"]) == (first["group_id"], first["start"])
    assert visit["participants"] == first["participants"]
    book()
    problem = assert_problem(post(f"/courses/{other}/bookings", plan_token=late["token"]), 409, "plan_stale")
    assert problem["detail"] == "Session 1 finds no place any more in the group that it was to join."
    [session] = problem["plan"]["sessions"]
    assert (datetime.fromisoformat(session["start"]), session["group"]) == (clinic.at(SECOND), None)
    assert post(f"/courses/{other}/bookings", plan_token=problem["plan"]["token"]).status_code == 201
