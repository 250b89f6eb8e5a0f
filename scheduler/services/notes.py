"""What the staff note on a visit, beside what happens to it: no move of its day, and no message speaks of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.services import audit
from scheduler.services.appointments import row_of
from scheduler.services.records import expect


def change(session: Session, call: Call, appointment_id: UUID, revision: int, values: Mapping[str, Any]) -> None:
    """Change the {note}, whatever has become of the visit. Raises NotFound, StaleRevision."""
    row = row_of(session, call, appointment_id, lock=True)
    expect(row, revision)
    note = values.get("note", row.note)
    if note == row.note:
        return
    before, row.note = row.note, note
    session.flush()
    said = {"note": before}, {"note": note}
    audit.note(session, call, "appointment.note", "appointment", row.id, before=said[0], after=said[1])
