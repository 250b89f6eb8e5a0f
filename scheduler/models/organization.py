"""The tenant, its keys, and the pulse of the workers. What a key may do is decided in services/access."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column

from scheduler.models.base import Base, Digested, Document, Owned, Revised, new_code, new_id


class Organization(Revised, Base):
    """A clinic company: the root of every other row.

    `policies` holds lead_minutes, horizon_days and the cut-offs; `messaging` the quiet hours, legal basis and caps.
    `sender_name` is the neutral name patients see. `code` is its name in links that must be short.
    """

    __tablename__ = "organizations"
    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(String(200))
    sender_name: Mapped[str] = mapped_column(String(60))
    phone: Mapped[str] = mapped_column(String(40), default="")
    default_locale: Mapped[str] = mapped_column(String(20), default="en")
    policies: Mapped[dict[str, Any]] = mapped_column(Document, default=dict)
    messaging: Mapped[dict[str, Any]] = mapped_column(Document, default=dict)
    demonstration: Mapped[bool] = mapped_column(default=False)
    code: Mapped[str] = mapped_column(String(8), default=new_code, server_default="")

    __table_args__ = (Index("uq__organizations__code", "code", unique=True),)


class ApiKey(Owned, Digested, Base):
    """A bearer key. Only the SHA-256 of its secret is kept; `revoked_at` ends it at once."""

    __tablename__ = "api_keys"
    name: Mapped[str] = mapped_column(String(100))
    secret_hash: Mapped[str] = mapped_column(String(64))
    scopes: Mapped[list[str]] = mapped_column(Document)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class WorkerHeartbeat(Base):
    """When each worker process last finished a tick. The one table that belongs to the house, not to a tenant.

    `tallies` is what it has counted since it began: deliveries by channel and end, and how late they were.
    """

    __tablename__ = "worker_heartbeats"
    worker: Mapped[str] = mapped_column(String(100), primary_key=True)
    ticked_at: Mapped[datetime]
    tallies: Mapped[dict[str, Any] | None] = mapped_column(Document)
