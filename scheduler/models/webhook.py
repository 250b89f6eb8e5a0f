"""Webhooks: the addresses that are told of changes, and what each was told. What is told is `core/webhooks`."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from scheduler.models.base import Base, Digested, Document, Owned, Revised, within


class Webhook(Owned, Revised, Base):
    """An address that is told of changes; no `events` means every one.

    What is sent is signed with `secret`, which must be kept as it is; `old_secret` signs beside it until its time is
    over. `failing_since` is the first failure since something last arrived.
    """

    __tablename__ = "webhooks"
    url: Mapped[str] = mapped_column(String(2000))
    description: Mapped[str] = mapped_column(String(200), default="")
    events: Mapped[list[str]] = mapped_column(Document, default=list)
    enabled: Mapped[bool] = mapped_column(default=True)
    disabled_reason: Mapped[str | None] = mapped_column(String(300))
    secret: Mapped[str] = mapped_column(String(100))
    old_secret: Mapped[str | None] = mapped_column(String(100))
    old_secret_until: Mapped[datetime | None]
    failing_since: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]


class WebhookDelivery(Owned, Digested, Base):
    """One event on its way to one address, written with the change. Its id is the same at every try.

    `number` counts what this address is told of the subject, from 1. `lease_until` and `token` say which worker holds
    it until when. `tried` are its last tries, {began_at, ended_at, error}.
    """

    __tablename__ = "webhook_deliveries"
    webhook_id: Mapped[UUID]
    event: Mapped[str] = mapped_column(String(60))
    subject_id: Mapped[UUID]
    number: Mapped[int]
    payload: Mapped[dict[str, Any]] = mapped_column(Document)
    status: Mapped[str] = mapped_column(String(20), default="pending")
    due_at: Mapped[datetime]
    attempts: Mapped[int] = mapped_column(default=0)
    token: Mapped[UUID | None]
    lease_until: Mapped[datetime | None]
    tried_at: Mapped[datetime | None]
    delivered_at: Mapped[datetime | None]
    error: Mapped[str | None] = mapped_column(String(300))
    tried: Mapped[list[dict[str, Any]]] = mapped_column(Document, default=list, server_default="[]")
    created_at: Mapped[datetime]

    __table_args__ = (
        within("webhooks", "webhook_id"),
        CheckConstraint("status IN ('pending', 'sending', 'delivered', 'failed')", name="status"),
        Index(None, "organization_id", "webhook_id", "id"),
        Index(None, "organization_id", "subject_id", "webhook_id"),
        # For the worker, which asks for nothing else.
        Index(
            "ix__webhook_deliveries__due",
            *("organization_id", "webhook_id", "due_at", "id"),
            postgresql_where=text("status IN ('pending', 'sending')"),
            sqlite_where=text("status IN ('pending', 'sending')"),
        ),
        # For the chore that forgets what has ended.
        Index(
            "ix__webhook_deliveries__ended",
            *("organization_id", "created_at"),
            postgresql_where=text("status IN ('delivered', 'failed')"),
            sqlite_where=text("status IN ('delivered', 'failed')"),
        ),
    )
