"""Time that is kept for somebody, fought over; and a patient whom two sites want at the same time."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import pytest

from scheduler.services import locations, resources
from tests.clinic import week
from tests.race.arena import Arena
from tests.race.caller import Caller
from tests.race.checker import Tables, faults
from tests.race.conftest import House
from tests.race.crowd import at_once

CLIENTS = 8


@pytest.fixture
def arena(house: House) -> Arena:
    """One of everyone and everything: a slot is held by one."""
    return Arena(house.engine, people=1)


@pytest.fixture
def desk(arena: Arena, house: House) -> Caller:
    return arena.caller(house.server)


def codes(did: list[dict[str, Any]]) -> Counter[int]:
    return Counter(each["status"] for each in did)


def everybody(desk: Caller, path: str, bodies: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return at_once(desk, "post", [{"path": path, "body": body} for body in bodies])


@pytest.mark.slow
def test_one_of_eight_holds_the_slot_and_uses_it_once(arena: Arena, desk: Caller) -> None:
    wishes = [arena.wish(patient, "talk", 0, "09:00") for patient in range(CLIENTS)]
    did = everybody(desk, "/v1/holds", wishes)
    assert codes(did) == {201: 1, 409: 7}
    [hold] = [each["body"] for each in did if each["status"] == 201]
    assert codes(everybody(desk, "/v1/appointments", wishes)) == {409: 8}, "it is kept"
    [mine] = [wish for wish in wishes if wish["patient_id"] == hold["patient_id"]]
    used = everybody(desk, "/v1/appointments", [mine | {"hold_id": hold["id"]}] * CLIENTS)
    assert (codes(used)[201], max(codes(used))) == (1, 409), used
    assert len(Tables(arena.engine, arena.clinic.call.organization_id).appointments) == 1
    assert faults(arena.engine, arena.clinic.call.organization_id) == []


@pytest.mark.slow
def test_a_hold_that_is_over_is_in_nobodys_way(arena: Arena, desk: Caller) -> None:
    """Its rows are still there: whoever is first takes them out of the way."""
    held = desk.post("/v1/holds", arena.wish(0, "talk", 0, "09:00") | {"ttl_seconds": 1})
    assert held.status == 201, held.body
    time.sleep(1.2)
    wishes = [arena.wish(patient, "talk", 0, "09:00") for patient in range(1, CLIENTS + 1)]
    assert codes(everybody(desk, "/v1/appointments", wishes)) == {201: 1, 409: 7}
    assert faults(arena.engine, arena.clinic.call.organization_id) == []


@pytest.mark.slow
def test_two_sites_share_neither_patient_nor_therapist(arena: Arena, desk: Caller) -> None:
    """Each site locks its own row, so only the people's own locks can tell."""
    clinic = arena.clinic
    values = {"name": "Branch", "time_zone": clinic.time_zone, "hours": week()}
    branch = clinic.do(lambda s, c: locations.create(s, c, values).id)
    room = {"name": "consult", "location_id": branch, "type_code": "consult", "units": 1}
    clinic.do(lambda s, c: resources.create(s, c, resources.ROOM, room).id)
    for site in (branch, clinic.location_id):
        hours = [entry | {"location_id": str(site)} for entry in week()]
        own = {"name": "therapist", "units": 1, "roles": [{"code": "therapist"}], "hours": hours}
        clinic.do(lambda s, c, own=own: resources.create(s, c, resources.PRACTITIONER, own).id)
    for clock in ("09:00", "10:00", "11:00", "12:00"):
        here = arena.wish(0, "talk", 0, clock)
        did = everybody(desk, "/v1/appointments", [here, here | {"location_id": str(branch)}] * (CLIENTS // 2))
        found = Counter(each["code"] for each in did)
        # The patient and the therapist are both taken; who looks at this very moment may have read only one of them so.
        assert found.pop("201") == 1
        assert found.total() == CLIENTS - 1
        assert found.keys() <= {"patient_busy", "resource_busy"}
    assert faults(arena.engine, clinic.call.organization_id) == []
