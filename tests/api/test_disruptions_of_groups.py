"""The repair of a group over HTTP: offered as one, accepted by any of its visits, and refused with a fresh one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from scheduler.services import access
from tests.api.problem import assert_problem
from tests.services.test_plans_join_groups import FIRST, HOURS, with_circles

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from sqlalchemy import Engine

    from tests.plumbing.clock import Clock

pytestmark = pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)


def test_a_group_is_offered_other_people_as_one_and_accepted_as_one(
    engine: Engine, clock: Clock, client: FlaskClient
) -> None:
    clock.set(datetime(2030, 3, 1, 12, tzinfo=UTC))
    clinic = with_circles(engine, 2)
    key = clinic.do(lambda s, c: access.create_key(s, c, name="desk", scopes=["admin"])[1])
    headers = {"Authorization": f"Bearer {key}"}

    def post(path: str, **body: Any) -> Any:
        return client.post(f"/v1{path}", json=body, headers=headers)

    def book(code: str, **more: Any) -> Any:
        ids = {"patient_id": str(clinic.patient()), "location_id": str(clinic.location_id), "visit_type": code}
        booked = post("/appointments", **ids, start=clinic.at(FIRST).isoformat(), **more)
        assert booked.status_code == 201, booked.text
        return booked.json

    def led_by(visit: Any) -> set[str]:
        now = client.get(f"/v1/appointments/{visit['id']}", headers=headers).json
        assert (now["start"], now["sequence"], now["status"]) == (visit["start"], 0, "booked")
        return {each["resource_id"] for each in now["participants"]}

    group = [book("circle") for _ in range(3)]
    who = next(each["resource_id"] for each in group[0]["participants"] if each["role"] == "therapist")
    day = {"from": "2030-03-06T00:00:00-05:00", "to": "2030-03-07T00:00:00-05:00", "reason": "ill"}
    offered = post("/disruptions", resource_id=who, **day).json
    assert {(each["appointment_id"], each["group_id"]) for each in offered["diff"]["kept"]} == {
        (each["id"], each["group_id"]) for each in group
    }
    [served] = {tuple(each["resource_ids"]) for each in offered["diff"]["kept"]}
    [stands_in] = set(served) - led_by(group[0])
    rival = book("talk", pins=[{"role": "therapist", "resource_id": stands_in}])
    refused = post(f"/disruptions/{offered['token']}/accept", all=True)
    assert_problem(refused, 409, "plan_stale")
    fresh = refused.json["repair"]
    assert {(each["code"], each["group_id"]) for each in fresh["diff"]["broken"]} == {("group", group[0]["group_id"])}
    assert all(who in led_by(each) for each in group)
    third = str(clinic.staff("therapist", hours=HOURS))
    again = post("/disruptions", resource_id=who, **day).json
    done = post(f"/disruptions/{again['token']}/accept", appointment_ids=[group[2]["id"]])
    assert done.status_code == 200, done.text
    assert len(done.json["accepted"]["kept"]) == len(group)
    assert {frozenset(led_by(each)) for each in group} == {frozenset(set(served) - {stands_in} | {third})}
    assert led_by(rival) == {stands_in}
