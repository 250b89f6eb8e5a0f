"""The exact course planner: pure, on bitmaps; it knows no clinic, no clock and no database."""

from __future__ import annotations

from scheduler.core.planner.alternatives import alternatives
from scheduler.core.planner.blocked import blocked
from scheduler.core.planner.problem import (
    Blocked,
    Cap,
    Discord,
    Gap,
    Grid,
    Leaf,
    Main,
    Plan,
    Preferences,
    Problem,
    Rest,
    Span,
    Weights,
    Window,
)
from scheduler.core.planner.search import plan
from scheduler.core.planner.verify import verify

__all__ = [
    "Blocked",
    "Cap",
    "Discord",
    "Gap",
    "Grid",
    "Leaf",
    "Main",
    "Plan",
    "Preferences",
    "Problem",
    "Rest",
    "Span",
    "Weights",
    "Window",
    "alternatives",
    "blocked",
    "plan",
    "verify",
]
