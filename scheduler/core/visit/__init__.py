"""Visit types: what happens in a visit, as values, and their documents. Who fills the needs lives elsewhere."""

from __future__ import annotations

from scheduler.core.visit.gates import read_gates
from scheduler.core.visit.reading import LONGEST_LIMIT_DAYS, parse_visit_type
from scheduler.core.visit.values import (
    CheckItem,
    CheckPoint,
    DoseLimits,
    Instructions,
    Need,
    Segment,
    SessionGate,
    VisitTask,
    VisitType,
    barring,
    called,
)

__all__ = [
    "LONGEST_LIMIT_DAYS",
    "CheckItem",
    "CheckPoint",
    "DoseLimits",
    "Instructions",
    "Need",
    "Segment",
    "SessionGate",
    "VisitTask",
    "VisitType",
    "barring",
    "called",
    "parse_visit_type",
    "read_gates",
]
