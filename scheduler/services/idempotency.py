"""Answers kept for replay: a POST that comes twice with one Idempotency-Key is carried out once. Knows no route."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, cast

from sqlalchemy import Table, bindparam, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.errors import IdempotencyKeyReused
from scheduler.models import IdempotencyRecord

_TABLE = cast("Table", IdempotencyRecord.__table__)
_MINE = (
    _TABLE.c.organization_id == bindparam("organization"),
    _TABLE.c.key_id == bindparam("bearer"),
    _TABLE.c.key == bindparam("name"),
)


def _take(fresh: postgresql.Insert | sqlite.Insert) -> Any:
    """Insert the key, or take over one whose time is over: says whether it did."""
    anew = {each.name: fresh.excluded[each.name] for each in _TABLE.c if not each.primary_key}
    over = _TABLE.c.expires_at <= bindparam("now", type_=_TABLE.c.expires_at.type)
    return fresh.on_conflict_do_update(index_elements=list(_TABLE.primary_key), set_=anew, where=over).returning(
        _TABLE.c.key
    )


# Made once: every POST with a key asks them.
_TAKE = {"postgresql": _take(postgresql.insert(_TABLE)), "sqlite": _take(sqlite.insert(_TABLE))}
_KNOWN = select(_TABLE.c.fingerprint, _TABLE.c.status, _TABLE.c.headers, _TABLE.c.body).where(*_MINE)
_KEEP = update(_TABLE).where(*_MINE)


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
    asked = {"organization": call.organization_id, "bearer": call.key_id, "name": key}
    fresh: dict[str, Any] = {
        "organization_id": call.organization_id,
        "key_id": call.key_id,
        "key": key,
        "fingerprint": fingerprint,
        "status": None,
        "headers": None,
        "body": None,
        "created_at": call.now,
        "expires_at": call.now + keep,
    }
    taken = session.execute(_TAKE[session.get_bind().dialect.name], fresh | {"now": call.now}).first()
    if taken is not None:
        return None
    known = session.execute(_KNOWN, asked).one()
    if known.fingerprint != fingerprint:
        raise IdempotencyKeyReused("This Idempotency-Key was already used with another request.")
    return Kept(known.status, known.headers or {}, known.body)


def keep(session: Session, call: Call, key: str, answer: Kept) -> None:
    """Store the answer beside its effect, in the same transaction, under the key that `claim` took."""
    asked = {"organization": call.organization_id, "bearer": call.key_id, "name": key}
    session.execute(_KEEP, asked | {"status": answer.status, "headers": answer.headers, "body": answer.body})


def forget(session: Session, call: Call) -> bool:
    """Delete the organization's answers whose time is over. A chore: it leaves nothing behind."""
    session.execute(
        delete(IdempotencyRecord).where(
            IdempotencyRecord.organization_id == call.organization_id, IdempotencyRecord.expires_at <= call.now
        )
    )
    return False
