"""Locations, and everyone and everything that can be in one place at a time."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from scheduler.models.base import Base, Document, Owned, Revised, within


class Location(Owned, Revised, Base):
    """A site with its own zone. `hours`, `closures`, `holidays` and `certifications` are as in the API.

    Whoever changes what presence rests on (hours, closures, absences, roles) takes this row's lock; bookings share it.
    """

    __tablename__ = "locations"
    name: Mapped[str] = mapped_column(String(200))
    time_zone: Mapped[str] = mapped_column(String(64))
    address: Mapped[str] = mapped_column(String(500), default="")
    hours: Mapped[list[dict[str, Any]]] = mapped_column(Document, default=list)
    closures: Mapped[list[dict[str, Any]]] = mapped_column(Document, default=list)
    #: Whose public holidays close it: {country, subdivision?, open_days?, open_names?}; None keeps none.
    holidays: Mapped[dict[str, Any] | None] = mapped_column(Document)
    certifications: Mapped[list[dict[str, Any]]] = mapped_column(Document, default=list)
    deleted_at: Mapped[datetime | None]


class Resource(Owned, Revised, Base):
    """A practitioner, room, device or patient: what occupancies take up. A patient's personal data is not here.

    `calendar_revision` counts the changes of its calendar; `revision` those of this row.
    """

    __tablename__ = "resources"
    kind: Mapped[str] = mapped_column(String(20))
    name: Mapped[str] = mapped_column(String(200), default="")
    location_id: Mapped[UUID | None]
    type_code: Mapped[str] = mapped_column(String(60), default="")
    units: Mapped[int] = mapped_column(default=1)
    roles: Mapped[list[dict[str, Any]]] = mapped_column(Document, default=list)
    hours: Mapped[list[dict[str, Any]] | None] = mapped_column(Document)
    #: What it needs for itself before and after each visit; occupancies include it.
    buffer_before_minutes: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    buffer_after_minutes: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    calendar_revision: Mapped[int] = mapped_column(default=1)
    deleted_at: Mapped[datetime | None]

    __table_args__ = (
        within("locations", "location_id"),
        CheckConstraint("kind IN ('practitioner', 'room', 'device', 'patient')", name="kind"),
        CheckConstraint("units BETWEEN 1 AND 100", name="units"),
        Index(None, "organization_id", "kind"),
    )


class ResourceUnit(Base):
    """One of the places a resource has at once. Units are book-keeping, not seats."""

    __tablename__ = "resource_units"
    organization_id: Mapped[UUID] = mapped_column(primary_key=True)
    resource_id: Mapped[UUID] = mapped_column(primary_key=True)
    unit: Mapped[int] = mapped_column(primary_key=True)
    #: Beyond the regular capacity: exists only so that an override keeps the no-overlap law.
    extra: Mapped[bool] = mapped_column(default=False)

    __table_args__ = (within("resources", "resource_id"),)


class Absence(Owned, Revised, Base):
    """A time when a resource is not there. It frees nothing by itself; it lists whom it affects."""

    __tablename__ = "absences"
    resource_id: Mapped[UUID]
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    reason: Mapped[str] = mapped_column(String(500), default="")

    __table_args__ = (
        within("resources", "resource_id"),
        CheckConstraint("starts_at < ends_at", name="starts_before_it_ends"),
        Index(None, "organization_id", "resource_id", "ends_at"),
    )


class ExtraHours(Owned, Revised, Base):
    """A one-off shift: the resource is at that location from `starts_at` to `ends_at`, besides its weekly hours."""

    __tablename__ = "extra_hours"
    resource_id: Mapped[UUID]
    location_id: Mapped[UUID]
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    reason: Mapped[str] = mapped_column(String(500), default="")

    __table_args__ = (
        within("resources", "resource_id"),
        within("locations", "location_id"),
        CheckConstraint("starts_at < ends_at", name="starts_before_it_ends"),
        Index(None, "organization_id", "resource_id", "ends_at"),
    )


class Patient(Owned, Revised, Base):
    """The person behind a patient resource (same id). Never joined into a calendar read."""

    __tablename__ = "patients"
    name: Mapped[str] = mapped_column(String(200))
    birth_date: Mapped[date | None]
    time_zone: Mapped[str | None] = mapped_column(String(64))
    locale: Mapped[str | None] = mapped_column(String(20))
    external_ids: Mapped[list[dict[str, Any]]] = mapped_column(Document, default=list)
    contacts: Mapped[list[dict[str, Any]]] = mapped_column(Document, default=list)
    consents: Mapped[list[dict[str, Any]]] = mapped_column(Document, default=list)
    preferences: Mapped[dict[str, Any]] = mapped_column(Document, default=dict)

    __table_args__ = (ForeignKeyConstraint(["organization_id", "id"], ["resources.organization_id", "resources.id"]),)


class PatientKey(Base):
    """What a patient can be looked up by: a folded name, phone, e-mail or external id. Rebuilt with the patient."""

    __tablename__ = "patient_keys"
    organization_id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(20), primary_key=True)
    value: Mapped[str] = mapped_column(String(300), primary_key=True)
    patient_id: Mapped[UUID] = mapped_column(primary_key=True)

    __table_args__ = (
        within("patients", "patient_id"),
        Index(
            "uq__patient_keys__external_id",
            "organization_id",
            "value",
            unique=True,
            postgresql_where=text("kind = 'external_id'"),
            sqlite_where=text("kind = 'external_id'"),
        ),
        Index(None, "organization_id", "patient_id"),
    )


class Clearance(Owned, Base):
    """A dated statement about a patient: evaluation, consent, enrolment, review. Append-only."""

    __tablename__ = "clearances"
    patient_id: Mapped[UUID]
    kind: Mapped[str] = mapped_column(String(60))
    modality: Mapped[str | None] = mapped_column(String(40))
    outcome: Mapped[str] = mapped_column(String(40))
    valid_from: Mapped[date]
    valid_to: Mapped[date | None]
    by: Mapped[str] = mapped_column(String(200))
    note: Mapped[str] = mapped_column(String(2000), default="")
    created_at: Mapped[datetime]

    __table_args__ = (within("patients", "patient_id"), Index(None, "organization_id", "patient_id"))


class ProtocolRow(Owned, Revised, Base):
    """One version of a course's template; `definition` is the document. Immutable once published."""

    __tablename__ = "protocols"
    code: Mapped[str] = mapped_column(String(60))
    version: Mapped[int]
    name: Mapped[str] = mapped_column(String(200))
    status: Mapped[str] = mapped_column(String(20), default="draft")
    definition: Mapped[dict[str, Any]] = mapped_column(Document)
    approved_by: Mapped[str | None] = mapped_column(String(200))
    approved_at: Mapped[datetime | None]
    approval_note: Mapped[str] = mapped_column(String(2000), default="")

    __table_args__ = (
        UniqueConstraint("organization_id", "code", "version"),
        CheckConstraint("status IN ('draft', 'active', 'retired')", name="status"),
        # No approval without a name behind it.
        CheckConstraint("status = 'draft' OR approved_by IS NOT NULL", name="approved_by_a_named_clinician"),
    )


class VisitTypeRow(Owned, Revised, Base):
    """What happens in a visit; `definition` is the document of core/visit.py."""

    __tablename__ = "visit_types"
    code: Mapped[str] = mapped_column(String(60))
    definition: Mapped[dict[str, Any]] = mapped_column(Document)

    __table_args__ = (UniqueConstraint("organization_id", "code"),)
