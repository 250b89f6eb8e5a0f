"""Fifty clients want the one room and the one therapist at the same moment: one gets them, the others are told why."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.plumbing.effort import at_length
from tests.race.arena import Arena
from tests.race.checker import Tables, faults
from tests.race.conftest import House
from tests.race.crowd import at_once, crowd

CLIENTS = 50
CLOCKS = ("09:00", "10:00", "11:00", "12:00", "13:00")
#: At length (`make races`) each client is a process of its own, and there are a hundred turns.
PROCESSES, DAYS, PARTS = (CLIENTS, 5, 4) if at_length() else (4, 1, 1)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("part", range(PARTS))
def test_of_fifty_exactly_one_is_booked(house: House, part: int) -> None:
    """Each part has a clinic of its own."""
    arena = Arena(house.engine, people=1, patients=CLIENTS)
    turns = [(day, clock) for day in range(DAYS) for clock in CLOCKS]
    orders: list[list[dict[str, object]]] = [
        [{"path": "/v1/appointments", "body": arena.wish(patient, "talk", day, clock)} for day, clock in turns]
        for patient in range(CLIENTS)
    ]
    with crowd(arena.caller(house.server), "post", orders, processes=PROCESSES) as clients:
        for place in range(len(turns)):
            if place:
                clients.gather()
            clients.go()
        did = clients.results()
    by_turn: dict[str, list[tuple[int, str]]] = {}
    for each in did:
        by_turn.setdefault(each["sent"]["start"], []).append((each["status"], each["code"]))
    assert len(by_turn) == len(turns)
    for answers in by_turn.values():
        assert Counter(answers) == {(201, "201"): 1, (409, "resource_busy"): CLIENTS - 1}
    # Whoever loses is told what is taken and when it could be instead, not that the machinery got in the way.
    assert all(each["reasons"] and each["body"]["alternatives"] for each in did if each["status"] == 409)
    organization_id = arena.clinic.call.organization_id
    assert len(Tables(house.engine, organization_id).appointments) == len(turns)
    assert faults(house.engine, organization_id) == []


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_of_fifty_requests_for_one_patient_exactly_one_is_booked(house: House) -> None:
    """Rooms and therapists for all: only the patient cannot be in two places."""
    arena = Arena(house.engine, people=6, patients=1)
    orders = [{"path": "/v1/appointments", "body": arena.wish(0, "talk", 0, "09:00")} for _ in range(CLIENTS)]
    did = at_once(arena.caller(house.server), "post", orders, processes=4)
    assert Counter((each["status"], each["code"]) for each in did) == {(201, "201"): 1, (409, "patient_busy"): 49}
    assert faults(house.engine, arena.clinic.call.organization_id) == []
