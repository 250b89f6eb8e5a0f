"""A sound protocol for tests to bend: a series of six doses with a talk after each, and boosters without end."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from scheduler.core.errors import Fault, Invalid
from scheduler.core.protocol import Protocol, parse_protocol
from scheduler.core.visit import VisitType, parse_visit_type

GONE = object()


def visit(code: str, kind: str, minutes: int, role: str) -> VisitType:
    """A visit type of one segment with one person."""
    segment = {"name": "all", "minutes": minutes, "needs": [{"role": role, "mode": "exclusive"}]}
    doc = {"code": code, "name": code, "public_name": "Visit", "kind": kind, "segments": [segment]}
    return parse_visit_type(doc, {})


VISITS: Mapping[str, VisitType] = {
    "evaluation": visit("evaluation", "evaluation", 30, "prescriber"),
    "infusion": visit("infusion", "dosing", 115, "nurse"),
    "integration": visit("integration", "integration", 55, "therapist"),
}
PROTOCOL: dict[str, Any] = {
    "code": "series",
    "name": "A series",
    "modality": "iv",
    "continuity": ["prescriber", "therapist"],
    "phases": [
        {"key": "start", "steps": [{"key": "evaluation", "visit_type": "evaluation"}]},
        {
            "key": "induction",
            "steps": [
                {
                    "key": "dose",
                    "visit_type": "infusion",
                    "count": 6,
                    "entry": {"anchor": "evaluation", "unit": "days", "min": 1, "target": 3, "max": 14},
                    "gap": {"unit": "days", "min": 2, "target": [2, 2, 3, 2, 2], "max": 5},
                    "dosing": True,
                },
                {
                    "key": "talk",
                    "visit_type": "integration",
                    "each": "dose",
                    "window": {"edge": "end", "unit": "hours", "min": 24, "target": 48, "max": 72},
                    "before_next": True,
                },
            ],
        },
        {
            "key": "maintenance",
            "steps": [
                {
                    "key": "booster",
                    "visit_type": "infusion",
                    "count": None,
                    "block": 4,
                    "entry": {"min": 7, "target": 28, "max": 56},
                    "gap": {"min": 7, "target": 28, "max": 56},
                }
            ],
        },
    ],
    "cadences": {
        "thrice": {"dose": {"gap": {"min": 2, "target": [2, 2, 3, 2, 2], "max": 5}}},
        "twice": {"dose": {"gap": {"min": 2, "target": [3, 4, 3, 4, 3], "max": 7}}},
    },
    "default_cadence": "thrice",
    "gates": [
        {"key": "look", "after": {"step": "dose", "count": 3}, "kind": "soft"},
        {
            "key": "review",
            "after": {"step": "dose", "count": 6},
            "kind": "hard",
            "blocks": "maintenance",
            "deadline_days": 14,
        },
    ],
}
DOSE = "/phases/1/steps/0"
TALK = "/phases/1/steps/1"
BOOSTER = "/phases/2/steps/0"


def changed(*changes: tuple[str, object]) -> dict[str, Any]:
    """The sound document with values put in, or taken out, at JSON pointers."""
    doc = json.loads(json.dumps(PROTOCOL))
    for pointer, value in changes:
        *path, last = (int(token) if token.isdigit() else token for token in pointer.split("/")[1:])
        place: Any = doc
        for token in path:
            place = place[token]
        if value is GONE:
            del place[last]
        elif isinstance(place, list) and last == len(place):
            place.append(value)
        else:
            place[last] = value
    return dict(doc)


def parsed(*changes: tuple[str, object]) -> Protocol:
    return parse_protocol(changed(*changes), VISITS, {"prescriber", "nurse", "therapist"})


def faults_of(*changes: tuple[str, object]) -> list[Fault]:
    with pytest.raises(Invalid) as refused:
        parsed(*changes)
    return list(refused.value.faults)
