"""Visits that the clinic lets go by itself, several in one transaction: locked in order, then canceled one by one."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.models import Appointment
from scheduler.services import course_rules, groups, outbox, visit_tasks
from scheduler.services.appointments import row_of
from scheduler.services.booking import snapshot
from scheduler.services.catalog import visit_kind
from scheduler.services.locks import lock_locations, lock_resources
from scheduler.services.occupying import resources_of, served
from scheduler.services.visit_day.opening import Opened, noted
from scheduler.services.visit_day.releasing import give_back


def locked_together(
    session: Session, call: Call, ids: Collection[UUID], *, also: Collection[UUID] = ()
) -> list[Appointment]:
    """The appointments under their locks and those of all that they take up, each kind in the order of its ids.

    `also` are resources that are locked with theirs.
    """
    seen = [row_of(session, call, appointment_id) for appointment_id in ids]
    lock_locations(session, call, {row.location_id for row in seen}, share=True)
    for course_id in sorted({row.course_id for row in seen if row.course_id is not None}):
        course_rules.lock(session, call, course_id)
    rows = [row_of(session, call, appointment_id, lock=True) for appointment_id in sorted(ids)]
    groups.lock_of(session, call, rows)
    taken = set(also)
    for row in rows:
        taken |= resources_of(session, call, row.id)
    lock_resources(session, call, taken)
    return rows


def let_go(session: Session, call: Call, row: Appointment, why: str) -> None:
    """The clinic cancels the visit for the reason `why`; who was told of it is told of that too."""
    kind = visit_kind(session, call, row.visit_type).visit
    move = Opened(row, kind, snapshot(row), "cancelled")
    before = {"served": served(session, call, row.id)}
    row.status, row.cancelled_by, row.cancel_reason = "cancelled", "clinic", why
    row.sequence += 1
    give_back(session, call, row)
    session.flush()
    outbox.call_off(session, call, row, why="cancelled")
    outbox.owe_change(session, call, row, kind="cancelled")
    visit_tasks.settle(session, call, row)
    noted(session, call, move, "cancel", reason=why, before=before)
