"""Who waits for a time, the time that became free, and what was offered to whom."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from scheduler.models.base import Base, Document, Owned, Revised, within


class WaitlistEntry(Owned, Revised, Base):
    """A patient who wants a visit at a location when time becomes free.

    `windows` are [{weekdays?, earliest?, latest?, from?, to?}] in the location's wall time; none means any time.
    """

    __tablename__ = "waitlist_entries"
    patient_id: Mapped[UUID]
    visit_type_id: Mapped[UUID]
    visit_type: Mapped[str] = mapped_column(String(60))
    location_id: Mapped[UUID]
    course_session_id: Mapped[UUID | None]
    windows: Mapped[list[dict[str, Any]]] = mapped_column(Document, default=list)
    pins: Mapped[list[dict[str, Any]]] = mapped_column(Document, default=list)
    notice_minutes: Mapped[int] = mapped_column(default=0)
    priority: Mapped[int] = mapped_column(default=0)
    note: Mapped[str] = mapped_column(String(2000), default="")
    patient_region: Mapped[str | None] = mapped_column(String(10))
    status: Mapped[str] = mapped_column(String(20), default="waiting")
    appointment_id: Mapped[UUID | None]

    __table_args__ = (
        within("patients", "patient_id"),
        within("visit_types", "visit_type_id"),
        within("locations", "location_id"),
        within("course_sessions", "course_session_id"),
        within("appointments", "appointment_id"),
        CheckConstraint("status IN ('waiting', 'offered', 'booked', 'closed')", name="status"),
        Index(
            "ix__waitlist_entries__waiting",
            "organization_id",
            "location_id",
            postgresql_where=text("status = 'waiting'"),
            sqlite_where=text("status = 'waiting'"),
        ),
        Index(None, "organization_id", "patient_id"),
    )


class WaitlistOpening(Owned, Base):
    """Time that became free while somebody was waiting. Open until nobody who waits can use it."""

    __tablename__ = "waitlist_openings"
    location_id: Mapped[UUID]
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    status: Mapped[str] = mapped_column(String(20), default="open")
    created_at: Mapped[datetime]

    __table_args__ = (
        within("locations", "location_id"),
        CheckConstraint("starts_at < ends_at", name="starts_before_it_ends"),
        CheckConstraint("status IN ('open', 'closed')", name="status"),
        Index(
            "ix__waitlist_openings__open",
            "organization_id",
            "id",
            postgresql_where=text("status = 'open'"),
            sqlite_where=text("status = 'open'"),
        ),
    )


class WaitlistOffer(Owned, Base):
    """A time held for somebody who waits. Each entry is offered each opening once, and one time at a time."""

    __tablename__ = "waitlist_offers"
    entry_id: Mapped[UUID]
    opening_id: Mapped[UUID]
    hold_id: Mapped[UUID]
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    status: Mapped[str] = mapped_column(String(20), default="offered")
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    answered_at: Mapped[datetime | None]

    __table_args__ = (
        within("waitlist_entries", "entry_id"),
        within("waitlist_openings", "opening_id"),
        within("holds", "hold_id"),
        UniqueConstraint("organization_id", "opening_id", "entry_id"),
        CheckConstraint("status IN ('offered', 'accepted', 'declined', 'expired', 'withdrawn')", name="status"),
        Index(
            "uq__waitlist_offers__live",
            "organization_id",
            "entry_id",
            unique=True,
            postgresql_where=text("status = 'offered'"),
            sqlite_where=text("status = 'offered'"),
        ),
        Index(
            "ix__waitlist_offers__due",
            "organization_id",
            "expires_at",
            postgresql_where=text("status = 'offered'"),
            sqlite_where=text("status = 'offered'"),
        ),
        Index(None, "organization_id", "entry_id", "id"),
    )
