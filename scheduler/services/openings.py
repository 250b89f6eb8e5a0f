"""Time that becomes free while somebody waits for it, written down in the transaction that frees it. Offers nothing."""

from __future__ import annotations

from datetime import datetime
from typing import cast
from uuid import UUID

from sqlalchemy import Table, exists, insert, literal, select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.models import WaitlistEntry, WaitlistOpening, new_id

_ROWS = cast("Table", WaitlistOpening.__table__)


def note(session: Session, call: Call, location_id: UUID, starts_at: datetime, ends_at: datetime) -> None:
    """Remember that a visit's time at the location is free again; not when it is over, or when nobody waits there.

    Who was offered another time still waits: it may be declined.
    """
    if ends_at <= call.now:
        return
    waits = exists().where(
        WaitlistEntry.organization_id == call.organization_id,
        WaitlistEntry.location_id == location_id,
        WaitlistEntry.status.in_(("waiting", "offered")),
    )
    values = {
        "organization_id": call.organization_id,
        "id": new_id(),
        "location_id": location_id,
        "starts_at": max(starts_at, call.now),
        "ends_at": ends_at,
        "status": "open",
        "created_at": call.now,
    }
    row = select(*(literal(value, _ROWS.c[name].type) for name, value in values.items())).where(waits)
    session.execute(insert(_ROWS).from_select(list(values), row))
