"""A message as a worker reads it: what it is judged by and written from. No mapped row, which costs more than it says.

It has the names of a `Message`, and goes where one is read. What is set here is kept by `claiming`, not by a session.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Table
from sqlalchemy.orm import Session

from scheduler.models import Message
from scheduler.services.ready import Ready


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


def read(statement: Ready, session: Session, asked: Mapping[str, Any]) -> list[Message]:
    """What a statement finds that reads these columns into `Due`: like messages, and never given to a session."""
    return cast("list[Message]", list(statement.rows(session, asked)))
