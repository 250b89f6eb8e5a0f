"""A worker is killed again and again while clients book whole courses: each is there whole or not at all."""

from __future__ import annotations

import random
import time

import pytest

from tests.plumbing.effort import at_length
from tests.race import ledger
from tests.race.arena import Arena
from tests.race.checker import Tables, faults
from tests.race.conftest import House
from tests.race.crowd import crowd

#: At length (`make races`) there are fifty kills.
CLIENTS, COURSES, KILLS = (8, 25, 50) if at_length() else (8, 6, 12)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_killed_worker_leaves_no_partial_course_and_loses_none(house: House) -> None:
    arena = Arena(house.engine, people=4, patients=CLIENTS * COURSES, doses=3)
    patients = [str(each) for each in arena.patient_ids]
    orders = [arena.order(patients=patients[place::CLIENTS], patience=6) for place in range(CLIENTS)]
    rng, kills = random.Random(1), 0
    with crowd(arena.caller(house.server), "courses", orders) as clients:
        clients.go()
        while clients.is_busy() and kills < KILLS:
            time.sleep(rng.uniform(0.1, 0.8))
            kills += house.server.kill_worker()
        did = clients.results()
    broken = sum(each["status"] == 0 for each in did)
    print(f"\n{kills} kills, {broken} without an answer\n{ledger.table(did)}")  # noqa: T201 - wanted with -s
    assert broken > 0, "nobody was hit: that was no attack"
    assert kills == KILLS or not at_length(), "the clients were done too early"
    assert ledger.unjust(each for each in did if each["status"]) == []
    tables = Tables(house.engine, arena.clinic.call.organization_id)
    assert list(ledger.lost(did, tables, unknown=True)) == []
    assert any(each["op"] == "book_course" and each["status"] == 201 for each in did)
    assert faults(house.engine, arena.clinic.call.organization_id) == []
