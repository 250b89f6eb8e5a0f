"""Courses of twenty-one visits that want the same few people: each is booked whole, or refused whole."""

from __future__ import annotations

import time
from collections import Counter

import pytest
from sqlalchemy import Engine, text

from tests.plumbing.effort import at_length
from tests.plumbing.servers import Server
from tests.race import ledger
from tests.race.arena import Arena
from tests.race.caller import Caller
from tests.race.checker import Tables, faults
from tests.race.conftest import House
from tests.race.crowd import at_once

CLIENTS, ALONE = 8, 4
#: At length (`make races`) each client books three times as many, and single visits are booked for as long.
COURSES, TRIES = (6, 160) if at_length() else (2, 12)


def deadlocks(engine: Engine) -> int:
    """How many the database has ever broken; SQLite has one writer."""
    if engine.dialect.name == "sqlite":
        return 0
    with engine.connect() as connection:
        count = text("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        return int(connection.execute(count).scalar_one())


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_courses_of_twenty_one_are_booked_whole_beside_single_visits(house: House) -> None:
    """Eight clients book courses, four book, move and cancel single visits at the same hours of the same people."""
    arena, before = Arena(house.engine, patients=CLIENTS * COURSES + ALONE, doses=10), deadlocks(house.engine)
    patients, single = (
        [str(each) for each in arena.patient_ids[ALONE:]],
        [str(each) for each in arena.patient_ids[:ALONE]],
    )
    orders = [arena.order(job="courses", patients=patients[place::CLIENTS], patience=40) for place in range(CLIENTS)]
    starts = arena.starts((0, 1, 2, 3, 4, 7, 8, 9, 10, 11), ("09:00", "10:00", "11:00"))
    orders += [
        arena.order(job="beside", patients=single, seed=seed, tries=TRIES, mix=(60, 20, 20, 0),
                    visit_types=["talk", "evaluation"], starts=starts)
        for seed in range(ALONE)
    ]  # fmt: skip
    began = time.monotonic()
    did = at_once(arena.caller(house.server), "beside", orders)
    tables, told = Tables(house.engine, arena.clinic.call.organization_id), ledger.table(did)
    stale = [each for each in did if each["op"] == "book_course" and each["code"] == "plan_stale"]
    print(f"\n{time.monotonic() - began:.0f} s, {len(stale)} stale\n{told}")  # noqa: T201 - wanted with -s
    assert ledger.unjust(did) == []
    assert ledger.raced(did) == []
    booked = [each for each in did if each["op"] == "book_course" and each["status"] == 201]
    # A refused plan comes with a fresh one as long as there is any, and in the end that is booked.
    offered = {each["course_id"] for each in stale} - {each["course_id"] for each in stale if not each["fresh"]}
    assert offered <= {each["course_id"] for each in booked}
    assert len(booked) >= CLIENTS
    assert {len(each["seen"]) for each in booked} == {21}
    assert any(each["op"] == "book" and each["status"] == 201 for each in did)
    assert list(ledger.lost(did, tables)) == []
    assert deadlocks(house.engine) == before
    assert faults(house.engine, arena.clinic.call.organization_id) == []


@pytest.mark.slow
def test_one_plan_in_eight_hands_is_booked_once(arena: Arena, server: Server, desk: Caller) -> None:
    order = arena.order()
    wanted = {"patient_id": order["patients"][0], "protocol": "trial"} | {
        name: order[name] for name in ("location_id", "start_after")
    }
    path = f"/v1/courses/{desk.post('/v1/courses', wanted).body['id']}"
    plans = [desk.post(f"{path}/plans", {}).body["plans"][0]["token"] for _ in range(2)]
    orders = [{"path": f"{path}/bookings", "body": {"plan_token": plans[place % 2]}} for place in range(CLIENTS)]
    did = at_once(desk, "post", orders)
    assert Counter((each["status"], each["code"]) for each in did) == {(201, "201"): 1, (409, "plan_stale"): 7}
    assert len(Tables(arena.engine, arena.clinic.call.organization_id).appointments) == 5
    assert faults(arena.engine, arena.clinic.call.organization_id) == []


@pytest.mark.slow
def test_one_session_of_a_course_is_booked_once(arena: Arena, server: Server, desk: Caller) -> None:
    order = arena.order()
    wanted = {"patient_id": order["patients"][0], "protocol": "trial"} | {
        name: order[name] for name in ("location_id", "start_after")
    }
    session = desk.post("/v1/courses", wanted).body["sessions"][0]
    clocks = ("09:00", "10:00", "11:00", "12:00", "13:00", "14:00", "15:00", "16:00")
    orders = [
        {
            "path": "/v1/appointments",
            "body": arena.wish(0, "evaluation", 0, clock) | {"course_session_id": session["id"]},
        }
        for clock in clocks
    ]
    did = at_once(desk, "post", orders)
    assert Counter((each["status"], each["code"]) for each in did) == {(201, "201"): 1, (409, "already_exists"): 7}
    assert len(Tables(arena.engine, arena.clinic.call.organization_id).appointments) == 1
