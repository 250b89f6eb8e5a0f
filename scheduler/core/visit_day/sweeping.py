"""What time alone decides about a visit, by the organization's policy: a no-show, or a pencilled visit let go."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from scheduler.core.policies import Policies

Sweep = Literal["no_show", "release", "expire"]

#: What is later than this is left to people: a clock that was wrong, or a policy that is new, must not rewrite history.
LOOKBACK = timedelta(days=1)
#: A pencilled visit nobody confirmed was no promise: it is let go when workers come back after a longer rest too.
LONG_REST = timedelta(days=31)


def overdue(
    status: str, starts_at: datetime, pencilled_until: datetime | None, policies: Policies, now: datetime
) -> Sweep | None:
    """What has become due for a visit in that status, or None. All instants are aware.

    `no_show`: booked, and nobody came within the grace. `expire`: pencilled beyond its gate's deadline. `release`:
    still unconfirmed so many minutes before it starts.
    """
    if status == "pending" and pencilled_until is not None and now >= pencilled_until:
        return "expire" if starts_at >= now - LONG_REST else None
    if starts_at < now - LOOKBACK:
        return None
    if status == "booked":
        grace = policies.no_show_after_minutes
        return "no_show" if grace is not None and now >= starts_at + timedelta(minutes=max(grace, 1)) else None
    if status != "pending":
        return None
    notice = policies.release_pending_minutes
    return "release" if notice is not None and now >= starts_at - timedelta(minutes=notice) else None
