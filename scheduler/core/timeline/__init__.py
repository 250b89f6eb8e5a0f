"""A course in a picture: what it is made of, and how it is drawn. No patient, no name, no clock."""

from __future__ import annotations

from scheduler.core.timeline.drawing import draw
from scheduler.core.timeline.values import Bar, Gate, Lost, Mark, State, Timeline, described

__all__ = ["Bar", "Gate", "Lost", "Mark", "State", "Timeline", "described", "draw"]
