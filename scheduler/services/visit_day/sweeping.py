"""What time alone does to visits, for one organization at a time: no-shows by policy, pencilled visits let go.

What is due is decided in core; here it is found, locked in order, and carried out like any other move.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import and_, exists, or_, select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.clinical_hold import freezes
from scheduler.core.policies import Policies
from scheduler.core.visit_day import Sweep, overdue
from scheduler.core.visit_day.sweeping import LONG_REST, LOOKBACK
from scheduler.models import Appointment, Organization
from scheduler.services.backup import fence
from scheduler.services.booking import snapshot
from scheduler.services.catalog import visit_kind
from scheduler.services.held import is_held
from scheduler.services.pencilling import pencilled_until
from scheduler.services.visit_day.letting_go import let_go, locked_together
from scheduler.services.visit_day.moves import gone
from scheduler.services.visit_day.opening import Opened

#: As many visits in one transaction, so that nobody waits long for their locks.
BATCH = 50

_REASONS = {
    "expire": "Its gate was not passed in time.",
    "release": "Nobody confirmed it in time.",
}


@dataclass(frozen=True)
class Swept:
    """The visits that one sweep dealt with. `more` says that there may be others: sweep again."""

    no_shows: tuple[UUID, ...] = ()
    released: tuple[UUID, ...] = ()
    more: bool = False


def sweepable(session: Session, now: datetime) -> list[UUID]:
    """The organizations that may have something to sweep: a plain look, without locks."""
    mine = Appointment.organization_id == Organization.id
    recent, past = Appointment.starts_at >= now - LOOKBACK, Appointment.starts_at >= now - LONG_REST
    late = exists().where(mine, recent, Appointment.status == "booked", Appointment.starts_at <= now)
    waiting = exists().where(mine, past, Appointment.status == "pending")
    return list(session.scalars(select(Organization.id).where(or_(late, waiting)).order_by(Organization.id)))


def sweep(session: Session, call: Call) -> Swept:
    """Carry out what has become due by the organization's policy, at most BATCH visits in this transaction.

    Raises LostRace when a room changed hands meanwhile: the transaction is to be tried again.
    """
    organization = session.get_one(Organization, call.organization_id)
    policies = Policies.from_document(organization.policies)
    due = _due(session, call, policies)
    done: dict[Sweep, list[UUID]] = {"no_show": [], "release": [], "expire": []}
    for row in locked_together(session, call, due):
        what = _decided(session, call, row, policies)
        if what is not None:
            _carry_out(session, call, row, what)
            done[what].append(row.id)
    return Swept(tuple(done["no_show"]), tuple(done["release"] + done["expire"]), more=len(due) == BATCH)


def _due(session: Session, call: Call, policies: Policies) -> list[UUID]:
    """Visits that may be due, as far as a statement can tell."""
    recent = Appointment.starts_at >= call.now - LOOKBACK
    pending = [Appointment.pencilled_until <= call.now]
    if policies.release_pending_minutes is not None:
        notice = timedelta(minutes=policies.release_pending_minutes)
        pending.append(and_(recent, Appointment.starts_at <= call.now + notice))
    wanted = [and_(Appointment.status == "pending", or_(*pending))]
    if policies.no_show_after_minutes is not None:
        grace = timedelta(minutes=policies.no_show_after_minutes)
        wanted.append(and_(recent, Appointment.status == "booked", Appointment.starts_at <= call.now - grace))
    chosen = select(Appointment.id).where(
        Appointment.organization_id == call.organization_id,
        Appointment.status.in_(("pending", "booked")),
        Appointment.starts_at >= call.now - LONG_REST,
        or_(*wanted),
    )
    unknown = fence.waiting(session, call)
    if unknown is not None:  # a backup was restored: who came by then is not written down here
        chosen = chosen.where(Appointment.starts_at > unknown)
    return list(session.scalars(chosen.order_by(Appointment.starts_at, Appointment.id).limit(BATCH)))


def _decided(session: Session, call: Call, row: Appointment, policies: Policies) -> Sweep | None:
    """What has become of the visit, under its lock. A deadline that has moved with the course is moved here too."""
    what = overdue(row.status, row.starts_at, row.pencilled_until, policies, call.now)
    if what == "expire":
        until = pencilled_until(session, call, row)
        if until != row.pencilled_until:
            row.pencilled_until = until
            what = overdue(row.status, row.starts_at, until, policies, call.now)
    return what


def _carry_out(session: Session, call: Call, row: Appointment, what: Sweep) -> None:
    if what != "no_show":
        let_go(session, call, row, _REASONS[what])
        return
    kind = visit_kind(session, call, row.visit_type).visit
    if freezes(kind) and is_held(session, call, row.patient_id):
        let_go(session, call, row, "A clinical hold stopped it.")
    else:
        gone(session, call, Opened(row, kind, snapshot(row), "noshow"), reason="Nobody came in time.")
