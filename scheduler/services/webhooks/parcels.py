"""What a worker carries to webhooks: claimed under a lease with a token, settled by whoever holds it. Sends nothing.

Each address is served by itself, so that one that hangs holds up no other; one that fails is tried with one parcel.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, delete, exists, or_, select, update
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.webhooks import is_given_up, next_try
from scheduler.models import Webhook, WebhookDelivery
from scheduler.services import audit, tasks
from scheduler.services.webhooks.endpoints import TASK

#: What has ended is kept so long.
KEPT = timedelta(days=30)
#: So many tries of one delivery are kept: more than there are of one, unless it was told again by hand.
TRIES_KEPT = 30
#: How soon somebody should see to an address that was switched off.
_SOON = timedelta(hours=4)
_OPEN = WebhookDelivery.status.in_(("pending", "sending"))


@dataclass(frozen=True)
class Parcel:
    """One delivery as it leaves. `secrets` sign it, the newest first; `tried` are its tries, this one the last."""

    id: UUID
    organization_id: UUID
    webhook_id: UUID
    token: UUID
    url: str
    secrets: tuple[str, ...]
    body: str
    attempts: int
    tried: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class Arrival:
    """How it went: `error` is empty when it was taken. `gone` says that nothing may be sent there any more.

    `rest` are the seconds for which the receiver asked to be left alone.
    """

    parcel: Parcel
    error: str = ""
    gone: bool = False
    rest: float | None = None


def due(session: Session, now: datetime) -> list[tuple[UUID, UUID]]:
    """(organization, address) wherever something is due: a look, which locks nothing."""
    mine = WebhookDelivery.organization_id == Webhook.organization_id, WebhookDelivery.webhook_id == Webhook.id
    waiting = exists().where(*mine, _OPEN, WebhookDelivery.due_at <= now, _is_free(now))
    chosen = select(Webhook.organization_id, Webhook.id).where(Webhook.enabled, waiting)
    return [(row.organization_id, row.id) for row in session.execute(chosen.order_by(Webhook.id))]


def claim(session: Session, call: Call, webhook_id: UUID, *, limit: int, lease: timedelta, token: UUID) -> list[Parcel]:
    """Take up to `limit` due deliveries of one address, one when it has been failing; those of dead workers too."""
    webhook = session.get(Webhook, (call.organization_id, webhook_id), populate_existing=True)
    if webhook is None or not webhook.enabled:
        return []
    rows = session.scalars(
        select(WebhookDelivery)
        .where(
            WebhookDelivery.organization_id == call.organization_id,
            WebhookDelivery.webhook_id == webhook_id,
            _OPEN,
            WebhookDelivery.due_at <= call.now,
            _is_free(call.now),
        )
        .order_by(WebhookDelivery.due_at, WebhookDelivery.id)
        .limit(limit if webhook.failing_since is None else 1)
        .with_for_update(skip_locked=True, key_share=True)
        .execution_options(populate_existing=True)
    ).all()
    keys = [webhook.secret]
    if webhook.old_secret and webhook.old_secret_until is not None and webhook.old_secret_until > call.now:
        keys.append(webhook.old_secret)
    for row in rows:
        row.status, row.token, row.lease_until, row.tried_at = "sending", token, call.now + lease, call.now
        row.attempts += 1
        begun = {"began_at": call.now.isoformat(), "ended_at": None, "error": None}
        row.tried = [*row.tried, begun][-TRIES_KEPT:]
    session.flush()
    said = (webhook.url, tuple(keys))
    return [
        Parcel(row.id, row.organization_id, webhook_id, token, *said, _text(row), row.attempts, tuple(row.tried))
        for row in rows
    ]


def settle(session: Session, call: Call, arrival: Arrival, *, left: Sequence[Parcel] = ()) -> None:
    """Write down how it went, if the parcel is still this worker's, and what follows for its address.

    What is `left` was claimed and not begun: any worker may take it.
    """
    parcel = arrival.parcel
    for other in left:
        _end(session, other, status="pending", attempts=other.attempts - 1, tried=list(other.tried[:-1]))
    ended = {"ended_at": call.now.isoformat(), "error": arrival.error[:300] or None}
    tried = [*parcel.tried[:-1], *({**each, **ended} for each in parcel.tried[-1:])]
    if not arrival.error:
        _end(session, parcel, status="delivered", delivered_at=call.now, error=None, tried=tried)
        arrived = Webhook.organization_id == parcel.organization_id, Webhook.id == parcel.webhook_id
        session.execute(update(Webhook).where(*arrived, Webhook.failing_since.is_not(None)).values(failing_since=None))
        return
    again = next_try(parcel.attempts, parcel.id, call.now, rest=arrival.rest)
    _end(
        session,
        parcel,
        status="failed" if again is None else "pending",
        error=arrival.error[:300],
        tried=tried,
        **({} if again is None else {"due_at": again}),
    )
    webhook = session.get_one(
        Webhook,
        (parcel.organization_id, parcel.webhook_id),
        with_for_update={"key_share": True},
        populate_existing=True,
    )
    since = webhook.failing_since or call.now
    if webhook.enabled and (arrival.gone or is_given_up(since, call.now)):
        _switch_off(session, call, webhook, since, gone=arrival.gone)
    elif webhook.failing_since is None:
        mine = Webhook.organization_id == parcel.organization_id, Webhook.id == parcel.webhook_id
        session.execute(update(Webhook).where(*mine).values(failing_since=call.now))


def forget(session: Session, call: Call) -> bool:
    """A chore: what has ended long ago is deleted. Nothing is left to do."""
    old = WebhookDelivery.created_at <= call.now - KEPT, WebhookDelivery.status.in_(("delivered", "failed"))
    session.execute(delete(WebhookDelivery).where(WebhookDelivery.organization_id == call.organization_id, *old))
    return False


def _switch_off(session: Session, call: Call, webhook: Webhook, since: datetime, *, gone: bool) -> None:
    why = "It answered that it is gone." if gone else f"Nothing has arrived there since {since:%Y-%m-%d %H:%M} UTC."
    webhook.enabled, webhook.disabled_reason, webhook.failing_since = False, why, since
    session.flush()
    after = {"enabled": False, "reason": why}
    audit.note(session, call, "webhook.disable", "webhook", webhook.id, before={"enabled": True}, after=after)
    tasks.owe(
        session,
        call,
        kind=TASK,
        key=str(webhook.id),
        title="A webhook was switched off",
        detail=f"{why} What it was not told waits; switch it on again, or remove it.",
        due_at=call.now + _SOON,
    )


def _end(session: Session, parcel: Parcel, **values: Any) -> None:
    mine = WebhookDelivery.organization_id == parcel.organization_id, WebhookDelivery.id == parcel.id
    held = WebhookDelivery.token == parcel.token, WebhookDelivery.status == "sending"
    session.execute(
        update(WebhookDelivery).where(*mine, *held).values(token=None, lease_until=None, **values),
        execution_options={"synchronize_session": False},
    )


def _is_free(now: datetime) -> ColumnElement[bool]:
    """Nobody holds it, or nobody alive."""
    return or_(WebhookDelivery.status == "pending", WebhookDelivery.lease_until <= now)


def _text(row: WebhookDelivery) -> str:
    """The same bytes at every try."""
    return json.dumps(row.payload, sort_keys=True, separators=(",", ":"))
