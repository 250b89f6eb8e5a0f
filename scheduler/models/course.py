"""A patient's course: its planned sessions, its gates, and the plans offered for it."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from scheduler.models.base import Base, Document, Owned, Revised, within


class Course(Owned, Revised, Base):
    """One patient's instance of a protocol version. `status` is FHIR's CarePlan status."""

    __tablename__ = "courses"
    patient_id: Mapped[UUID]
    protocol_id: Mapped[UUID]
    location_id: Mapped[UUID]
    status: Mapped[str] = mapped_column(String(20), default="draft")
    cadence: Mapped[str | None] = mapped_column(String(60))
    start_after: Mapped[date]
    preferences: Mapped[dict[str, Any]] = mapped_column(Document, default=dict)
    note: Mapped[str] = mapped_column(String(2000), default="", server_default="")
    #: The gaps that a clinician has set for this patient: `steps`, and who did it when and why. Else the protocol's.
    own_cadence: Mapped[dict[str, Any] | None] = mapped_column(Document)
    #: Rules lifted for this course alone, each with who granted it.
    relaxations: Mapped[list[dict[str, Any]] | None] = mapped_column(Document)
    #: Visits that had suited the patient and do not any more, by their id: at which sequence, and why not.
    unfit: Mapped[dict[str, Any] | None] = mapped_column(Document)

    __table_args__ = (
        within("patients", "patient_id"),
        within("protocols", "protocol_id"),
        within("locations", "location_id"),
        CheckConstraint("status IN ('draft', 'active', 'on-hold', 'revoked', 'completed')", name="status"),
        Index(None, "organization_id", "patient_id"),
    )


class CourseSession(Owned, Base):
    """One planned step of a course, with or without an appointment (the appointment points here)."""

    __tablename__ = "course_sessions"
    course_id: Mapped[UUID]
    position: Mapped[int]
    phase: Mapped[str] = mapped_column(String(60))
    step: Mapped[str] = mapped_column(String(60))
    sequence: Mapped[int]
    visit_type: Mapped[str] = mapped_column(String(60))
    status: Mapped[str] = mapped_column(String(20), default="planned")
    earliest: Mapped[date]
    target: Mapped[date]
    latest: Mapped[date | None]
    #: When something came that is for this patient and this session alone, and the last day on which it may be given.
    supply_received_on: Mapped[date | None]
    use_by: Mapped[date | None]

    __table_args__ = (
        within("courses", "course_id"),
        UniqueConstraint("organization_id", "course_id", "position"),
    )


class Gate(Base):
    """A condition between sessions: what follows it is planned and pencilled, not confirmed, until it is passed."""

    __tablename__ = "gates"
    organization_id: Mapped[UUID] = mapped_column(primary_key=True)
    course_id: Mapped[UUID] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(60), primary_key=True)
    kind: Mapped[str] = mapped_column(String(10))
    #: Position of the session after which it stands.
    after_position: Mapped[int]
    outcome: Mapped[str] = mapped_column(String(10), default="pending")
    by: Mapped[str | None] = mapped_column(String(200))
    note: Mapped[str] = mapped_column(String(2000), default="")
    decided_at: Mapped[datetime | None]
    deadline: Mapped[date | None]

    __table_args__ = (
        within("courses", "course_id"),
        CheckConstraint("kind IN ('hard', 'soft')", name="kind"),
        CheckConstraint("outcome IN ('pending', 'passed', 'failed', 'waived')", name="outcome"),
    )


class StoredPlan(Owned, Base):
    """A plan that was offered, kept for a short time. Its id and digest make the token; booking re-validates it."""

    __tablename__ = "plans"
    course_id: Mapped[UUID]
    digest: Mapped[str] = mapped_column(String(64))
    body: Mapped[dict[str, Any]] = mapped_column(Document)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]

    __table_args__ = (within("courses", "course_id"), Index(None, "organization_id", "expires_at"))
