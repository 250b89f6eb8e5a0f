"""Long work over HTTP: asked for, carried out by a worker, read with its progress and result, used by its tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy.orm import Session

from scheduler.worker import Worker
from tests.api.examples import BOOKING, COURSE, course, patient, staffed

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from werkzeug.test import TestResponse

    from tests.api.conftest import Person
    from tests.plumbing.clock import Clock

pytestmark = pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)

TUESDAY = {"from": "2030-03-05T00:00:00-05:00", "to": "2030-03-06T00:00:00-05:00", "reason": "ill"}


def result(person: Person, asked: TestResponse, engine: Engine, clock: Clock) -> dict[str, Any]:
    """What comes of the job once a worker has been there."""
    assert asked.status_code == 202, asked.text
    where = asked.headers["Location"]
    waiting = person.get(where).json
    assert (waiting["status"], waiting["progress"], waiting["result"]) == ("queued", 0, None)
    worker = Worker(lambda: Session(engine), {}, clock=clock)
    try:
        assert worker.jobs.run_due() == 1
    finally:
        worker.close()
    done = person.get(where).json
    assert (done["status"], done["progress"], done["step"]) == ("done", 1, "done"), done
    assert person.get(f"/v1/jobs?kind={done['kind']}&status=done").json["items"] == [done]
    assert person.post(f"{where}/cancel").status_code == 409
    return dict(done["result"])


def test_many_courses_are_planned_by_a_job_and_booked_by_its_tokens(
    alice: Person, engine: Engine, clock: Clock
) -> None:
    course(alice)  # its protocol is there from now on
    where, ids = staffed(alice), []
    for _ in range(2):
        body = COURSE | {"patient_id": patient(alice), "location_id": where}
        ids.append(alice.post("/v1/courses", json=body).json["id"])
    found = result(alice, alice.post("/v1/plan-batches", json={"course_ids": ids, "rounds": 2}), engine, clock)
    assert (found["placed"], [line["course_id"] for line in found["courses"]]) == (2, ids)
    for line in found["courses"]:
        booked = alice.post(f"/v1/courses/{line['course_id']}/bookings", json={"plan_token": line["plan_token"]})
        assert booked.status_code == 201, booked.text


def test_a_large_disruption_is_repaired_by_a_job_and_accepted_by_its_token(
    alice: Person, engine: Engine, clock: Clock
) -> None:
    body = BOOKING | {"location_id": staffed(alice), "patient_id": patient(alice), "start": "2030-03-05T10:00:00-05:00"}
    visit = alice.post("/v1/appointments", json=body).json
    away = TUESDAY | {"resource_id": visit["participants"][0]["resource_id"]}
    found = result(alice, alice.post("/v1/disruptions/jobs", json=away), engine, clock)
    assert {name: found[name] for name in ("kept", "moved", "broken")} == {"kept": 0, "moved": 1, "broken": 0}
    done = alice.post(f"/v1/disruptions/{found['token']}/accept", json={"all": True})
    assert [line["to"] for line in done.json["accepted"]["moved"]] == ["2030-03-06T10:00:00-05:00"]
