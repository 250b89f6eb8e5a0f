"""Work that takes longer than a request may: what was asked, how far it is, what came of it. And repairs on offer."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from scheduler.models.base import Base, Digested, Document, Owned, within


class Job(Owned, Digested, Base):
    """One piece of work that a worker carries out.

    `lease_until` and `token` say which worker holds it until when; `seconds` is how long it may look for something
    better before it takes what it has; `progress` is in thousandths.
    """

    __tablename__ = "jobs"
    kind: Mapped[str] = mapped_column(String(40))
    status: Mapped[str] = mapped_column(String(20), default="queued")
    progress: Mapped[int] = mapped_column(default=0)
    step: Mapped[str] = mapped_column(String(60), default="waiting")
    seconds: Mapped[int]
    request: Mapped[dict[str, Any]] = mapped_column(Document)
    result: Mapped[dict[str, Any] | None] = mapped_column(Document)
    code: Mapped[str | None] = mapped_column(String(60))
    detail: Mapped[str | None] = mapped_column(String(2000))
    actor: Mapped[str] = mapped_column(String(200))
    attempts: Mapped[int] = mapped_column(default=0)
    token: Mapped[UUID | None]
    lease_until: Mapped[datetime | None]
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("status IN ('queued', 'running', 'done', 'failed', 'cancelled')", name="status"),
        CheckConstraint("progress BETWEEN 0 AND 1000", name="progress"),
        Index(None, "organization_id", "created_at", "id"),
        # For the worker, which asks for nothing else.
        Index(
            "ix__jobs__open",
            *("organization_id", "created_at"),
            postgresql_where=text("status IN ('queued', 'running')"),
            sqlite_where=text("status IN ('queued', 'running')"),
        ),
    )


class Disruption(Owned, Digested, Base):
    """A joint repair that was offered when somebody or something falls away. Nothing is written before it is accepted.

    `body` holds a line for each visit; one that was accepted says so. `absence_id` is there from the first acceptance.
    """

    __tablename__ = "disruptions"
    resource_id: Mapped[UUID]
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    reason: Mapped[str] = mapped_column(String(500), default="")
    body: Mapped[dict[str, Any]] = mapped_column(Document)
    absence_id: Mapped[UUID | None]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]

    __table_args__ = (
        within("resources", "resource_id"),
        CheckConstraint("starts_at < ends_at", name="starts_before_it_ends"),
        Index(None, "organization_id", "expires_at"),
    )
