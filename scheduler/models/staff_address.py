"""Where an organization's staff is told that tasks wait. What a notice says is decided in services/staff_notices."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from scheduler.models.base import Base, Digested, Owned


class StaffAddress(Owned, Digested, Base):
    """One address, in the form of Apprise; it holds a secret, and is shown to nobody.

    Tasks that fell due by `told_until` have been told of. `token` and `lease_until` say which worker is telling of more
    until when; after a failure that is tried again at `retry_at`.
    """

    __tablename__ = "staff_addresses"
    name: Mapped[str] = mapped_column(String(100))
    url: Mapped[str] = mapped_column(String(1000))
    told_until: Mapped[datetime]
    attempts: Mapped[int] = mapped_column(default=0)
    retry_at: Mapped[datetime | None]
    token: Mapped[UUID | None]
    lease_until: Mapped[datetime | None]
    error: Mapped[str | None] = mapped_column(String(300))
    created_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
