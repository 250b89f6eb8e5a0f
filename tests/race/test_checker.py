"""The checker sees what it is there to see: each kind of damage, done to a sound clinic by hand, is reported."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from tests.plumbing.servers import Server
from tests.race.arena import Arena
from tests.race.caller import Caller
from tests.race.checker import Tables, faults
from tests.race.crowd import Memory
from tests.race.jobs import course
from tests.race.ledger import lost

MINE = "organization_id = :organization_id"
DAMAGE = {
    "a visit without its patient's time": f"DELETE FROM occupancies WHERE role = 'patient' AND {MINE}",
    "a cancelled visit that takes up time": f"UPDATE appointments SET status = 'cancelled' WHERE {MINE}",
    "a course of which a visit is missing": (
        f"UPDATE appointments SET course_id = NULL, course_session_id = NULL WHERE visit_type = 'evaluation' AND {MINE}"
    ),
    "a message too few": f"DELETE FROM messages WHERE rule = 'remind_24h' AND {MINE}",
    "a message that was lost on the way": f"UPDATE messages SET status = 'failed' WHERE rule = 'remind_72h' AND {MINE}",
    "a course that nobody was told of": f"DELETE FROM messages WHERE appointment_id IS NULL AND {MINE}",
    "a visit without an audit event": f"DELETE FROM audit_events WHERE action = 'appointment.book' AND {MINE}",
    "a course without an audit event": f"DELETE FROM audit_events WHERE action = 'course.book' AND {MINE}",
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_reported(arena: Arena, server: Server, desk: Caller, damage: str) -> None:
    did = course(desk, arena.order(), Memory())
    booked = desk.post("/v1/appointments", arena.wish(1, "talk", 0, "16:00"))
    assert (did[-1]["status"], booked.status) == (201, 201), booked.body
    organization_id = arena.clinic.call.organization_id
    assert faults(arena.engine, organization_id) == []
    with arena.engine.begin() as connection:
        key = organization_id.hex if arena.engine.dialect.name == "sqlite" else organization_id
        assert connection.execute(text(DAMAGE[damage]), {"organization_id": key}).rowcount > 0
    assert faults(arena.engine, organization_id) != []


def test_a_loss_is_reported(arena: Arena, server: Server, desk: Caller) -> None:
    did = course(desk, arena.order(), Memory())
    tables = Tables(arena.engine, arena.clinic.call.organization_id)
    assert list(lost(did, tables)) == []
    assert len(list(lost([], tables))) == 5, "visits that nobody was told of"
    assert list(lost([], tables, unknown=True)) == []
    tables.appointments.popitem()
    assert len(list(lost(did, tables, unknown=True))) == 1, "a visit that was acknowledged and is gone"
