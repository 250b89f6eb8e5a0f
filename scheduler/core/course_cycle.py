"""Whether the days between a course's sessions can all hold at once; where they cannot, the circle that contradicts.

Calendars are not known here: this is what no calendar could ever satisfy.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from scheduler.core.course import SessionSpec


class _Edge(NamedTuple):
    """The session `later` is at most `days` days after `earlier` (negative: at least so many before it)."""

    earlier: int
    later: int
    days: int


def contradiction(specs: Sequence[SessionSpec]) -> tuple[SessionSpec, ...]:
    """The sessions, in a circle, whose least and longest times cannot all be kept; none where they can."""
    mains = {spec.index: spec for spec in specs if spec.kind == "main"}
    edges = [edge for spec in mains.values() for edge in _edges(spec)]
    days, came = dict.fromkeys(mains, 0), dict.fromkeys(mains, -1)
    changed = -1
    for _ in mains:
        changed = -1
        for edge in edges:
            if days[edge.earlier] + edge.days < days[edge.later]:
                days[edge.later], came[edge.later] = days[edge.earlier] + edge.days, edge.earlier
                changed = edge.later
        if changed < 0:
            return ()
    if changed < 0:
        return ()
    for _ in mains:  # into the circle, from wherever it was left
        changed = came[changed]
    circle = [changed]
    while came[circle[-1]] != changed:
        circle.append(came[circle[-1]])
    return tuple(mains[index] for index in sorted(circle))


def _edges(spec: SessionSpec) -> Iterator[_Edge]:
    """The bounds between the session and those before it, as differences of days."""
    bounds = [(each.anchor, each.least, each.most) for each in spec.bounds]
    if spec.anchor is not None and spec.gap is not None:
        least, _, most = spec.gap
        bounds.append((spec.anchor, least, None if spec.clinic_days else most))
    if spec.span is not None and spec.span[0] != spec.index:
        bounds.append((spec.span[0], 0, spec.span[1]))
    for anchor, least, most in bounds:
        yield _Edge(spec.index, anchor, -least)
        if most is not None:
            yield _Edge(anchor, spec.index, most)
