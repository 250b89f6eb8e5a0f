"""Whom a fast comes too late for: it takes hours, and may begin before anybody can be told of it."""

from __future__ import annotations

from datetime import datetime, timedelta

from scheduler.core.bar import Bar
from scheduler.core.bitmap import Timeline
from scheduler.core.visit import VisitType


def fast_bars(visit: VisitType, timeline: Timeline, now: datetime, stands: datetime | None) -> tuple[Bar, ...]:
    """The starts ahead whose fast has begun by now: no patient books a visit there, or moves one to there, themselves.

    Whoever fasts already for a visit that `stands` may put it off.
    """
    told = visit.instructions
    minutes = max(told.solids_minutes or 0, told.clear_liquids_minutes or 0)
    if not minutes:
        return ()
    free = timeline.from_slot(timeline.slot_after(now + timedelta(minutes=minutes)))
    if stands is not None:
        free |= timeline.from_slot(timeline.slot(stands))
    begun = timeline.from_slot(timeline.slot_after(now)) & ~free
    return (Bar("lead_time", "The patient would have had to stop eating or drinking before now.", begun),)
