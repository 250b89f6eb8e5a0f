"""Links that are sent to patients: each opens one visit's page. What one may do is decided in services."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from scheduler.models.base import Base, Document, Owned, within


class PatientLink(Owned, Base):
    """A link to one visit at one time: it is over when the visit starts at another, or `expires_at` has passed.

    `starts_at` is that time (None in rows older than it), `sequence` the visit's when the link was made. Only the
    SHA-256 of its token's secret is kept. `scopes` says what it is good for beyond looking.
    """

    __tablename__ = "patient_links"
    patient_id: Mapped[UUID]
    appointment_id: Mapped[UUID]
    sequence: Mapped[int]
    starts_at: Mapped[datetime | None]
    scopes: Mapped[list[str]] = mapped_column(Document)
    secret_hash: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]

    __table_args__ = (
        within("patients", "patient_id"),
        within("appointments", "appointment_id"),
        UniqueConstraint("organization_id", "secret_hash"),
        Index(None, "organization_id", "appointment_id"),
        Index(None, "organization_id", "expires_at"),
    )
