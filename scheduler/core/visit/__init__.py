"""Visit types: what happens in a visit, as values, and their documents. Who fills the needs lives elsewhere."""

from __future__ import annotations

from scheduler.core.visit.floors import check_floors
from scheduler.core.visit.reading import GRID_MINUTES, parse_visit_type
from scheduler.core.visit.values import (
    CheckItem,
    CheckPoint,
    Instructions,
    Mode,
    Need,
    NeedKind,
    Observation,
    Segment,
    VisitTask,
    VisitType,
)

__all__ = [
    "GRID_MINUTES",
    "CheckItem",
    "CheckPoint",
    "Instructions",
    "Mode",
    "Need",
    "NeedKind",
    "Observation",
    "Segment",
    "VisitTask",
    "VisitType",
    "check_floors",
    "parse_visit_type",
]
