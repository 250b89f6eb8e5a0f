"""How the sessions of a course are called in sentences: by their step and number, doses of several steps by phase."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scheduler.core.course import SessionSpec


def named(specs: Sequence[SessionSpec]) -> tuple[SessionSpec, ...]:
    """The sessions of a whole course with their names: dose 4; where other steps give doses too, induction dose 4.

    Otherwise a first dose, a dose 1 and a weekly dose 1 would be three visits.
    """
    per_step = Counter(spec.step for spec in specs)
    steps = {spec.step for spec in specs if _gives(spec)}
    shared = {word for word, number in Counter(map(_kind, steps)).items() if number > 1}
    seen = Counter[tuple[str, str]]()
    found = []
    for spec in specs:
        word = _kind(spec.step)
        if _gives(spec) and word in shared:
            seen[spec.phase, word] += 1
            name = f"{_words(spec.phase)} {word} {seen[spec.phase, word]}"
        else:
            name = _words(spec.step) + (f" {spec.ordinal}" if per_step[spec.step] > 1 else "")
        found.append(replace(spec, name=name))
    return tuple(found)


def _gives(spec: SessionSpec) -> bool:
    return spec.dosing and spec.kind == "main"


def _kind(step: str) -> str:
    """What a step's key ends with: weekly_dose is a dose."""
    return step.rpartition("_")[2]


def _words(key: str) -> str:
    return key.replace("_", " ")
