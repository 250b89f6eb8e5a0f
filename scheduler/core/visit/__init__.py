"""Visit types: what happens in a visit, as values, and their documents. Who fills the needs lives elsewhere."""

from __future__ import annotations

from scheduler.core.visit.floors import check_floors
from scheduler.core.visit.gates import read_gates
from scheduler.core.visit.reading import GRID_MINUTES, LONGEST_LIMIT_DAYS, parse_visit_type
from scheduler.core.visit.values import (
    CheckItem,
    CheckPoint,
    DoseLimits,
    Instructions,
    Mode,
    Need,
    NeedKind,
    Observation,
    Segment,
    SessionGate,
    VisitTask,
    VisitType,
    barring,
)

__all__ = [
    "GRID_MINUTES",
    "LONGEST_LIMIT_DAYS",
    "CheckItem",
    "CheckPoint",
    "DoseLimits",
    "Instructions",
    "Mode",
    "Need",
    "NeedKind",
    "Observation",
    "Segment",
    "SessionGate",
    "VisitTask",
    "VisitType",
    "barring",
    "check_floors",
    "parse_visit_type",
    "read_gates",
]
