"""The registry of chores: what the worker does at intervals, for one organization and in one transaction at a time.

A new duty is one line in CHORES. Its work must be repeatable, for any number of workers do it and each may die at it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.services import (
    access,
    clinical_holds,
    credentials,
    disruptions,
    gates,
    idempotency,
    jobs,
    lost_sessions,
    meetings,
    outbox,
    patient_links,
    plans,
    receipts,
    session_gates,
    tasks,
    visit_day,
    waitlist,
    webhooks,
    zone_rules,
)


def everyone(session: Session, _now: datetime) -> list[UUID]:
    """Every organization."""
    return [organization_id for organization_id, _ in access.organizations(session)]


@dataclass(frozen=True)
class Chore:
    """A duty that comes back. `work` returns whether it left more to do, and is then called again.

    `due` names the organizations worth a transaction: a plain look, without locks.
    """

    key: str
    every: timedelta
    work: Callable[[Session, Call], bool]
    due: Callable[[Session, datetime], Sequence[UUID]] = everyone


#: A chore that is to be done at each tick of the worker.
EACH_TICK = timedelta(0)

#: In the order in which they are done when several are due.
CHORES: tuple[Chore, ...] = (
    Chore("waitlist.sweep", EACH_TICK, waitlist.sweep, due=waitlist.organizations_due),
    Chore("receipts.catch_up", EACH_TICK, receipts.catch_up, due=receipts.waiting),
    Chore("visit_day.sweep", timedelta(minutes=1), lambda s, c: visit_day.sweep(s, c).more, due=visit_day.sweepable),
    Chore("groups.decide", timedelta(minutes=5), meetings.decide, due=meetings.due),
    Chore("clinical_holds.lapse", timedelta(minutes=1), clinical_holds.lapse),
    Chore("session_gates.chase", timedelta(minutes=5), session_gates.chase),
    Chore("gates.chase", timedelta(minutes=5), gates.chase),
    Chore("lost_sessions.chase", timedelta(minutes=5), lost_sessions.chase),
    Chore("tasks.urge", timedelta(minutes=1), tasks.urge),
    Chore("credentials.flag", timedelta(hours=6), credentials.flag),
    Chore("outbox.review", timedelta(hours=1), outbox.review),
    Chore("disruptions.forget", timedelta(hours=1), disruptions.forget),
    Chore("idempotency.forget", timedelta(hours=1), idempotency.forget),
    Chore("jobs.forget", timedelta(hours=1), jobs.forget),
    Chore("webhooks.forget", timedelta(hours=1), webhooks.forget),
    Chore("zone_rules.follow", timedelta(hours=1), zone_rules.follow, due=zone_rules.organizations_behind),
    Chore("patient_links.forget", timedelta(hours=1), patient_links.forget),
    Chore("plans.forget", timedelta(hours=1), plans.forget),
)
