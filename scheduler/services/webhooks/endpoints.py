"""The addresses that are told of changes: made, shown, changed, removed. Their secrets are shown once and kept."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.errors import Fault, Invalid
from scheduler.core.webhooks import address_fault
from scheduler.models import Task, Webhook
from scheduler.services import audit, records, tasks
from scheduler.services.paging import Page
from scheduler.services.records import Revision

#: An organization has at most so many.
MOST = 20
#: For so long an old secret signs beside the new one.
OVERLAP = timedelta(hours=24)
#: The task for a person when an address was switched off.
TASK: Final = "webhook_disabled"
_SECRET_BYTES = 32


@dataclass(frozen=True)
class WebhookView:
    """An address without its secret."""

    id: UUID
    url: str
    description: str
    events: Sequence[str]
    enabled: bool
    disabled_reason: str | None
    failing_since: datetime | None
    old_secret_until: datetime | None
    revision: int
    created_at: datetime


def _view(row: Webhook) -> WebhookView:
    return WebhookView(
        row.id,
        row.url,
        row.description,
        row.events,
        row.enabled,
        row.disabled_reason,
        row.failing_since,
        row.old_secret_until,
        row.revision,
        row.created_at,
    )


KIND = records.Kind("webhook", Webhook, _view, where=(Webhook.deleted_at.is_(None),))


def create(session: Session, call: Call, values: Mapping[str, Any], *, private: bool) -> tuple[WebhookView, str]:
    """A new address of {url, description?, events?}, and its secret, which is not shown again.

    `private` says that addresses of one's own network may be. Raises Invalid.
    """
    _check(values, private=private)
    living = Webhook.organization_id == call.organization_id, *KIND.where
    if session.scalars(select(func.count()).select_from(Webhook).where(*living)).one() >= MOST:
        raise Invalid([Fault("", "too_many", f"There are {MOST} webhooks already: remove one.")])
    secret = _new_secret()
    row = Webhook(organization_id=call.organization_id, secret=secret, created_at=call.now, **values)
    return records.add(session, call, KIND, row), secret


def get(session: Session, call: Call, webhook_id: UUID) -> WebhookView:
    """One address. Raises NotFound."""
    return records.get(session, call, KIND, webhook_id)


def listed(session: Session, call: Call, *, limit: int = 50, cursor: str | None = None) -> Page[WebhookView]:
    """The organization's addresses, oldest first."""
    return records.listing(session, call, KIND, limit=limit, cursor=cursor)


def change(
    session: Session, call: Call, webhook_id: UUID, revision: int, values: Mapping[str, Any], *, private: bool
) -> WebhookView:
    """Change some of {url, description, events, enabled}. Switched on again, it is told what has waited meanwhile.

    Raises NotFound, StaleRevision, Invalid.
    """
    row = records.find(session, call, KIND, webhook_id)
    records.expect(row, revision)
    _check(values, private=private)
    more: dict[str, Any] = {}
    if values.get("enabled"):
        more = {"disabled_reason": None, "failing_since": None}
        tasks.withdraw(session, call, "The webhook is on again.", Task.kind == TASK, Task.key == str(row.id))
    return records.change(session, call, KIND, row, {**values, **more})


def rotate(
    session: Session, call: Call, webhook_id: UUID, *, revision: Revision | None = None
) -> tuple[WebhookView, str]:
    """Give it a new secret, which is not shown again; the old one signs beside it for a day.

    Raises NotFound, StaleRevision.
    """
    row = records.find(session, call, KIND, webhook_id)
    records.expect(row, revision)
    secret = _new_secret()
    row.old_secret, row.old_secret_until = row.secret, call.now + OVERLAP
    row.secret = secret
    session.flush()
    audit.note(session, call, "webhook.rotate", "webhook", row.id)
    return _view(row), secret


def remove(session: Session, call: Call, webhook_id: UUID, revision: int) -> None:
    """Tell it nothing more. Raises NotFound, StaleRevision."""
    row = records.find(session, call, KIND, webhook_id)
    records.expect(row, revision)
    row.deleted_at, row.enabled = call.now, False
    tasks.withdraw(session, call, "The webhook was removed.", Task.kind == TASK, Task.key == str(row.id))
    records.note_removal(session, call, KIND, row)


def _check(values: Mapping[str, Any], *, private: bool) -> None:
    fault = address_fault(values["url"], private=private) if "url" in values else None
    if fault is not None:
        raise Invalid([Fault("/url", "invalid_url", fault)])


def _new_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()
