"""Protocols: the template of a course, as values, and their documents. Patients and dates live elsewhere."""

from __future__ import annotations

from scheduler.core.protocol.reading import parse_protocol
from scheduler.core.protocol.values import (
    GapRule,
    Gate,
    Limit,
    Missed,
    Phase,
    Protocol,
    Rest,
    Step,
    Window,
)

__all__ = [
    "GapRule",
    "Gate",
    "Limit",
    "Missed",
    "Phase",
    "Protocol",
    "Rest",
    "Step",
    "Window",
    "parse_protocol",
]
