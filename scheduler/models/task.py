"""What somebody on the staff has to do, written with the change that owes it."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from scheduler.models.base import Base, Document, Owned, Revised, within


class Task(Owned, Revised, Base):
    """One thing that a person must see to. `key` says about what, and makes that it is owed once for each kind.

    `item` is the key of a visit's task or of a gate. `steps` (ISO instants) are when it becomes more urgent, the last
    of them when it is due; `level` counts those that a worker has seen pass, `next_step_at` is the one to come.
    `withdrawn` says that it was closed because there was nothing to do any more: owed again, it opens again.
    """

    __tablename__ = "tasks"
    kind: Mapped[str] = mapped_column(String(60))
    key: Mapped[str] = mapped_column(String(200))
    title: Mapped[str] = mapped_column(String(200))
    detail: Mapped[str] = mapped_column(String(2000), default="")
    item: Mapped[str | None] = mapped_column(String(60))
    patient_id: Mapped[UUID | None]
    appointment_id: Mapped[UUID | None]
    course_id: Mapped[UUID | None]
    message_id: Mapped[UUID | None]
    location_id: Mapped[UUID | None]
    due_at: Mapped[datetime]
    steps: Mapped[list[str]] = mapped_column(Document, default=list)
    level: Mapped[int] = mapped_column(default=0)
    next_step_at: Mapped[datetime | None]
    status: Mapped[str] = mapped_column(String(20), default="open")
    withdrawn: Mapped[bool] = mapped_column(default=False)
    closed_at: Mapped[datetime | None]
    closed_by: Mapped[str | None] = mapped_column(String(200))
    note: Mapped[str | None] = mapped_column(String(2000))

    __table_args__ = (
        within("patients", "patient_id"),
        within("appointments", "appointment_id"),
        within("courses", "course_id"),
        within("messages", "message_id"),
        within("locations", "location_id"),
        UniqueConstraint("organization_id", "kind", "key"),
        CheckConstraint("status IN ('open', 'done', 'dismissed')", name="status"),
        # A task that is closed says when and by whom.
        CheckConstraint("status = 'open' OR (closed_at IS NOT NULL AND closed_by IS NOT NULL)", name="closed_by_whom"),
        Index(None, "organization_id", "due_at", "id"),
        Index(None, "organization_id", "appointment_id"),
        Index(None, "organization_id", "patient_id"),
        # For the chore that makes what is left undone more urgent, which asks for nothing else.
        Index(
            "ix__tasks__stepping",
            *("organization_id", "next_step_at"),
            postgresql_where=text("status = 'open' AND next_step_at IS NOT NULL"),
            sqlite_where=text("status = 'open' AND next_step_at IS NOT NULL"),
        ),
    )
