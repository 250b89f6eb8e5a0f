"""The day of a visit, as pure judgments: checklist, observation, tasks, delays and what time alone decides.

Who may say what, and what is written down, lives in services.
"""

from __future__ import annotations

from scheduler.core.visit_day.checklist import (
    PATIENT,
    Open,
    merged,
    of_any_time,
    too_early,
    unsettled,
    unwaived,
    waived,
)
from scheduler.core.visit_day.delays import Flag, Stay, collisions, delay, lateness, stage
from scheduler.core.visit_day.gating import is_forfeit, unpassed
from scheduler.core.visit_day.observing import Watch, watch
from scheduler.core.visit_day.pencil import deadline
from scheduler.core.visit_day.sweeping import Sweep, overdue
from scheduler.core.visit_day.tasks import Due, tasks_of, urgent_at
from scheduler.core.visit_day.times import Times
from scheduler.core.visit_day.undosed import why_not_undosed

__all__ = [
    "PATIENT",
    "Due",
    "Flag",
    "Open",
    "Stay",
    "Sweep",
    "Times",
    "Watch",
    "collisions",
    "deadline",
    "delay",
    "is_forfeit",
    "lateness",
    "merged",
    "of_any_time",
    "overdue",
    "stage",
    "tasks_of",
    "too_early",
    "unpassed",
    "unsettled",
    "unwaived",
    "urgent_at",
    "waived",
    "watch",
    "why_not_undosed",
]
