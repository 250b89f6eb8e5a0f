"""What was merged into a message that does not leave goes its own way again: nothing is lost with its host."""

from __future__ import annotations

from collections.abc import Collection
from typing import cast
from uuid import UUID

from sqlalchemy import Table, update
from sqlalchemy.orm import Session

from scheduler.models import Message


def part(session: Session, organization_id: UUID, hosts: Collection[UUID]) -> None:
    """Let what these messages were to say be pending again, each at its own time."""
    table = cast("Table", Message.__table__)
    session.execute(
        update(table)
        .where(
            table.c.organization_id == organization_id,
            table.c.merged_into.in_(hosts),
            table.c.status == "suppressed",
            table.c.called_off_at.is_(None),
        )
        .values(status="pending", reason=None, merged_into=None)
    )
