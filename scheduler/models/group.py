"""Groups: several patients in one visit, with a row for each place so that no more can come than there are places."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from scheduler.models.base import Base, Owned, Revised, within


class Group(Owned, Revised, Base):
    """One meeting of a group. Each patient in it has an appointment of their own, and one of the places.

    The room and the staff are occupied once, by one of these appointments, whichever. `decide_at` is when it is looked
    whether enough patients come; None when nobody is to look.
    """

    __tablename__ = "groups"
    visit_type_id: Mapped[UUID]
    visit_type: Mapped[str] = mapped_column(String(60))
    location_id: Mapped[UUID]
    time_zone: Mapped[str] = mapped_column(String(64))
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    minimum: Mapped[int]
    maximum: Mapped[int]
    below_minimum: Mapped[str] = mapped_column(String(10))
    decide_at: Mapped[datetime | None]
    decided_at: Mapped[datetime | None]
    status: Mapped[str] = mapped_column(String(20), default="open")

    __table_args__ = (
        within("visit_types", "visit_type_id"),
        within("locations", "location_id"),
        UniqueConstraint("organization_id", "id", "maximum"),
        CheckConstraint("starts_at < ends_at", name="starts_before_it_ends"),
        CheckConstraint("1 <= minimum AND minimum <= maximum AND maximum <= 100", name="size"),
        CheckConstraint("below_minimum IN ('task', 'cancel')", name="below_minimum"),
        CheckConstraint("status IN ('open', 'cancelled')", name="status"),
        Index(None, "organization_id", "location_id", "starts_at"),
    )


class GroupPlace(Base):
    """One of the places of a group: free, or taken by an appointment, or kept by a hold until that is over."""

    __tablename__ = "group_places"
    organization_id: Mapped[UUID] = mapped_column(primary_key=True)
    group_id: Mapped[UUID] = mapped_column(primary_key=True)
    place: Mapped[int] = mapped_column(primary_key=True)
    #: The group's: no place beyond it can be made.
    maximum: Mapped[int]
    appointment_id: Mapped[UUID | None]
    hold_id: Mapped[UUID | None]

    __table_args__ = (
        ForeignKeyConstraint(
            ["organization_id", "group_id", "maximum"],
            ["groups.organization_id", "groups.id", "groups.maximum"],
            name="fk__group_places__group",
        ),
        CheckConstraint("0 <= place AND place < maximum", name="within_the_group"),
        within("appointments", "appointment_id"),
        within("holds", "hold_id"),
        CheckConstraint("appointment_id IS NULL OR hold_id IS NULL", name="one_owner"),
        UniqueConstraint("organization_id", "appointment_id"),
        UniqueConstraint("organization_id", "hold_id"),
    )
