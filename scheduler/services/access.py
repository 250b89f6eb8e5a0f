"""API keys: who they are, what they may do, how they end. Knows no request and no header."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import cast
from uuid import UUID

from sqlalchemy import Table, bindparam, select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.errors import Fault, Invalid, NotFound, ScopeMissing, Unauthorized
from scheduler.core.scopes import expand
from scheduler.models import ApiKey, Organization, new_id
from scheduler.services import audit, tokens
from scheduler.services.paging import Page, page
from scheduler.services.ready import Ready
from scheduler.services.records import Revision, expect, hold

_KEYS = cast("Table", ApiKey.__table__).c
#: Columns, not an entity, and made once: this runs before every request.
_KEY = Ready(
    select(_KEYS.name, _KEYS.secret_hash, _KEYS.scopes, _KEYS.expires_at, _KEYS.revoked_at).where(
        _KEYS.organization_id == bindparam("organization"), _KEYS.id == bindparam("key")
    )
)


@dataclass(frozen=True)
class Bearer:
    """Who a good key stands for."""

    organization_id: UUID
    key_id: UUID
    name: str
    scopes: frozenset[str]


def authenticate(session: Session, token: str, now: datetime) -> Bearer:
    """The bearer of a key. Raises `Unauthorized`, alike whether it is malformed, unknown, expired or revoked."""
    shown = tokens.read("regimen", token)
    row = None
    if shown is not None:
        row = next(iter(_KEY.rows(session, {"organization": shown.organization_id, "key": shown.row_id})), None)
    if (
        shown is None
        or not shown.opens(row.secret_hash if row else None)
        or row is None
        or _is_over(row.revoked_at, row.expires_at, now)
    ):
        raise Unauthorized("This needs a valid API key: `Authorization: Bearer <key>`.")
    return Bearer(shown.organization_id, shown.row_id, row.name, frozenset(row.scopes))


def require(call: Call, scope: str) -> None:
    """Raises `ScopeMissing` unless the caller holds that scope."""
    if scope not in call.scopes:
        raise ScopeMissing(f"This key lacks the scope `{scope}`.")


def create_key(
    session: Session, call: Call, *, name: str, scopes: Iterable[str], expires_at: datetime | None = None
) -> tuple[ApiKey, str]:
    """A new key and its token, which is shown once and kept nowhere. `scopes` may name bundles.

    Raises `ScopeMissing` when the caller would give away what it does not have, `Invalid` for an unknown scope or an
    expiry that has passed.
    """
    granted = expand(scopes)
    excess = granted - call.scopes
    if excess:
        raise ScopeMissing(f"A key cannot grant what it lacks: {', '.join(sorted(excess))}.")
    check_expiry(call, expires_at)
    key_id = new_id()
    token, secret_hash = tokens.issue("regimen", call.organization_id, key_id)
    row = ApiKey(
        organization_id=call.organization_id,
        id=key_id,
        name=name,
        secret_hash=secret_hash,
        scopes=sorted(granted),
        created_at=call.now,
        expires_at=expires_at,
    )
    session.add(row)
    audit.note(session, call, "key.create", "api_key", row.id, after={"name": name, "scopes": row.scopes})
    return row, token


def check_expiry(call: Call, expires_at: datetime | None) -> None:
    """Raises Invalid for an expiry that has passed."""
    if expires_at is not None and expires_at <= call.now:
        raise Invalid([Fault("/expires_at", "in_the_past", "The key would be expired from the start.")])


def get_key(session: Session, call: Call, key_id: UUID) -> ApiKey:
    """One key of the organization. Raises `NotFound`."""
    row = session.get(ApiKey, (call.organization_id, key_id))
    if row is None:
        raise NotFound("There is no such API key.")
    return row


def list_keys(session: Session, call: Call, *, limit: int = 50, cursor: str | None = None) -> Page[ApiKey]:
    """The organization's keys, oldest first, the ended ones too."""
    wanted = select(ApiKey).where(ApiKey.organization_id == call.organization_id)
    return page(session, call, wanted, [ApiKey.id], limit=limit, cursor=cursor)


def revoke_key(session: Session, call: Call, key_id: UUID, *, revision: Revision | None = None) -> ApiKey:
    """End a key at once; ending it twice changes nothing. Raises `NotFound`, `StaleRevision`."""
    row = hold(session, get_key(session, call, key_id))
    expect(row, revision)
    if row.revoked_at is None:
        row.revoked_at = call.now
        audit.note(session, call, "key.revoke", "api_key", row.id, before={"name": row.name})
    return row


def organizations(session: Session) -> list[tuple[UUID, str]]:
    """(id, name) of every organization of the house, oldest first. For the operator's commands, never for a request."""
    rows = session.execute(select(Organization.id, Organization.name).order_by(Organization.id))
    return [(row.id, row.name) for row in rows]


def _is_over(revoked_at: datetime | None, expires_at: datetime | None, now: datetime) -> bool:
    return revoked_at is not None or (expires_at is not None and expires_at <= now)
