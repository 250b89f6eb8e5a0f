"""What a protocol's practice suggests after a missed dose. Suggestions only: a clinician decides, nothing follows."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from scheduler.core.course import SessionSpec
from scheduler.core.protocol import Missed

_SAID = {
    "continue_current_schedule": " in the first phase of doses: the usual way is to go on with the present schedule.",
    "suggest_previous_frequency": ": if symptoms are worse, the previous, closer rhythm may be considered.",
}


@dataclass(frozen=True)
class Suggestion:
    """About one session, by its place in the course."""

    index: int
    code: str
    detail: str


def suggestions(specs: Sequence[SessionSpec], rule: Missed, missed: Collection[int]) -> list[Suggestion]:
    """For each dose that was missed, what the protocol says about such; nothing where it says nothing.

    The first phase with doses is the induction, whatever comes later the maintenance.
    """
    doses = [spec for spec in specs if spec.dosing and spec.kind == "main"]
    found = []
    for spec in doses:
        code = rule.during_induction if spec.phase == doses[0].phase else rule.maintenance_and_worse
        if spec.index in missed and code is not None:
            found.append(Suggestion(spec.index, code, f"{spec.name} was missed{_SAID[code]}"))
    return found
