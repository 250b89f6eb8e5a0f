"""Who saw it: what of a heap began although its visit had been cancelled or moved by then. No test lives here.

Two witnesses. The database's own, a trigger, looks at the visit in the moment in which an attempt is recorded, so that
no clock decides. And every attempt's recorded begin is compared with the moment at which a commit had come back, for
what no row lock puts in order (opt-outs); what arrived more often than it began has slipped past both.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from uuid import UUID

from sqlalchemy import Engine, select, text
from sqlalchemy.orm import Session

from scheduler.models import MessageAttempt
from tests.clinic import Clinic

_SEEN = """
INSERT INTO begun_too_late (message_id)
SELECT messages.id FROM messages JOIN appointments AS visit
    ON visit.organization_id = messages.organization_id AND visit.id = messages.appointment_id
WHERE messages.organization_id = NEW.organization_id AND messages.id = NEW.message_id AND messages.rule LIKE 'heap-%'
    AND (visit.status = 'cancelled' OR visit.sequence <> messages.sequence);
"""
_TRIGGER = "CREATE TRIGGER witness BEFORE INSERT ON message_attempts FOR EACH ROW "
_ON = {
    "sqlite": ("CREATE TABLE begun_too_late (message_id BLOB)", f"{_TRIGGER} BEGIN {_SEEN} END"),
    "postgresql": (
        "CREATE TABLE begun_too_late (message_id uuid)",
        f"CREATE FUNCTION witness() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {_SEEN} RETURN NEW; END $$",
        f"{_TRIGGER} EXECUTE FUNCTION witness()",
    ),
}


def watch(engine: Engine) -> None:
    """Let the database note from now on what begins too late."""
    with engine.begin() as connection:
        for statement in _ON[engine.dialect.name]:
            connection.execute(text(statement))


def begun_too_late(clinic: Clinic, committed: Mapping[UUID, datetime], arrived: Iterable[str]) -> list[str]:
    """What of these messages began after what forbids it had committed, and how it is known.

    `committed` says of each message when that commit had come back; `arrived` are the ids of all that anybody
    received, each as often as it came.
    """
    with Session(clinic.engine) as session:
        seen = session.scalar(text("SELECT count(*) FROM begun_too_late"))
        attempts = session.execute(select(MessageAttempt.message_id, MessageAttempt.began_at))
        began = [(key, at) for key, at in attempts if key in committed]
    found = ["the database saw it begin"] * (seen or 0)
    found += [f"{key} began at {at}" for key, at in began if at > committed[key]]
    tries = Counter(str(key) for key, _ in began)
    came = Counter(key for key in arrived if UUID(key) in committed)
    return found + [f"{key} came {came[key]} times by {tries[key]} attempts" for key in came if came[key] > tries[key]]
