"""Sixteen front desks fight for the same few times over HTTP: visits, moves, cancellations and whole courses."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from scheduler.services.availability import Question, search
from tests.plumbing.effort import at_length
from tests.plumbing.servers import Server
from tests.race import ledger
from tests.race.arena import Arena
from tests.race.caller import Caller
from tests.race.checker import Tables, faults
from tests.race.crowd import at_once

CLIENTS = 16


def storm(arena: Arena, desk: Caller, tries: int) -> list[dict[str, Any]]:
    """Everybody wants one of twelve starts, or a course that begins in the same days."""
    order = arena.order(
        tries=tries,
        visit_types=["talk", "watch", "infusion"],
        starts=arena.starts(range(3), ["09:00", "10:30", "13:00", "14:30"]),
    )
    began = time.monotonic()
    did = at_once(desk, "storm", [order | {"seed": seed} for seed in range(CLIENTS)])
    print(f"\n{len(did)} requests in {time.monotonic() - began:.0f} s")  # noqa: T201 - the numbers are wanted (-s)
    print(ledger.table(did))  # noqa: T201
    return did


def offered(arena: Arena, code: str) -> set[str]:
    """The starts of that week by the tables alone, looked at by a process that remembers nothing."""
    engine = create_engine(arena.engine.url, poolclass=NullPool, hide_parameters=True)
    question = Question(code, arena.clinic.location_id, arena.at(0, "00:00"), arena.at(5, "00:00"))
    with Session(engine) as session:
        found, _ = search(session, arena.clinic.call, question, limit=1000)
    return {each.start.isoformat() for each in found}


def shown(arena: Arena, desk: Caller, code: str) -> set[str]:
    """The same as the server shows it."""
    span = {"from": arena.at(0, "00:00").isoformat(), "to": arena.at(5, "00:00").isoformat()}
    asked = urlencode({"visit_type": code, "location_id": arena.clinic.location_id, "limit": 200, **span})
    answer = desk.get(f"/v1/availability?{asked}")
    assert answer.status == 200, answer.body
    assert answer.body["next_cursor"] is None
    return {datetime.fromisoformat(each["start"]).astimezone(UTC).isoformat() for each in answer.body["items"]}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_nothing_is_double_partial_or_lost(arena: Arena, server: Server, desk: Caller) -> None:
    written = len(server.log)
    did = storm(arena, desk, tries=200 if at_length() else 40)
    assert "Traceback" not in server.log[written:], server.log[written:]
    assert ledger.unjust(did) == []
    assert ledger.raced(did) == []
    successes = {each["op"] for each in did if 200 <= each["status"] < 300}
    assert successes == {"book", "move", "cancel", "course", "plan", "book_course"}, "each way in must have been tried"
    assert sum(each["status"] == 409 for each in did) > len(did) // 10, "that was no fight"
    assert list(ledger.lost(did, Tables(arena.engine, arena.clinic.call.organization_id))) == []
    assert faults(arena.engine, arena.clinic.call.organization_id) == []
    for code in ("talk", "watch", "infusion"):  # asked often enough to meet every worker, and what it remembers
        truth = offered(arena, code)
        assert [shown(arena, desk, code) ^ truth for _ in range(8)] == [set()] * 8
