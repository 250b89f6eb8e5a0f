"""What a protocol's practice suggests after a missed dose. Suggestions only: a clinician decides, nothing follows."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from scheduler.core.course import SessionSpec
from scheduler.core.easing import session_name


@dataclass(frozen=True)
class Suggestion:
    """About one session, by its place in the course."""

    index: int
    code: str
    detail: str


def suggestions(specs: Sequence[SessionSpec], missed: Collection[int]) -> list[Suggestion]:
    """For each dose that was missed: go on as planned in the first phase of doses, think about frequency after it."""
    doses = [spec for spec in specs if spec.dosing and spec.kind == "main"]
    found = []
    for spec in doses:
        if spec.index not in missed:
            continue
        name = session_name(specs, spec)
        if spec.phase == doses[0].phase:
            detail = f"{name} was missed in the first phase: the usual way is to go on with the present schedule."
            found.append(Suggestion(spec.index, "continue_schedule", detail))
        else:
            detail = f"{name} was missed: if symptoms are worse, the previous, closer rhythm may be considered."
            found.append(Suggestion(spec.index, "consider_previous_frequency", detail))
    return found
