"""The rules that may keep a course from being planned: what they are, how things look without them, how they read.

Which of them are to blame is found by `core/planner/explain`; rows and people's names come from elsewhere.
"""

from __future__ import annotations

from scheduler.core.easing.brief import brief
from scheduler.core.easing.lifting import lifted
from scheduler.core.easing.rules import AMOUNTS, LIMITS, WHO, Rule, Scene, finer, rules_of
from scheduler.core.easing.words import Spoken, said

__all__ = [
    "AMOUNTS",
    "LIMITS",
    "WHO",
    "Rule",
    "Scene",
    "Spoken",
    "brief",
    "finer",
    "lifted",
    "rules_of",
    "said",
]
