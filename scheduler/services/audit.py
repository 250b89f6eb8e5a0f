"""The audit trail: one append-only row per change, written in the transaction of the change. Decides nothing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Table, bindparam, insert, select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.webhooks import EVENTS
from scheduler.models import AuditEvent, Webhook, new_id
from scheduler.services.events import publish
from scheduler.services.paging import Page, page

_TABLE = cast("Table", AuditEvent.__table__)
_HOOKS = cast("Table", Webhook.__table__).c
_INSERT = insert(_TABLE)
#: Whether anybody outside wants to be told, as a column of whatever else is asked.
LISTENING = select(_HOOKS.id).where(_HOOKS.organization_id == bindparam("organization"), _HOOKS.enabled).exists()
#: Asks in the same statement whether anybody outside wants to be told.
_INSERT_ASKING = _INSERT.returning(LISTENING)


def note(
    session: Session,
    call: Call,
    action: str,
    subject_type: str,
    subject_id: UUID,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    reason: str | None = None,
) -> None:
    """Add one event, e.g. `note(s, c, "location.create", "location", row.id, after={...})`.

    `before`/`after` hold what changed; dates and ids in them are written as text. The caller's transaction keeps it,
    and with it what webhooks are owed of the change.
    """
    _, [row] = event(call, action, subject_type, subject_id, before=before, after=after, reason=reason)
    if action not in EVENTS:
        session.execute(_INSERT, row)
    elif session.execute(_INSERT_ASKING, row | {"organization": call.organization_id}).scalar_one():
        publish(session, call, action, subject_id)


def note_booked(session: Session, call: Call, made: Mapping[UUID, Mapping[str, Any]]) -> None:
    """Add the booking of several visits at once, each as it is now by its id, and what webhooks are owed of them."""
    action = "appointment.book"
    rows = [row for key, after in made.items() for row in event(call, action, "appointment", key, after=after)[1]]
    if not rows:
        return
    session.flush()
    session.execute(_INSERT, rows)
    if session.execute(select(LISTENING), {"organization": call.organization_id}).scalar_one():
        for key in made:
            publish(session, call, action, key)


def event(
    call: Call,
    action: str,
    subject_type: str,
    subject_id: UUID,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    reason: str | None = None,
) -> tuple[Table, list[dict[str, Any]]]:
    """The same as a row of its table, for a sheet of other rows that belong to it.

    Whoever puts the sheet down owes what webhooks are owed, by `events.publish`, if somebody is `LISTENING`.
    """
    return _TABLE, [
        {
            "organization_id": call.organization_id,
            "id": new_id(),
            "at": call.now,
            "actor": call.actor,
            "key_id": call.key_id,
            "request_id": call.request_id,
            "action": action,
            "subject_type": subject_type,
            "subject_id": subject_id,
            "before": _plain(before),
            "after": _plain(after),
            "reason": reason,
        }
    ]


def list_events(
    session: Session,
    call: Call,
    *,
    subject_id: UUID | None = None,
    action: str | None = None,
    actor: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = 50,
    cursor: str | None = None,
) -> Page[AuditEvent]:
    """Events of the organization, newest first, `since` inclusive and `until` exclusive."""
    wanted = select(AuditEvent).where(AuditEvent.organization_id == call.organization_id)
    if subject_id is not None:
        wanted = wanted.where(AuditEvent.subject_id == subject_id)
    if action is not None:
        wanted = wanted.where(AuditEvent.action == action)
    if actor is not None:
        wanted = wanted.where(AuditEvent.actor == actor)
    if since is not None:
        wanted = wanted.where(AuditEvent.at >= since)
    if until is not None:
        wanted = wanted.where(AuditEvent.at < until)
    return page(session, call, wanted, [AuditEvent.at, AuditEvent.id], limit=limit, cursor=cursor, descending=True)


#: Kinds of JSON's own that never change.
_OWN = frozenset({str, int, bool, float, type(None)})


def _plain(value: Any) -> Any:
    """JSON's own kinds only: what the document column can hold, and nothing that changes later."""
    if type(value) in _OWN:
        return value
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): item if type(item) in _OWN else _plain(item) for key, item in value.items()}
    return value
