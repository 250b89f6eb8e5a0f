"""The day of a visit: its moves from confirmation to discharge, their undoing, its checklist and its tasks.

What is legal stands in core/lifecycle, what an answer or a delay is worth in core/visit_day. Never commits.
"""

from __future__ import annotations

from scheduler.services.visit_day.agenda import Done, answer, do_task, hold_still
from scheduler.services.visit_day.moves import (
    arrive,
    check_in,
    confirm,
    enter_in_error,
    fulfill,
    no_show,
    not_dosed,
    start,
)
from scheduler.services.visit_day.opening import Waiver, refuse_ungated
from scheduler.services.visit_day.releasing import cut_short, left_of, shorten
from scheduler.services.visit_day.sweeping import Swept, sweep, sweepable
from scheduler.services.visit_day.undoing import undo
from scheduler.services.visit_day.viewing import Check, DayView, get

__all__ = [
    "Check",
    "DayView",
    "Done",
    "Swept",
    "Waiver",
    "answer",
    "arrive",
    "check_in",
    "confirm",
    "cut_short",
    "do_task",
    "enter_in_error",
    "fulfill",
    "get",
    "hold_still",
    "left_of",
    "no_show",
    "not_dosed",
    "refuse_ungated",
    "shorten",
    "start",
    "sweep",
    "sweepable",
    "undo",
]
