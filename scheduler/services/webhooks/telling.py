"""What an address was told, for people to look at, and to have told again."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.errors import IllegalTransition, NotFound
from scheduler.models import WebhookDelivery
from scheduler.services import audit, records
from scheduler.services.paging import Page, page
from scheduler.services.records import Revision
from scheduler.services.webhooks.endpoints import KIND


def deliveries(
    session: Session,
    call: Call,
    webhook_id: UUID,
    *,
    status: str | None = None,
    limit: int = 50,
    cursor: str | None = None,
) -> Page[WebhookDelivery]:
    """What the address was told, newest first. Raises NotFound."""
    records.find(session, call, KIND, webhook_id)
    chosen = select(WebhookDelivery).where(
        WebhookDelivery.organization_id == call.organization_id, WebhookDelivery.webhook_id == webhook_id
    )
    if status is not None:
        chosen = chosen.where(WebhookDelivery.status == status)
    return page(session, call, chosen, [WebhookDelivery.id], limit=limit, cursor=cursor, descending=True)


def delivery(session: Session, call: Call, webhook_id: UUID, delivery_id: UUID) -> WebhookDelivery:
    """One thing that the address was told, or is to be. Raises NotFound."""
    records.find(session, call, KIND, webhook_id)
    row = session.get(WebhookDelivery, (call.organization_id, delivery_id), populate_existing=True)
    if row is None or row.webhook_id != webhook_id:
        raise NotFound("There is no such delivery.")
    return row


def replay(
    session: Session, call: Call, webhook_id: UUID, delivery_id: UUID, *, revision: Revision | None = None
) -> WebhookDelivery:
    """Tell it again, under the same id, at once, and as often as the first time.

    Raises NotFound, StaleRevision; IllegalTransition while a worker has it in hand, and for an address that is off.
    """
    webhook = records.find(session, call, KIND, webhook_id)
    row = session.scalars(
        select(WebhookDelivery)
        .where(
            WebhookDelivery.organization_id == call.organization_id,
            WebhookDelivery.webhook_id == webhook_id,
            WebhookDelivery.id == delivery_id,
        )
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    ).one_or_none()
    if row is None:
        raise NotFound("There is no such delivery.")
    records.expect(row, revision)
    if not webhook.enabled:
        raise IllegalTransition("The webhook is off: switch it on first.")
    if row.status == "sending" and row.lease_until is not None and row.lease_until > call.now:
        raise IllegalTransition("A worker has the delivery in hand. Ask again in a minute.")
    before = {"status": row.status, "attempts": row.attempts}
    row.status, row.attempts, row.due_at = "pending", 0, call.now
    row.token, row.lease_until, row.error = None, None, None
    session.flush()
    audit.note(session, call, "webhook.replay", "webhook_delivery", row.id, before=before)
    return row
