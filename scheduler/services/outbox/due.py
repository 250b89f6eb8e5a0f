"""A message as a worker reads it: what it is judged by and written from. No mapped row, which costs more than it says.

It has the names of a `Message`, and goes where one is read. What is set here is kept by `claiming`, not by a session.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Table

from scheduler.models import Message


@dataclass(slots=True)
class Due:
    """The columns of a message that decide what becomes of it, and what it says."""

    id: UUID
    organization_id: UUID
    patient_id: UUID
    appointment_id: UUID | None
    course_id: UUID | None
    series_id: UUID | None
    rule: str
    kind: str
    recipient: str
    channel: str
    sequence: int
    due_at: datetime
    expires_at: datetime
    status: str
    reason: str | None
    attempts: int
    called_off_at: datetime | None
    merged_into: UUID | None
    context: dict[str, Any]
    created_at: datetime


COLUMNS = tuple(cast("Table", Message.__table__).c[each.name] for each in fields(Due))


def read(rows: Iterable[Any]) -> list[Message]:
    """Rows of these columns, to be read like messages and never given to a session."""
    return cast("list[Message]", [Due(*row) for row in rows])
