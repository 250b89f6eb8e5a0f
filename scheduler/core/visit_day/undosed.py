"""When it may be said of a visit that no dose was given."""

from __future__ import annotations

from datetime import datetime

from scheduler.core.visit_day.checklist import too_early
from scheduler.core.visit_day.times import Times


def why_not_undosed(times: Times, time_zone: str, now: datetime) -> str | None:
    """Why it may not: a dose was recorded, or its local day is ahead and nobody was received for it all the same."""
    if times.dosed_at is not None:
        return "A dose was recorded; undo that first if it was never given."
    early = too_early(times.starts_at, time_zone, now, None)
    if early is None or times.came_at is not None:
        return None
    return f"{early} Until then it can only be cancelled."
