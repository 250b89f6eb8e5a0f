"""The reference for messages: bare SQL that claims and marks the same rows, knows no rule and writes no words.

`same` leaves the rows behind that the product does: each message and attempt with what is its own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import uuid4

from sqlalchemy import Engine

from scheduler.services.outbox.due import COLUMNS

# Statement by statement what the product claims and marks with, about as many rows.
_COLUMNS = ", ".join(column.name for column in COLUMNS)
_DUE = f"""
    SELECT {_COLUMNS} FROM messages
    WHERE organization_id = :org AND status IN ('pending', 'sending') AND due_at <= :now
        AND (status = 'pending' OR lease_until <= :now)
    ORDER BY due_at, id LIMIT :limit"""  # noqa: S608 - our own columns
_TAKE = """
    UPDATE messages SET status = 'sending', token = :token, lease_until = :until
    WHERE organization_id = :org AND id IN ({ids})"""
_RENEW = """
    UPDATE messages SET lease_until = :until, attempts = attempts + 1
    WHERE organization_id = :org AND id IN ({ids}) AND status = 'sending' AND token = :token AND called_off_at IS NULL
    RETURNING id, attempts, (SELECT sequence || '/' || status || '/' || coalesce(outcome, '') FROM appointments a
        WHERE a.organization_id = messages.organization_id AND a.id = messages.appointment_id),
        (SELECT revision FROM patients p
        WHERE p.organization_id = messages.organization_id AND p.id = messages.patient_id)"""
_BEGIN = """
    INSERT INTO message_attempts (organization_id, message_id, number, channel, began_at)
    VALUES (:org, :id, :number, 'sms', :now)"""
_BEGIN_ALL = """
    INSERT INTO message_attempts (organization_id, message_id, number, channel, began_at)
    SELECT :org, id, number, 'sms', :now FROM unnest(:ids, :numbers) AS begun(id, number)"""
_END = """
    UPDATE message_attempts SET ended_at = :now, outcome = 'accepted', provider_id = :provider
    WHERE organization_id = :org AND message_id = :id AND ended_at IS NULL"""
_END_ALL = """
    UPDATE message_attempts SET ended_at = :now, outcome = 'accepted', provider_id = ended.provider
    FROM unnest(CAST(:ids AS uuid[]), CAST(:providers AS text[])) AS ended(id, provider)
    WHERE organization_id = :org AND message_id = ended.id AND ended_at IS NULL"""
_SENT = """
    UPDATE messages SET status = 'sent', reason = NULL, token = NULL, lease_until = NULL, sent_at = :now, body = {body},
        provider_id = {provider}, sent_to = {to}{given}
    WHERE organization_id = :org AND {which} AND status = 'sending' AND token = :token"""
_MARK = _SENT.format(body=":body", provider=":provider", to=":to", given="", which="id = :id")
_MARK_ALL = _SENT.format(
    body="CAST(ended.body AS jsonb)",
    provider="ended.provider",
    to=":to",
    given="""
    FROM unnest(CAST(:ids AS uuid[]), CAST(:providers AS text[]), CAST(:bodies AS text[]))
        AS ended(id, provider, body)""",
    which="messages.id = ended.id",
)
#: All of them with the same words.
_MARK_ALIKE = _SENT.format(body=":body", provider=":provider", to=":to", given="", which="id IN ({ids})")
_SAID = {
    "body": json.dumps({"subject": "", "body": "x" * 93, "locale": "en"}),
    "provider": "p" * 36,
    "to": "+12025550123",
}


class _Bare:
    """One connection, and how its driver wants to be asked."""

    def __init__(self, engine: Engine) -> None:
        self._raw = engine.raw_connection()
        self._connection = cast("Any", self._raw.driver_connection)
        self.is_postgres = engine.dialect.name == "postgresql"
        if self.is_postgres:
            self._connection.autocommit = True

    def close(self) -> None:
        """Give the connection back as it was."""
        if self.is_postgres:
            self._connection.autocommit = False
        self._raw.close()

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        """What is done with this cursor is kept."""
        cursor = self._connection.cursor()
        cursor.execute("BEGIN" if self.is_postgres else "BEGIN IMMEDIATE")
        yield cursor
        cursor.execute("COMMIT")

    def asked(self, statement: str) -> str:
        """The statement with the driver's own placeholders."""
        return re.sub(r":(\w+)", r"%(\1)s", statement) if self.is_postgres else statement

    def of(self, statement: str, ids: Sequence[Any], values: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """The statement about these rows."""
        if self.is_postgres:
            return self.asked(statement.replace("IN ({ids})", "= ANY(:ids)")), values | {"ids": list(ids)}
        named = {f"id{place}": key for place, key in enumerate(ids)}
        return statement.format(ids=", ".join(f":{name}" for name in named)), values | named

    def note(self, cursor: Any, ids: Sequence[Any], numbers: Sequence[int], held: dict[str, Any]) -> None:
        """Record that these begin, each its attempt of that number."""
        if self.is_postgres:
            statement, values = self.of(_BEGIN_ALL, ids, held)
            cursor.execute(statement, values | {"numbers": list(numbers)})
            return
        cursor.executemany(_BEGIN, [held | {"id": key, "number": each} for key, each in zip(ids, numbers, strict=True)])

    def mark(self, cursor: Any, ids: Sequence[Any], held: dict[str, Any]) -> None:
        """Write down that these have ended, each with words and a name of its own."""
        said = [json.dumps({"subject": "", "body": f"{key!s:x>93}", "locale": "en"}) for key in ids]
        if self.is_postgres:
            names = [str(key) for key in ids]
            values = held | {"ids": list(ids), "providers": names, "bodies": said, "to": _SAID["to"]}
            cursor.execute(self.asked(_MARK_ALL), values)
            cursor.execute(self.asked(_END_ALL), values)
            return
        each = [
            held | {"id": key, "provider": key, "body": body, "to": _SAID["to"]}
            for key, body in zip(ids, said, strict=True)
        ]
        cursor.executemany(_MARK, each)
        cursor.executemany(_END, each)

    def kept(self, moment: datetime) -> Any:
        """An instant as the column holds it."""
        return moment if self.is_postgres else int(moment.timestamp() * 1_000_000)


@contextmanager
def bare_loop(engine: Engine, side: str, batch: int, at_once: int, lease: timedelta) -> Iterator[Callable[[], int]]:
    """One claim and its marks: `same` renews and re-reads as few at a time as the product, `batch` marks a claim."""
    bare = _Bare(engine)
    with bare.transaction() as cursor:
        organization = cursor.execute("SELECT id FROM organizations LIMIT 1").fetchone()[0]
    due = bare.asked(_DUE + (" FOR NO KEY UPDATE SKIP LOCKED" if bare.is_postgres else ""))

    def step() -> int:
        now = datetime.now(UTC)
        token = uuid4() if bare.is_postgres else uuid4().hex
        held = {"org": organization, "token": token, "now": bare.kept(now), "until": bare.kept(now + lease)}
        with bare.transaction() as cursor:
            ids = [row[0] for row in cursor.execute(due, held | {"limit": batch}).fetchall()]
            if ids:
                cursor.execute(*bare.of(_TAKE, ids, held))
        size = batch if side == "batch" else at_once
        last: Sequence[Any] = ()
        for group in [ids[place : place + size] for place in range(0, len(ids) + size, size)]:
            with bare.transaction() as cursor:
                if last and side == "batch":
                    cursor.execute(*bare.of(_MARK_ALIKE, last, held | _SAID))
                elif last:
                    bare.mark(cursor, last, held)
                if group and side == "same":
                    begun = cursor.execute(*bare.of(_RENEW, group, held)).fetchall()
                    bare.note(cursor, [row[0] for row in begun], [row[1] for row in begun], held)
            last = group
        return len(ids)

    try:
        yield step
    finally:
        bare.close()
