"""Attempts at delivering messages: one row for each, begun before anything leaves. What is owed lives in `message`."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, String
from sqlalchemy.orm import Mapped, mapped_column

from scheduler.models.base import Base, Digested, within


class MessageAttempt(Digested, Base):
    """The message's `number`th delivery. Without an `outcome` it may have left, and nobody has said so.

    Its worker is at it, died, or got no answer. `accepted` by the channel, `refused` for good, `failed` for now.
    """

    __tablename__ = "message_attempts"
    # That of its message, which is looked for; the organization by itself would be looked for once more.
    organization_id: Mapped[UUID] = mapped_column(primary_key=True)
    message_id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    channel: Mapped[str] = mapped_column(String(20))
    began_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    outcome: Mapped[str | None] = mapped_column(String(20))
    provider_id: Mapped[str | None] = mapped_column(String(200))
    error: Mapped[str | None] = mapped_column(String(300))

    __table_args__ = (
        within("messages", "message_id"),
        CheckConstraint("outcome IN ('accepted', 'refused', 'failed')", name="outcome"),
    )
