"""Answers kept for replay: a POST that comes twice with one Idempotency-Key is carried out once. Knows no route."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.errors import IdempotencyKeyReused
from scheduler.models import IdempotencyRecord


@dataclass(frozen=True)
class Kept:
    """An answer as it went out: `body` is JSON text, or None when there was none."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: str | None = None


def claim(session: Session, call: Call, key: str, fingerprint: str, *, keep: timedelta) -> Kept | None:
    """Take the key for this transaction and return None, or return the answer that it already has.

    Whoever comes second waits here for the first to commit or roll back. Raises `IdempotencyKeyReused` when the key
    was used with another request (`fingerprint`). An answer older than `keep` is forgotten.
    """
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    fresh: dict[str, Any] = {
        "fingerprint": fingerprint,
        "status": None,
        "headers": None,
        "body": None,
        "created_at": call.now,
        "expires_at": call.now + keep,
    }
    identity = {"organization_id": call.organization_id, "key_id": call.key_id, "key": key}
    statement = insert(IdempotencyRecord).values(**identity, **fresh)
    taken = session.execute(
        statement.on_conflict_do_update(
            index_elements=list(identity), set_=fresh, where=IdempotencyRecord.expires_at <= call.now
        ).returning(IdempotencyRecord.key)
    ).first()
    if taken is not None:
        return None
    known = session.execute(
        select(
            IdempotencyRecord.fingerprint, IdempotencyRecord.status, IdempotencyRecord.headers, IdempotencyRecord.body
        ).where(*_identified(call, key))
    ).one()
    if known.fingerprint != fingerprint:
        raise IdempotencyKeyReused("This Idempotency-Key was already used with another request.")
    return Kept(known.status, known.headers or {}, known.body)


def keep(session: Session, call: Call, key: str, answer: Kept) -> None:
    """Store the answer beside its effect, in the same transaction, under the key that `claim` took."""
    session.execute(
        update(IdempotencyRecord)
        .where(*_identified(call, key))
        .values(status=answer.status, headers=answer.headers, body=answer.body)
    )


def forget(session: Session, call: Call) -> bool:
    """Delete the organization's answers whose time is over. A chore: it leaves nothing behind."""
    session.execute(
        delete(IdempotencyRecord).where(
            IdempotencyRecord.organization_id == call.organization_id, IdempotencyRecord.expires_at <= call.now
        )
    )
    return False


def _identified(call: Call, key: str) -> tuple[ColumnElement[bool], ...]:
    return (
        IdempotencyRecord.organization_id == call.organization_id,
        IdempotencyRecord.key_id == call.key_id,
        IdempotencyRecord.key == key,
    )
