"""Courses of twenty-one visits that want the same few people: each is booked whole, or refused whole."""

from __future__ import annotations

import time
from collections import Counter

import pytest

from tests.plumbing.servers import Server
from tests.race import ledger
from tests.race.arena import Arena
from tests.race.caller import Caller
from tests.race.checker import Tables, faults
from tests.race.conftest import House
from tests.race.crowd import at_once

CLIENTS = 8


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_eight_clients_book_courses_of_twenty_one(house: House) -> None:
    arena = Arena(house.engine, patients=CLIENTS * 2, doses=10)
    patients = [str(each) for each in arena.patient_ids]
    orders = [arena.order(patients=patients[place::CLIENTS], patience=12) for place in range(CLIENTS)]
    began = time.monotonic()
    did = at_once(arena.caller(house.server), "courses", orders)
    print(f"\n{time.monotonic() - began:.0f} s\n{ledger.table(did)}")  # noqa: T201 - wanted with -s
    assert ledger.unjust(did) == []
    assert ledger.raced(did) == []
    booked = [each for each in did if each["op"] == "book_course" and each["status"] == 201]
    assert len(booked) >= CLIENTS, "a refused plan comes with a fresh one, so most get theirs"
    assert {len(each["seen"]) for each in booked} == {21}
    tables = Tables(house.engine, arena.clinic.call.organization_id)
    assert list(ledger.lost(did, tables)) == []
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
