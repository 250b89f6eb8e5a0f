"""The ground moves while visits are booked: absences, closures, fewer units. Nothing stays silently booked on it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from tests.plumbing.servers import Server
from tests.race import ledger
from tests.race.arena import Arena
from tests.race.caller import Answer, Caller
from tests.race.checker import LIVE, Tables, faults
from tests.race.conftest import House
from tests.race.crowd import crowd

CLIENTS = 8


def fight(arena: Arena, desk: Caller, code: str, *, days: int = 3, tries: int = 12) -> Iterator[list[dict[str, Any]]]:
    """Everybody books on these days; yields once while they are at it, then what they did."""
    starts = arena.starts(range(days), ["09:00", "10:30", "12:00", "13:30", "15:00"])
    order = arena.order(tries=tries, visit_types=[code], starts=starts, mix=(100, 0, 0, 0))
    with crowd(desk, "storm", [order | {"seed": seed} for seed in range(CLIENTS)]) as clients:
        clients.go()
        yield []
        yield clients.results()


def affected(answers: list[Answer]) -> set[UUID]:
    """The visits that the changes named."""
    return {UUID(each["id"]) for answer in answers for each in answer.body["affected_appointments"]}


def refusals(did: list[dict[str, Any]], *also: str) -> set[str]:
    return {each["code"] for each in did if each["status"] != 201} - {"resource_busy", "patient_busy", *also}


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_an_absence_names_every_visit_that_stands_in_it(house: House) -> None:
    """The prescriber must be present at each visit, and is taken up by none: only the location's lock can tell."""
    arena, days = Arena(house.engine, people=4, patients=24), (0, 1, 2, 3, 4, 7, 8, 9, 10, 11)
    desk = arena.caller(house.server)
    people = {row.id for row in Tables(arena.engine, arena.clinic.call.organization_id).prescribers}
    assert len(people) == 4
    starts = arena.starts(days, ["09:00", "10:30", "12:00", "13:30", "15:00"])
    order = arena.order(tries=80, visit_types=["sitting"], starts=starts, mix=(100, 0, 0, 0))
    answers = []
    with crowd(desk, "storm", [order | {"seed": seed} for seed in range(CLIENTS)]) as clients:
        clients.go()
        for day in days:
            away = {"start": arena.at(day, "08:00").isoformat(), "end": arena.at(day, "18:00").isoformat()}
            answers += [desk.post("/v1/absences", {"resource_id": str(who)} | away) for who in sorted(people)]
        did = clients.results()
    assert {answer.status for answer in answers} == {201}, [answer.body for answer in answers]
    assert refusals(did, "resource_absent") == set()
    assert any(each["code"] == "resource_absent" for each in did), "the absences came too late to matter"
    tables = Tables(arena.engine, arena.clinic.call.organization_id)
    assert tables.appointments, "the absences came too early to matter"
    # Every prescriber is away on every day, so whatever is booked was booked before, and must have been named.
    assert tables.appointments.keys() <= affected(answers), "booked without a prescriber, and nobody was told"
    assert faults(arena.engine, arena.clinic.call.organization_id) == []
    assert list(ledger.lost(did, tables)) == []


@pytest.mark.slow
def test_a_closure_names_every_visit_that_stands_in_it(arena: Arena, server: Server, desk: Caller) -> None:
    """The one writer of the location's row gets its turn, however many bookings share it."""
    path = f"/v1/locations/{arena.clinic.location_id}"
    tag = desk.get(path).headers["ETag"]
    day = str(arena.at(1, "12:00").date())
    running = fight(arena, desk, "talk")
    next(running)
    answer = desk.patch(path, {"closures": [{"from": day, "to": day}]}, if_match=tag)
    did = next(running)
    assert answer.status == 200, answer.body
    assert refusals(did, "location_closed") == set()
    tables = Tables(arena.engine, arena.clinic.call.organization_id)
    open_, end = arena.at(1, "00:00"), arena.at(2, "00:00")
    standing = {key for key, row in tables.appointments.items() if row.status in LIVE and open_ <= row.starts_at < end}
    assert standing <= affected([answer])
    assert faults(arena.engine, arena.clinic.call.organization_id) == []


@pytest.mark.slow
def test_units_that_are_taken_do_not_go(arena: Arena, server: Server, desk: Caller) -> None:
    """Units come and go while they are booked; nobody ever serves in more places than they have."""
    nurses = desk.get("/v1/practitioners").body["items"]
    [nurse] = [each for each in nurses if each["units"] == 2]
    path = f"/v1/practitioners/{nurse['id']}"
    running = fight(arena, desk, "watch")
    next(running)
    answers = []
    for units in (1, 2, 1, 2, 1):
        tag = desk.get(path).headers["ETag"]
        answers.append(desk.patch(path, {"units": units}, if_match=tag))
    did = next(running)
    assert {(answer.status, answer.code) for answer in answers} <= {(200, "200"), (409, "in_use")}
    assert refusals(did) == set()
    assert faults(arena.engine, arena.clinic.call.organization_id) == []
