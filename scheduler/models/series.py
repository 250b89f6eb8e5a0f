"""A repeated visit without a course: the rule it was made by. Its occurrences are appointments."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from scheduler.models.base import Base, Document, Owned, Revised, within


class Series(Owned, Revised, Base):
    """`rule` is RFC 5545's RRULE, `local_start` its first wall time (YYYY-MM-DDTHH:MM), `dropped` what was left out."""

    __tablename__ = "series"
    patient_id: Mapped[UUID]
    visit_type: Mapped[str] = mapped_column(String(60))
    location_id: Mapped[UUID]
    rule: Mapped[str] = mapped_column(String(500))
    local_start: Mapped[str] = mapped_column(String(16))
    dropped: Mapped[list[dict[str, Any]]] = mapped_column(Document, default=list)

    __table_args__ = (within("patients", "patient_id"), within("locations", "location_id"))
