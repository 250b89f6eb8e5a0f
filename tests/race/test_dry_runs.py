"""A dry run leaves nothing behind, whatever it is a rehearsal of, granted or refused."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine

from scheduler.models import Base
from tests.plumbing.servers import Server
from tests.race.arena import Arena
from tests.race.caller import Caller


def contents(engine: Engine) -> dict[str, list[str]]:
    """Every row of every table."""
    with engine.connect() as connection:
        return {
            name: sorted(str(tuple(row)) for row in connection.exec_driver_sql(f'SELECT * FROM "{name}"'))
            for name in Base.metadata.tables
        }


def changed(before: dict[str, list[str]], after: dict[str, list[str]]) -> set[str]:
    return {name for name, rows in after.items() if rows != before[name]}


@pytest.fixture
def course(arena: Arena, desk: Caller) -> dict[str, Any]:
    """A course with a plan that no longer fits, and one visit."""
    order = arena.order()
    wanted = {"patient_id": order["patients"][0], "protocol": "trial"} | {
        name: order[name] for name in ("location_id", "start_after")
    }
    made = desk.post("/v1/courses", wanted).body
    plan = desk.post(f"/v1/courses/{made['id']}/plans", {}).body["plans"][0]
    first = plan["sessions"][0]
    for patient in (1, 2):
        taken = arena.wish(patient, "evaluation", 0, "09:00") | {"start": first["start"]}
        assert desk.post("/v1/appointments", taken).status == 201
    visit = desk.post("/v1/appointments", arena.wish(3, "talk", 4, "16:00")).body
    return {"path": f"/v1/courses/{made['id']}", "token": plan["token"], "visit": visit["id"], "wanted": wanted}


def test_nothing_is_written(arena: Arena, server: Server, desk: Caller, course: dict[str, Any]) -> None:
    visit = f"/v1/appointments/{course['visit']}"
    rehearsals = [
        ("/v1/appointments", arena.wish(4, "talk", 1, "09:00"), 201),
        ("/v1/appointments", arena.wish(3, "talk", 4, "16:00"), 409),
        (f"{visit}/reschedule", {"start": arena.at(2, "09:00").isoformat()}, 200),
        (f"{visit}/cancel", {"reason": "asked for", "by": "patient"}, 200),
        ("/v1/courses", course["wanted"], 201),
        (f"{course['path']}/plans", {}, 200),
        (f"{course['path']}/bookings", {"plan_token": course["token"]}, 409),
    ]
    before = contents(arena.engine)
    for path, body, status in rehearsals:
        answer = desk.post(f"{path}?dry_run=true", body, idempotency_key="rehearsal")
        assert (answer.status, path) == (status, path), answer.body
        assert changed(before, contents(arena.engine)) == set(), path
