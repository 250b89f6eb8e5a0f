"""Several people change one visit, or one course, at the same moment: each change is judged after the one before it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tests.plumbing.servers import Server
from tests.race.arena import Arena
from tests.race.caller import Caller
from tests.race.checker import faults
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
