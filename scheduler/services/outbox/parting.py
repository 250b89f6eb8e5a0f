"""What was merged into a message that does not leave goes its own way again: nothing is lost with its host."""

from __future__ import annotations

from collections.abc import Collection
from typing import cast
from uuid import UUID

from sqlalchemy import Table, exists, or_, update
from sqlalchemy.orm import Session

from scheduler.models import Appointment, Message
from scheduler.services.outbox.telling import DIGEST


def part(session: Session, organization_id: UUID, hosts: Collection[UUID]) -> None:
    """Let what these messages were to say be pending again, each at its own time.

    Not what speaks of a time at which its visit is no more: that has other messages by now.
    """
    table, visit = cast("Table", Message.__table__), cast("Table", Appointment.__table__).c
    stands = exists().where(
        visit.organization_id == table.c.organization_id,
        visit.id == table.c.appointment_id,
        visit.sequence == table.c.sequence,
    )
    session.execute(
        update(table)
        .where(
            table.c.organization_id == organization_id,
            table.c.merged_into.in_(hosts),
            table.c.status == "suppressed",
            table.c.called_off_at.is_(None),
            or_(table.c.appointment_id.is_(None), table.c.kind == DIGEST, stands),
        )
        .values(status="pending", reason=None, merged_into=None)
    )
