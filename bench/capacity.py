"""How many courses a clinic's rooms and people can hold at most, whatever the order: no search, only counting.

Each course counts with all of its visits of a kind, and each member of a pool with as many as it can serve one after
the other, at starts that some course could use. Those with the fewest visits go first: no plans hold more courses.
"""

from __future__ import annotations

from collections.abc import Sequence

from bench.planner_clinic import KINDS, Clinic
from scheduler.core.bitmap import bits, erode
from scheduler.core.planner import Problem

#: What the sessions of a kind of visit are called.
_NAMES = {"dose": "dose", "integration": "talk", "evaluation": "evaluation"}


def most_courses(clinic: Clinic, problems: Sequence[Problem]) -> int:
    """No more of these courses, each with a plan by itself in the clinic as it stands, have plans together."""
    found = len(problems)
    for kind, name in _NAMES.items():
        visits = [[each for each in problem.visits() if each.session_id.startswith(name)] for problem in problems]
        wanted = 0
        for each in (visit for some in visits for visit in some):
            wanted |= each.starts
        for need in KINDS[kind].needs:
            held = sum(
                _in_a_row(wanted & erode(mask, need.length) >> need.offset, need.length)
                for mask in clinic.free[need.pool].values()
            )
            found = min(found, _fewest_first([len(some) for some in visits], held))
    return found


def _in_a_row(starts: int, length: int) -> int:
    """How many visits of that length fit one after the other, each at one of these starts: the earliest each time."""
    count, end = 0, 0
    for start in bits(starts):
        if start >= end:
            count, end = count + 1, start + length
    return count


def _fewest_first(sizes: Sequence[int], held: int) -> int:
    """How many of these sizes fit into what is held."""
    count = 0
    for size in sorted(sizes):
        held -= size
        count += held >= 0
    return count
