"""Whether a booked visit may still be cancelled or moved: cut-offs and the number of moves. Nothing is done here."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from scheduler.core.errors import Fault, Invalid, Reason
from scheduler.core.policies import Initiator, Policies

Change = Literal["cancel", "reschedule"]

_WHO: dict[Initiator, str] = {"patient": "a patient", "staff": "staff", "clinic": "the clinic"}


def why_not_change(
    policies: Policies, change: Change, by: Initiator, *, starts_at: datetime, now: datetime, moves: Mapping[str, int]
) -> tuple[Reason, ...]:
    """Every reason against the change of a visit that starts at `starts_at` and was moved `moves[by]` times."""
    reasons = []
    cutoffs = policies.cancel_cutoff_minutes if change == "cancel" else policies.reschedule_cutoff_minutes
    cutoff = cutoffs.of(by)
    if cutoff and now > starts_at - cutoff:
        done = "cancelled" if change == "cancel" else "moved"
        minutes = int(cutoff.total_seconds()) // 60
        detail = f"A visit can be {done} by {_WHO[by]} until {minutes} minutes before its start."
        reasons.append(Reason("cutoff", detail))
    most = policies.max_moves.of(by)
    if change == "reschedule" and most is not None and moves.get(by, 0) >= most:
        detail = f"It was moved {moves.get(by, 0)} time(s) by {_WHO[by]} already, which is the most."
        reasons.append(Reason("too_many_changes", detail))
    return tuple(reasons)


def check_category(policies: Policies, category: str | None) -> None:
    """Raises Invalid (`unknown_category`) for a class of reasons that the organization does not have."""
    if category is not None and category not in policies.reasons:
        detail = f"The organization's reasons are {', '.join(policies.reasons)}."
        raise Invalid([Fault("/category", "unknown_category", detail)])
