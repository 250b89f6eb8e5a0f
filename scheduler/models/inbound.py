"""What patients text back: each text once, and who is to get no more messages."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from scheduler.models.base import Base, Owned, within


class InboundText(Owned, Base):
    """One text that came in, under the provider's own id: told twice, it is taken once and answered alike.

    What it said is kept only where a person must read it, in the task for that. `answer` is what was texted back.
    """

    __tablename__ = "inbound_texts"
    provider: Mapped[str] = mapped_column(String(20))
    provider_id: Mapped[str] = mapped_column(String(200))
    number: Mapped[str] = mapped_column(String(20))
    intent: Mapped[str] = mapped_column(String(20))
    appointment_id: Mapped[UUID | None]
    answer: Mapped[str] = mapped_column(String(500), default="")
    received_at: Mapped[datetime]

    __table_args__ = (
        within("appointments", "appointment_id"),
        UniqueConstraint("organization_id", "provider", "provider_id"),
        CheckConstraint("intent IN ('stop', 'start', 'help', 'yes', 'other')", name="intent"),
    )


class EarlyReceipt(Owned, Base):
    """What a provider said became of a message while it was still being handed over; kept until that is over."""

    __tablename__ = "early_receipts"
    message_id: Mapped[UUID]
    provider_id: Mapped[str] = mapped_column(String(200))
    outcome: Mapped[str] = mapped_column(String(20))
    detail: Mapped[str] = mapped_column(String(100), default="")
    received_at: Mapped[datetime]

    __table_args__ = (
        within("messages", "message_id"),
        CheckConstraint("outcome IN ('delivered', 'failed', 'unanswered')", name="outcome"),
    )


class OptOut(Owned, Base):
    """A number or address that gets no more messages of a class (`*` is all), whoever reads it, until `ended_at`."""

    __tablename__ = "opt_outs"
    number: Mapped[str] = mapped_column(String(320))
    message_class: Mapped[str] = mapped_column(String(20))
    source: Mapped[str] = mapped_column(String(200))
    since: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    end_source: Mapped[str | None] = mapped_column(String(200))

    __table_args__ = (UniqueConstraint("organization_id", "number", "message_class"),)
