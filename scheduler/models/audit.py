"""What was done by whom, and which requests were already answered. Both are written with the change itself."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from scheduler.models.base import Base, Document, Owned


class AuditEvent(Owned, Base):
    """One change: who, when, what, and how it looked before and after. Append-only."""

    __tablename__ = "audit_events"
    at: Mapped[datetime]
    actor: Mapped[str] = mapped_column(String(200))
    key_id: Mapped[UUID | None]
    request_id: Mapped[str] = mapped_column(String(64), default="")
    action: Mapped[str] = mapped_column(String(60))
    subject_type: Mapped[str] = mapped_column(String(40))
    subject_id: Mapped[UUID]
    before: Mapped[dict[str, Any] | None] = mapped_column(Document)
    after: Mapped[dict[str, Any] | None] = mapped_column(Document)
    reason: Mapped[str | None] = mapped_column(String(500))

    __table_args__ = (
        Index(None, "organization_id", "subject_id", "id"),
        Index(None, "organization_id", "at", "id"),
    )


class IdempotencyRecord(Base):
    """An answer that was given, kept for replay. A refusal leaves no row, so its key is free again."""

    __tablename__ = "idempotency_records"
    organization_id: Mapped[UUID] = mapped_column(primary_key=True)
    key_id: Mapped[UUID] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64))
    status: Mapped[int | None]
    headers: Mapped[dict[str, Any] | None] = mapped_column(Document)
    body: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]

    __table_args__ = (Index(None, "organization_id", "expires_at"),)
