"""Messages owed to people, written with the change that owes them, and the rules that say which."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from scheduler.models.base import Base, Document, Owned, Revised, within


class Message(Owned, Base):
    """One thing owed to one recipient over one channel.

    `due_at` moves forward on retry; `lease_until` and `token` say which worker holds it until when; `called_off_at`
    means that nothing may start to leave any more; `sequence` is the appointment's at the time the message was owed.
    """

    __tablename__ = "messages"
    patient_id: Mapped[UUID]
    appointment_id: Mapped[UUID | None]
    course_id: Mapped[UUID | None]
    rule: Mapped[str] = mapped_column(String(60))
    kind: Mapped[str] = mapped_column(String(60))
    recipient: Mapped[str] = mapped_column(String(80), default="patient")
    channel: Mapped[str] = mapped_column(String(20))
    sequence: Mapped[int] = mapped_column(default=0)
    due_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    status: Mapped[str] = mapped_column(String(20), default="pending")
    reason: Mapped[str | None] = mapped_column(String(300))
    attempts: Mapped[int] = mapped_column(default=0)
    token: Mapped[UUID | None]
    lease_until: Mapped[datetime | None]
    called_off_at: Mapped[datetime | None]
    sent_at: Mapped[datetime | None]
    provider_id: Mapped[str | None] = mapped_column(String(200))
    sent_to: Mapped[str | None] = mapped_column(String(320))
    body: Mapped[dict[str, Any] | None] = mapped_column(Document)
    context: Mapped[dict[str, Any]] = mapped_column(Document, default=dict)
    created_at: Mapped[datetime]

    __table_args__ = (
        within("patients", "patient_id"),
        within("appointments", "appointment_id"),
        within("courses", "course_id"),
        CheckConstraint(
            "status IN ('pending', 'sending', 'sent', 'delivered', 'failed', 'suppressed', 'expired_unsent')",
            name="status",
        ),
        CheckConstraint("appointment_id IS NOT NULL OR course_id IS NOT NULL", name="about_something"),
        Index(
            "uq__messages__appointment",
            *("organization_id", "appointment_id", "rule", "recipient", "channel", "sequence"),
            unique=True,
            postgresql_where=text("appointment_id IS NOT NULL"),
            sqlite_where=text("appointment_id IS NOT NULL"),
        ),
        Index(
            "uq__messages__course",
            *("organization_id", "course_id", "rule", "recipient", "channel", "sequence"),
            unique=True,
            postgresql_where=text("appointment_id IS NULL"),
            sqlite_where=text("appointment_id IS NULL"),
        ),
        # For the worker, which asks for nothing else.
        Index(
            "ix__messages__due",
            *("organization_id", "due_at"),
            postgresql_where=text("status IN ('pending', 'sending')"),
            sqlite_where=text("status IN ('pending', 'sending')"),
        ),
        Index(None, "organization_id", "patient_id", "due_at"),
        Index(None, "organization_id", "due_at", "id"),
    )


class MessageRule(Owned, Revised, Base):
    """One rule of an organization: what is owed, when, over what. `definition` is the document of core/reminders."""

    __tablename__ = "message_rules"
    key: Mapped[str] = mapped_column(String(60))
    definition: Mapped[dict[str, Any]] = mapped_column(Document)
    enabled: Mapped[bool] = mapped_column(default=True)

    __table_args__ = (UniqueConstraint("organization_id", "key"),)
