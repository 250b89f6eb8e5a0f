"""Overrides, and policies at a change: who may lift what, and how it is kept. The rules themselves are the core's."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy.orm import Session

from scheduler.core import changing
from scheduler.core.call import Call
from scheduler.core.changing import Change, why_not_change
from scheduler.core.errors import Refused
from scheduler.core.overriding import Override
from scheduler.core.policies import Initiator
from scheduler.models import Appointment
from scheduler.services import access, audit, policies

SCOPE = "override"


def may(call: Call, override: Override | None) -> None:
    """Raises ScopeMissing for an override by somebody who may lift nothing."""
    if override is not None:
        access.require(call, SCOPE)


def check_category(session: Session, call: Call, category: str | None) -> None:
    """Raises Invalid for a class of reasons that the organization does not have."""
    changing.check_category(policies.current(session, call), category)


def permit(
    session: Session,
    call: Call,
    row: Appointment,
    change: Change,
    by: Initiator,
    *,
    start: datetime | None = None,
    category: str | None = None,
    override: Override | None = None,
) -> frozenset[str]:
    """Let the visit be changed by that initiator; the rules of policy that the override had to lift.

    A move to its own `start` is none: it changes who serves. Raises Refused (`cutoff`, `too_many_changes`), and Invalid
    for a category that the organization does not have.
    """
    in_force = policies.current(session, call)
    changing.check_category(in_force, category)
    if start == row.starts_at:
        return frozenset()
    reasons = why_not_change(in_force, change, by, starts_at=row.starts_at, now=call.now, moves=row.moves)
    lifted = frozenset(reason.code for reason in reasons) & (override.rules if override else frozenset())
    left = [reason for reason in reasons if reason.code not in lifted]
    if left:
        raise Refused(left)
    return lifted


def record(session: Session, call: Call, row: Appointment, override: Override | None, rules: Collection[str]) -> None:
    """Show on the visit which rules were lifted for its present place, and write it to the audit trail.

    Rules that were not in the way are not lifted: with none, nothing is recorded.
    """
    if override is None or not rules:
        row.override = None
        return
    row.override = {
        "rules": sorted(rules),
        "reason": override.reason,
        "by": call.actor,
        "at": call.now.isoformat(),
    }
    audit.note(
        session,
        call,
        "appointment.override",
        "appointment",
        row.id,
        after={"rules": sorted(rules), "start": row.starts_at},
        reason=override.reason,
    )
