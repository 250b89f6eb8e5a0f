"""Appointments, holds, and the occupancies that no two of them may share."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from scheduler.models.base import Base, Document, Owned, Revised, within

#: Name of the database's guard, a constraint on PostgreSQL and two triggers on SQLite (migration 0001).
NO_DOUBLE_BOOKING = "no_double_booking"

_LIVE = "status NOT IN ('cancelled', 'noshow', 'entered-in-error') AND (outcome IS NULL OR outcome <> 'not_dosed')"
_WAITING = "status IN ('pending', 'booked')"
_STATUSES = (
    "'proposed', 'pending', 'booked', 'arrived', 'checked-in', 'fulfilled', 'cancelled', 'noshow', 'waitlist', "
    "'entered-in-error'"
)


class Appointment(Owned, Revised, Base):
    """A visit with a time. The row survives cancellation; its occupancies do not.

    `local_start` (YYYY-MM-DDTHH:MM) and `time_zone` are the intent, `starts_at`/`ends_at` what follows from them under
    the zone rules of `tzdata`. `sequence` counts changes of time or place, `revision` every change. `segments` is
    what the visit type said at booking: [{name, start, end}] in minutes from the start. What really happened is kept
    apart: the five instants, `checklist` {item: {ok, value, by, note, at, waived}} and `tasks_done` {task: {at, by,
    note}}.
    """

    __tablename__ = "appointments"
    patient_id: Mapped[UUID]
    visit_type_id: Mapped[UUID]
    visit_type: Mapped[str] = mapped_column(String(60))
    location_id: Mapped[UUID]
    course_id: Mapped[UUID | None]
    course_session_id: Mapped[UUID | None]
    series_id: Mapped[UUID | None]
    #: The group it is a part of, whose place it has (group_places); None when it has left it.
    group_id: Mapped[UUID | None]
    #: The wall time at which the series meant it to be (RFC 5545's RECURRENCE-ID); it stays when the visit moves.
    occurrence: Mapped[str | None] = mapped_column(String(16))
    status: Mapped[str] = mapped_column(String(20))
    outcome: Mapped[str | None] = mapped_column(String(20))
    outcome_reason: Mapped[str | None] = mapped_column(String(500))
    local_start: Mapped[str] = mapped_column(String(16))
    time_zone: Mapped[str] = mapped_column(String(64))
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    tzdata: Mapped[str] = mapped_column(String(20))
    segments: Mapped[list[dict[str, Any]]] = mapped_column(Document)
    pins: Mapped[list[dict[str, Any]]] = mapped_column(Document, default=list)
    sequence: Mapped[int] = mapped_column(default=0)
    #: How often each initiator has moved it: {"patient": 1}.
    moves: Mapped[dict[str, int]] = mapped_column(Document, default=dict)
    #: The rules that were lifted for its present place, by whom and why; None when none had to be.
    override: Mapped[dict[str, Any] | None] = mapped_column(Document)
    note: Mapped[str] = mapped_column(String(2000), default="")
    #: Where the patient is during a visit by video (ISO 3166-2), as last said.
    patient_region: Mapped[str | None] = mapped_column(String(10))
    pencilled_until: Mapped[datetime | None]
    #: When somebody said, for the present time of the visit, that the patient will come.
    confirmed_at: Mapped[datetime | None]
    cancelled_by: Mapped[str | None] = mapped_column(String(20))
    cancel_reason: Mapped[str | None] = mapped_column(String(500))
    cancel_category: Mapped[str | None] = mapped_column(String(60))
    arrived_at: Mapped[datetime | None]
    checked_in_at: Mapped[datetime | None]
    dosed_at: Mapped[datetime | None]
    last_device_at: Mapped[datetime | None]
    fulfilled_at: Mapped[datetime | None]
    checklist: Mapped[dict[str, Any]] = mapped_column(Document, default=dict)
    tasks_done: Mapped[dict[str, Any]] = mapped_column(Document, default=dict)

    __table_args__ = (
        within("patients", "patient_id"),
        within("visit_types", "visit_type_id"),
        within("locations", "location_id"),
        within("courses", "course_id"),
        within("course_sessions", "course_session_id"),
        within("series", "series_id"),
        UniqueConstraint("organization_id", "series_id", "occurrence"),
        CheckConstraint("starts_at < ends_at", name="starts_before_it_ends"),
        CheckConstraint(f"status IN ({_STATUSES})", name="status"),
        # A session of a course has one living appointment at the most.
        Index(
            "uq__appointments__live_session",
            "organization_id",
            "course_session_id",
            unique=True,
            postgresql_where=text(f"course_session_id IS NOT NULL AND {_LIVE}"),
            sqlite_where=text(f"course_session_id IS NOT NULL AND {_LIVE}"),
        ),
        # For the sweep of visits that nobody came to or confirmed, which asks for nothing else.
        Index(
            "ix__appointments__waiting",
            *("organization_id", "starts_at", "pencilled_until"),
            postgresql_where=text(_WAITING),
            sqlite_where=text(_WAITING),
        ),
        Index(None, "organization_id", "starts_at", "id"),
        Index(None, "organization_id", "location_id", "starts_at"),
        Index(None, "organization_id", "patient_id", "starts_at"),
        Index(None, "organization_id", "course_id"),
    )


class Hold(Owned, Revised, Base):
    """A short occupancy without an appointment. It is over when `expires_at` has passed, swept or not.

    `ended_at` is when it was used, released or run over; only its SHA-256 is kept of the token. `body` is what was
    asked beyond the columns: pins, the session of a course, the segments in minutes from the start; and of a place in
    a group, whether that was called off.
    """

    __tablename__ = "holds"
    patient_id: Mapped[UUID | None]
    location_id: Mapped[UUID]
    visit_type_id: Mapped[UUID]
    visit_type: Mapped[str] = mapped_column(String(60))
    time_zone: Mapped[str] = mapped_column(String(64))
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    token_hash: Mapped[str] = mapped_column(String(64))
    key_id: Mapped[UUID | None]
    extended: Mapped[bool] = mapped_column(default=False)
    body: Mapped[dict[str, Any]] = mapped_column(Document)
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]

    __table_args__ = (
        within("patients", "patient_id"),
        within("locations", "location_id"),
        within("visit_types", "visit_type_id"),
        CheckConstraint("starts_at < ends_at", name="starts_before_it_ends"),
        Index(None, "organization_id", "key_id", "expires_at"),
    )


class Occupancy(Owned, Base):
    """This unit of this resource is taken from `starts_at` to `ends_at`: the whole truth about what is free.

    Rows with `blocking` false (presence, absence) take no unit; they are looked at under the locks. A blocking row is
    at most 24 hours long, which bounds how far back any search for overlaps must look.
    """

    __tablename__ = "occupancies"
    resource_id: Mapped[UUID]
    unit: Mapped[int]
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    kind: Mapped[str] = mapped_column(String(10))
    blocking: Mapped[bool]
    role: Mapped[str] = mapped_column(String(80), default="")
    #: This very room and no other of its pool: pinned, or the patient is in it.
    fixed: Mapped[bool] = mapped_column(default=False)
    appointment_id: Mapped[UUID | None]
    hold_id: Mapped[UUID | None]
    absence_id: Mapped[UUID | None]

    __table_args__ = (
        ForeignKeyConstraint(
            ["organization_id", "resource_id", "unit"],
            ["resource_units.organization_id", "resource_units.resource_id", "resource_units.unit"],
            name="fk__occupancies__resource_unit",
        ),
        within("appointments", "appointment_id"),
        within("holds", "hold_id"),
        within("absences", "absence_id"),
        CheckConstraint("starts_at < ends_at", name="starts_before_it_ends"),
        CheckConstraint("kind IN ('visit', 'present', 'hold', 'absence')", name="kind"),
        CheckConstraint(
            "(CASE WHEN appointment_id IS NULL THEN 0 ELSE 1 END) + (CASE WHEN hold_id IS NULL THEN 0 ELSE 1 END)"
            " + (CASE WHEN absence_id IS NULL THEN 0 ELSE 1 END) = 1",
            name="one_owner",
        ),
        Index("ix__occupancies__calendar", "organization_id", "resource_id", "starts_at"),
        # For SQLite's guard, which is a search. PostgreSQL's has an index of its own, and a planner without statistics
        # would as soon look for what is taken here.
        Index("ix__occupancies__unit", "organization_id", "resource_id", "unit", "starts_at").ddl_if(dialect="sqlite"),
        Index(None, "organization_id", "appointment_id"),
        # Partial: a booking pays nothing for it.
        Index(
            "ix__occupancies__hold",
            "organization_id",
            "hold_id",
            postgresql_where=text("hold_id IS NOT NULL"),
            sqlite_where=text("hold_id IS NOT NULL"),
        ),
    )
