"""Protocols: the template of a course, as values, and their documents. Patients and dates live elsewhere."""

from __future__ import annotations

from scheduler.core.protocol.reading import parse_protocol
from scheduler.core.protocol.values import (
    Cadence,
    GapRule,
    Gate,
    Limit,
    Missed,
    Offsets,
    Phase,
    Protocol,
    Rest,
    Rhythm,
    Step,
    Window,
)

__all__ = [
    "Cadence",
    "GapRule",
    "Gate",
    "Limit",
    "Missed",
    "Offsets",
    "Phase",
    "Protocol",
    "Rest",
    "Rhythm",
    "Step",
    "Window",
    "parse_protocol",
]
