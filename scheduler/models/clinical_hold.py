"""That a patient may not be dosed for the time being, and why."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from scheduler.models.base import Base, Owned, Revised, within


class ClinicalHold(Owned, Revised, Base):
    """One reason not to dose a patient, until a named prescriber lifts it.

    The patient's dosing visits keep their time until `deadline`; `lapsed_at` says that they have been let go since.
    """

    __tablename__ = "clinical_holds"
    patient_id: Mapped[UUID]
    reason: Mapped[str] = mapped_column(String(60))
    note: Mapped[str] = mapped_column(String(2000), default="")
    placed_by: Mapped[str] = mapped_column(String(200))
    deadline: Mapped[datetime]
    lapsed_at: Mapped[datetime | None]
    released_at: Mapped[datetime | None]
    released_by: Mapped[str | None] = mapped_column(String(200))
    release_note: Mapped[str | None] = mapped_column(String(2000))

    __table_args__ = (
        within("patients", "patient_id"),
        CheckConstraint(
            "released_at IS NULL OR (released_by IS NOT NULL AND release_note IS NOT NULL)",
            name="released_by_a_named_prescriber",
        ),
        # The same reason holds a patient once at a time.
        Index(
            "uq__clinical_holds__active",
            *("organization_id", "patient_id", "reason"),
            unique=True,
            postgresql_where=text("released_at IS NULL"),
            sqlite_where=text("released_at IS NULL"),
        ),
        Index(None, "organization_id", "patient_id", "id"),
        # For the chore that lets held visits go.
        Index(
            "ix__clinical_holds__deadline",
            *("organization_id", "deadline"),
            postgresql_where=text("released_at IS NULL AND lapsed_at IS NULL"),
            sqlite_where=text("released_at IS NULL AND lapsed_at IS NULL"),
        ),
    )
