"""Several people change one visit, or one course, at the same moment: each change is judged after the one before it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tests.plumbing.servers import Server
from tests.race import ledger
from tests.race.arena import Arena
from tests.race.caller import Caller
from tests.race.checker import Tables, faults
from tests.race.crowd import at_once


def made(desk: Caller, arena: Arena, patient: int = 0) -> dict[str, Any]:
    """A visit on the first Monday."""
    answer = desk.post("/v1/appointments", arena.wish(patient, "talk", 0, "09:00"))
    assert answer.status == 201, answer
    return dict(answer.body)


def statuses(did: list[dict[str, Any]]) -> Counter[tuple[int, str]]:
    return Counter((each["status"], each["code"]) for each in did)


@pytest.mark.slow
def test_moves_without_a_revision_wait_for_each_other(arena: Arena, server: Server, desk: Caller) -> None:
    """Nobody said which revision they saw, so nobody is told that it is stale: the last one stands."""
    path = f"/v1/appointments/{made(desk, arena)['id']}"
    clocks = ("09:00", "10:00", "11:00", "12:00", "13:00", "14:00", "15:00", "16:00")
    orders = [{"path": f"{path}/reschedule", "body": {"start": start}} for start in arena.starts([1], clocks)]
    did = at_once(desk, "post", orders)
    assert statuses(did) == {(200, "200"): 8}
    assert sorted(each["seen"][0]["sequence"] for each in did) == [1, 2, 3, 4, 5, 6, 7, 8]
    last = max(did, key=lambda each: each["seen"][0]["sequence"])
    assert desk.get(path).body["start"] == last["seen"][0]["start"]
    assert faults(arena.engine, arena.clinic.call.organization_id) == []


@pytest.mark.slow
def test_a_cancellation_ends_what_races_with_it(arena: Arena, server: Server, desk: Caller) -> None:
    """Moves before it count, moves after it are illegal; it happens once."""
    for patient in range(4):
        path = f"/v1/appointments/{made(desk, arena, patient)['id']}"
        starts = arena.starts([1, 2], ("09:00", "10:00"))
        moves = [{"path": f"{path}/reschedule", "body": {"start": start}} for start in starts]
        stops = [{"path": f"{path}/cancel", "body": {"reason": "asked for", "by": "patient"}} for _ in range(4)]
        did = at_once(desk, "post", [each for pair in zip(moves, stops, strict=True) for each in pair])
        codes = statuses(did)
        assert codes.keys() <= {(200, "200"), (409, "illegal_transition")}
        cancelled = [each for each in did if each["status"] == 200 and each["seen"][0]["status"] == "cancelled"]
        assert len(cancelled) == 1
        moved = [each["seen"][0]["sequence"] for each in did if each["status"] == 200 and each not in cancelled]
        assert cancelled[0]["seen"][0]["sequence"] == len(moved) + 1
        assert desk.get(path).body["status"] == "cancelled"
    tables = Tables(arena.engine, arena.clinic.call.organization_id)
    assert tables.occupancies == {}
    assert faults(arena.engine, arena.clinic.call.organization_id) == []


@pytest.mark.slow
def test_of_changes_to_one_revision_one_is_made(arena: Arena, server: Server, desk: Caller) -> None:
    booked = made(desk, arena)
    path = f"/v1/appointments/{booked['id']}/reschedule"
    revision = {"if_match": f'"{booked["version"]}"'}
    clocks = ("09:00", "10:00", "11:00", "12:00", "13:00", "14:00", "15:00", "16:00")
    orders = [{"path": path, "body": {"start": start}, "headers": revision} for start in arena.starts([1], clocks)]
    did = at_once(desk, "post", orders)
    assert statuses(did) == {(200, "200"): 1, (412, "precondition_failed"): 7}
    assert faults(arena.engine, arena.clinic.call.organization_id) == []


@pytest.mark.slow
def test_two_visits_that_change_places(arena: Arena, server: Server, desk: Caller) -> None:
    """Each wants the time that the other has, over and over: nobody waits for the other for ever."""
    ids = [desk.post("/v1/appointments", arena.wish(who, "infusion", 0, "09:00")).body["id"] for who in (0, 1)]
    starts = arena.starts([0], ("09:00", "13:00"))
    orders = [
        {"path": f"/v1/appointments/{ids[place % 2]}/reschedule", "body": {"start": start}, "times": 5}
        for place, start in enumerate(starts * 4)
    ]
    did = at_once(desk, "post", orders)
    assert statuses(did).keys() <= {(200, "200"), (409, "resource_busy")}
    assert ledger.raced(did) == []
    assert faults(arena.engine, arena.clinic.call.organization_id) == []
