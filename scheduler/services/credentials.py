"""Credentials that do not reach a visit booked on them: each such visit is a task, on the day on which it is known.

Booking refuses such a visit by its own law, and a change of roles or certifications owes its tasks at once, in
`consequences`. Here those are found that are left; the judgment is core/duty's.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final
from uuid import UUID

from sqlalchemy import Row, select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.duty import certified, covered, qualified
from scheduler.models import Resource, Task
from scheduler.services import tasks
from scheduler.services.consequences import AFFECTED
from scheduler.services.impact import Ahead, ahead

KIND: Final = "credential"


def flag(session: Session, call: Call) -> bool:
    """A chore: ask somebody to look at each visit ahead that lacks a credential, and no more at those that do not.

    Where the change that took it away is still an open task (`consequences`), nobody is asked twice.
    """
    seen = ahead(session, call, Resource.kind.in_(("practitioner", "patient")))
    lacking: dict[UUID, set[str]] = {}
    for row in seen.rows:
        for what in _missing(seen, row):
            lacking.setdefault(row.id, set()).add(what)
    tasks.withdraw(session, call, "mended", Task.kind == KIND, Task.appointment_id.not_in(list(lacking)))
    for appointment_id in _asked(session, call, lacking):
        del lacking[appointment_id]
    _owe(session, call, seen, lacking)
    return False


def _asked(session: Session, call: Call, ids: Collection[UUID]) -> set[UUID]:
    """The visits for which a task is open that a change has owed."""
    chosen = select(Task.appointment_id).where(
        Task.organization_id == call.organization_id,
        Task.kind == AFFECTED,
        Task.status == "open",
        Task.appointment_id.in_(ids),
    )
    return {key for key in session.scalars(chosen) if key is not None}


def _owe(session: Session, call: Call, seen: Ahead, lacking: Mapping[UUID, Collection[str]]) -> None:
    about = {row.id: row for row in seen.rows}
    for appointment_id in sorted(lacking):
        row = about[appointment_id]
        tasks.owe(
            session,
            call,
            kind=KIND,
            key=f"{appointment_id}:{row.visit_starts_at.isoformat()}",
            title="A visit lacks a credential on its day",
            detail=" ".join(sorted(lacking[appointment_id])),
            due_at=row.visit_starts_at,
            patient_id=row.patient_id,
            appointment_id=appointment_id,
            location_id=row.location_id,
        )


def _missing(seen: Ahead, row: Row[tuple[object, ...]]) -> list[str]:
    """What the visit lacks in that stretch, in sentences."""
    duty, place = seen.duty(row), seen.places[row.location_id]
    found = [
        f"The site holds no valid '{code}'." for code in duty.certifications if not certified(place, code, duty.span)
    ]
    role = duty.selector.partition(":")[2]
    roster = seen.rosters.get(duty.resource_id)
    if row.kind == "present":
        if not covered(duty, place, seen.rosters.values(), seen.absences):
            found.append(f"Nobody who is a valid '{role}' is on site throughout.")
    elif roster is not None and not qualified(roster, place, duty):
        found.append(f"Whoever serves is no valid '{role}'.")
    return found
