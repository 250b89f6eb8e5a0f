"""Messages owed to people, the rules that say which, and the texts that clinics write for them.

Rules and texts are versions: each change adds a row, the highest version is in force, none is altered.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from scheduler.models.base import Base, Digested, Document, Owned, within


class Message(Owned, Digested, Base):
    """One thing owed to one recipient over one channel.

    `due_at` moves forward on retry; `lease_until` and `token` say which worker holds it until when; `called_off_at`
    means that nothing may start to leave any more; `merged_into` is the message that says this one's as well;
    `sequence` is the appointment's at the time the message was owed.
    """

    __tablename__ = "messages"
    patient_id: Mapped[UUID]
    appointment_id: Mapped[UUID | None]
    course_id: Mapped[UUID | None]
    series_id: Mapped[UUID | None]
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
    merged_into: Mapped[UUID | None]
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
        within("series", "series_id"),
        within("messages", "merged_into"),
        CheckConstraint(
            "status IN ('pending', 'sending', 'sent', 'delivered', 'failed', 'suppressed', 'expired_unsent')",
            name="status",
        ),
        CheckConstraint(
            "appointment_id IS NOT NULL OR course_id IS NOT NULL OR series_id IS NOT NULL", name="about_something"
        ),
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
        Index(
            "uq__messages__series",
            *("organization_id", "series_id", "rule", "recipient", "channel", "sequence"),
            unique=True,
            postgresql_where=text("series_id IS NOT NULL"),
            sqlite_where=text("series_id IS NOT NULL"),
        ),
        # For the worker, which asks for nothing else while every channel is open.
        Index(
            "ix__messages__due",
            *("organization_id", "due_at", "id"),
            postgresql_where=text("status IN ('pending', 'sending')"),
            sqlite_where=text("status IN ('pending', 'sending')"),
        ),
        # The same by channel: what waits for one that is shut is not looked through for what may leave by another.
        Index(
            "ix__messages__way",
            *("organization_id", "channel", "due_at", "id"),
            postgresql_where=text("status IN ('pending', 'sending')"),
            sqlite_where=text("status IN ('pending', 'sending')"),
        ),
        # For the staff: what will not be sent unless somebody acts.
        Index(
            "ix__messages__dead",
            *("organization_id", "due_at", "id"),
            postgresql_where=text("status IN ('failed', 'expired_unsent')"),
            sqlite_where=text("status IN ('failed', 'expired_unsent')"),
        ),
        Index(None, "organization_id", "patient_id", "due_at"),
        Index(None, "organization_id", "due_at", "id"),
        Index(
            "ix__messages__merged",
            *("organization_id", "merged_into"),
            postgresql_where=text("merged_into IS NOT NULL"),
            sqlite_where=text("merged_into IS NOT NULL"),
        ),
    )


class MessageRules(Owned, Base):
    """One version of an organization's rules: what is owed, when, over what. `rules` is a list for core/reminders."""

    __tablename__ = "message_rule_sets"
    version: Mapped[int]
    rules: Mapped[list[dict[str, Any]]] = mapped_column(Document)
    created_at: Mapped[datetime]
    created_by: Mapped[str] = mapped_column(String(200))

    __table_args__ = (UniqueConstraint("organization_id", "version"),)


class MessageTemplate(Owned, Base):
    """One version of a clinic's own texts for a kind in a language; what is None is said as shipped."""

    __tablename__ = "message_templates"
    kind: Mapped[str] = mapped_column(String(60))
    locale: Mapped[str] = mapped_column(String(20))
    version: Mapped[int]
    subject: Mapped[str | None] = mapped_column(String(200))
    body: Mapped[str | None] = mapped_column(Text)
    sms: Mapped[str | None] = mapped_column(String(500))
    created_at: Mapped[datetime]
    created_by: Mapped[str] = mapped_column(String(200))

    __table_args__ = (UniqueConstraint("organization_id", "kind", "locale", "version"),)


class MessageReview(Base):
    """How far the daily comparison of what is owed with what should be has come: the last visit looked at."""

    __tablename__ = "message_reviews"
    organization_id: Mapped[UUID] = mapped_column(ForeignKey("organizations.id"), primary_key=True)
    day: Mapped[date]
    after_start: Mapped[datetime | None]
    after_id: Mapped[UUID | None]
