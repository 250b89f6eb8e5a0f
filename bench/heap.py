"""A clinic with any number of texts due now: so many to a patient, each about a visit that stands. Measures nothing.

The visits begin at many times of the next days, as those do of which a due hour speaks: what has been phrased once
must not serve for all. Ids grow as time does, like those of an installation.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Connection, Engine, Table, delete, insert, select, text, update
from sqlalchemy.orm import Session

from bench.databases import Database
from scheduler.models import Appointment, Message, Patient, Resource, new_id
from tests.desk import book
from tests.postroom import open_postroom

_NO_LIMITS: dict[str, Any] = {"quiet": {"from": "00:00", "to": "00:00"}, "caps": {"per_day": None, "per_week": None}}
_AT_ONCE = 10_000
_COLUMNS = cast("Table", Message.__table__).c.keys()
#: What differs from one copy to the next, `n` counting those of each patient; and where it comes from.
_COPIED: dict[str, dict[str, str]] = {
    "postgresql": {
        "id": "CAST(:prefix || lpad(to_hex(CAST((place - 1) * :each + n AS integer)), 20, '0') AS uuid)",
        "due_at": "pattern.due_at + ((place - 1) * :each + n) * interval '1 millisecond'",
        "FROM": "messages AS pattern, generate_series(0, :each - 1) AS n,"
        " unnest(CAST(:people AS uuid[]), CAST(:visits AS uuid[])) WITH ORDINALITY AS given (patient, visit, place)",
    },
    "sqlite": {
        "id": ":prefix || printf('%020x', (place - 1) * :each + n)",
        "due_at": "pattern.due_at + ((place - 1) * :each + n) * 1000",
        "FROM": "messages AS pattern, (SELECT value AS n FROM json_each(:numbers)),"
        " (SELECT value ->> 0 AS patient, value ->> 1 AS visit, key + 1 AS place FROM json_each(:pairs))",
    },
}
for _of in _COPIED.values():
    _of |= {"patient_id": "patient", "appointment_id": "visit", "rule": "'heap-' || n"}


class Heap:
    """Owes messages by the thousand, straight into the tables, `each` to a patient."""

    def __init__(self, database: Database, *, each: int = 20) -> None:
        self.url, self._database, self._each = database.url, database, each
        self._clinic = open_postroom(database.engine, **_NO_LIMITS)
        self._visit = book(self._clinic, self._clinic.patient(), "session", "2030-03-04 09:00").id
        with self.engine.begin() as connection:
            connection.execute(update(Message).values(status="suppressed"))

    @property
    def engine(self) -> Engine:
        """To the database that they lie in."""
        return self._database.engine

    def grow(self, count: int) -> None:
        """Owe that many more."""
        due = datetime.now(UTC) - timedelta(minutes=1)
        with Session(self.engine) as session:
            visit = session.get_one(Appointment, (self._clinic.call.organization_id, self._visit))
            patterns = {
                Resource: _values(session, Resource, visit.patient_id),
                Patient: _values(session, Patient, visit.patient_id),
                Appointment: _values(session, Appointment, visit.id),
            }
        known = 0
        for since in range(0, count, _AT_ONCE):
            if since >= 2 * known:
                # A server plans how it looks for what a foreign key names once for each connection, and anew only when
                # it is told how large the tables have become: by a plan for empty ones a million would take hours.
                self._database.analyze()
                known = since or _AT_ONCE // 2
            with self._unhurried() as connection:
                size = min(_AT_ONCE, count - since)
                people = [new_id() for _ in range(-(-size // self._each))]
                visits = {whose: new_id() for whose in people}
                for model, of in ((Resource, "id"), (Patient, "id")):
                    connection.execute(insert(model), [patterns[model] | {of: whose} for whose in people])
                connection.execute(
                    insert(Appointment),
                    [
                        patterns[Appointment] | _at(patterns[Appointment], place) | {"id": key, "patient_id": whose}
                        for place, (whose, key) in enumerate(visits.items())
                    ],
                )
                self._owe(connection, visits, size, due)
        self._database.analyze()

    def _owe(self, connection: Connection, visits: dict[UUID, UUID], size: int, due: datetime) -> None:
        """Owe so many, to each of the patients theirs by one statement: copies of one, which then goes."""
        pattern = self._message(*next(iter(visits.items())), 0, due) | {"rule": "pattern"}
        connection.execute(insert(Message), [pattern])
        of = _COPIED[connection.dialect.name]
        taken = ", ".join(of.get(name, f"pattern.{name}") for name in _COLUMNS)
        copies = f"INSERT INTO messages ({', '.join(_COLUMNS)}) SELECT {taken} FROM {of['FROM']}"  # noqa: S608 - of here
        only = " WHERE pattern.id = :pattern AND (place - 1) * :each + n < :size"
        asked: dict[str, Any] = {"people": list(visits), "visits": list(visits.values()), "pattern": pattern["id"]}
        if connection.dialect.name == "sqlite":
            pairs = json.dumps([(whose.hex, visit.hex) for whose, visit in visits.items()])
            asked = {"pairs": pairs, "pattern": pattern["id"].hex, "numbers": json.dumps([*range(self._each)])}
        asked |= {"size": size, "each": self._each, "prefix": new_id().hex[:12]}
        connection.execute(text(copies + only), asked)
        connection.execute(delete(Message).where(Message.id == pattern["id"]))

    def refill(self) -> None:
        """Let all that was sent be due again, as if it never had been."""
        with self._unhurried() as connection:
            connection.execute(
                update(Message)
                .where(Message.status.in_(("sent", "sending")))
                .values(status="pending", token=None, lease_until=None, sent_at=None, body=None)
            )
        self._database.analyze()

    @contextmanager
    def _unhurried(self) -> Iterator[Connection]:
        """A transaction that may take its time: an installation's patience is for requests."""
        with self.engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SET LOCAL statement_timeout = 0"))
            yield connection

    def _message(self, whose: UUID, visit: UUID, number: int, due: datetime) -> dict[str, Any]:
        return {
            "organization_id": self._clinic.call.organization_id,
            "id": new_id(),
            "patient_id": whose,
            "appointment_id": visit,
            "rule": f"heap-{number % self._each}",
            "kind": "remind_24h",
            "recipient": "patient",
            "channel": "sms",
            "sequence": 0,
            "due_at": due + timedelta(milliseconds=number),
            "expires_at": due + timedelta(days=1),
            "status": "pending",
            "attempts": 0,
            "context": {"about": "2030-03-04T14:00:00+00:00", "class": "reminder", "side": "before"},
            "created_at": due,
        }


def _at(pattern: dict[str, Any], place: int) -> dict[str, Any]:
    """Another time of the visit: every five minutes of ten hours, on twenty days."""
    days, slot = divmod(place % (20 * 120), 120)
    later = timedelta(days=days, minutes=5 * slot)
    return {name: pattern[name] + later for name in ("starts_at", "ends_at")}


def _values(session: Session, model: Any, key: UUID) -> dict[str, Any]:
    columns = cast("Table", model.__table__).c
    return dict(session.execute(select(*columns).where(columns.id == key)).mappings().one())
