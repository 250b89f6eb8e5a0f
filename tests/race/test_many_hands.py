"""Many hands at one desk do anything to the same few visits, over HTTP, while the waitlist is swept and news is owed.

On a real server: nothing is double, in part or lost, no answer is a fault, and no refusal tells of a race. The doctor
says what must be true of the tables; that the law of availability holds of them is asked of the server itself.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.errors import LostRace
from scheduler.database import snapshot
from scheduler.models import Resource, VisitTypeRow
from scheduler.services import waitlist
from scheduler.services.doctor import examine
from tests.desk import TALK
from tests.plumbing.effort import at_length
from tests.plumbing.servers import Server
from tests.race import ledger
from tests.race.arena import Arena
from tests.race.caller import Caller
from tests.race.checker import Tables
from tests.race.hands import CODES, Desk, Hands

PAIRS = 6
CIRCLE = TALK | {"code": "circle", "name": "Circle", "kind": "group", "group": {"minimum": 2, "maximum": 3}}
#: What was changed since it was read: there a refusal says that somebody was faster.
STALE = 412
SEEDS = range(20 if at_length() else 1)


@pytest.fixture
def desk_of_all(arena: Arena) -> Desk:
    arena.clinic.visit(CIRCLE)
    mine = arena.clinic.call.organization_id
    with Session(arena.engine) as session:
        things = session.execute(select(Resource.kind, Resource.id).where(Resource.organization_id == mine)).all()
        types = session.execute(select(VisitTypeRow.code, VisitTypeRow.id).where(VisitTypeRow.organization_id == mine))
        return Desk(
            arena,
            [str(key) for kind, key in things if kind == "practitioner"],
            [str(key) for kind, key in things if kind == "room"],
            {code: str(key) for code, key in types},
        )


def sick(arena: Arena) -> list[str]:
    """What the doctor finds."""
    call = Call(datetime.now(UTC), arena.clinic.call.organization_id, "test")
    with Session(arena.engine) as session, snapshot(session):
        return [f"{each.key}: {each.shown}" for each in examine(session, call) if each.count]


def unlawful(arena: Arena, desk: Caller) -> list[str]:
    """Starts of a morning that are offered and refused, or not offered and booked; of one kind after the other."""
    wrong = []
    day, patient = arena.at(1, "09:00"), str(arena.patient_ids[0])
    until = arena.at(1, "11:00")
    for code in sorted(set(CODES)):
        wish = {"patient_id": patient, "visit_type": code, "location_id": str(arena.clinic.location_id)}
        span = f"from={day.astimezone(UTC):%FT%TZ}&to={until.astimezone(UTC):%FT%TZ}&step=30&limit=100"
        asked = "&".join(f"{name}={value}" for name, value in wish.items())
        offered = {each["start"] for each in desk.get(f"/v1/availability?{asked}&{span}").body["items"]}
        for clock in ("09:00", "09:30", "10:00", "10:30"):
            start = arena.at(1, clock)
            answer = desk.post("/v1/appointments?dry_run=true", wish | {"start": start.isoformat()})
            if answer.is_good != any(datetime.fromisoformat(each) == start for each in offered):
                wrong.append(f"{code} at {clock}: {answer.status} {answer.code}, offered {sorted(offered)}")
    return wrong


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_they_do_at_once(desk_of_all: Desk, server: Server, desk: Caller, seed: int) -> None:
    arena, written = desk_of_all.arena, len(server.log)
    hands = [Hands(desk_of_all, desk, seed * PAIRS + each) for each in range(PAIRS)]
    with ThreadPoolExecutor(PAIRS + 1) as pool:
        done = [pool.submit(each.work, 60 if at_length() else 15) for each in hands]
        while not all(each.done() for each in done):
            with suppress(LostRace):  # as a worker does: there is a next time
                arena.clinic.do(waitlist.sweep, now=datetime.now(UTC))
        did = [each for one in done for each in one.result()]
    assert "Traceback" not in server.log[written:], server.log[written:]
    assert [each for each in did if not 200 <= each["status"] < 500] == []
    assert ledger.raced(each for each in did if each["status"] != STALE) == []
    assert len({each["op"].partition("/")[0] for each in did if each["status"] < 300}) >= 5, "too little was done"
    assert sick(arena) == []
    lost = ledger.lost(did, Tables(arena.engine, arena.clinic.call.organization_id), unknown=True)
    assert list(lost) == []
    assert unlawful(arena, desk) == []
