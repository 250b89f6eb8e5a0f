"""Calendar feeds: addresses under which a calendar may look at a resource's visits. What they show is not kept here."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from scheduler.models.base import Base, Digested, Owned, within


class CalendarFeed(Owned, Digested, Base):
    """One subscription of a practitioner, room, device or patient; `titles` says how much its events tell.

    Only the SHA-256 of its token's secret is kept. `read_at` is when it was last looked at, to the day.
    """

    __tablename__ = "calendar_feeds"
    resource_id: Mapped[UUID]
    titles: Mapped[str] = mapped_column(String(20), default="neutral")
    secret_hash: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    read_at: Mapped[datetime | None]

    __table_args__ = (
        within("resources", "resource_id"),
        CheckConstraint("titles IN ('neutral', 'visit_type')", name="titles"),
        Index(None, "organization_id", "resource_id"),
    )
