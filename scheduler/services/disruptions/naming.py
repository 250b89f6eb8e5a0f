"""Whom and what a visit was promised by name: a repair keeps that where it can, and says so where it can't."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from scheduler.core.availability import starts
from scheduler.core.planner import Problem
from scheduler.models import Appointment
from scheduler.services.disruptions.scene import Scene
from scheduler.services.pins import pins_of
from scheduler.services.planning import Desk, Placed, solve_either

#: Selector to those who were promised.
Named = Mapping[str, frozenset[UUID]]
Narrowed = Callable[[Problem], Problem]


def promised(row: Appointment, away: UUID) -> Named:
    """Whom and what the visit was promised, without what is away."""
    return _by_selector(row, {pin.resource_id for pin in pins_of(row)} - {away})


def kept(row: Appointment, people: Collection[UUID]) -> Named:
    """Whom and what of these it was promised."""
    return _by_selector(row, people)


def solved(
    scene: Scene, desk: Desk, narrowed: Narrowed, rows: Mapping[UUID | None, Appointment], away: UUID
) -> Sequence[Placed]:
    """The best plan of a course: with all that its visits were promised, where no more of them move for that."""
    found = solve_either(desk, narrowed, glance=True)
    named: dict[str, int] = {}
    for key, row in rows.items():
        if found and (pins := promised(row, away)):
            kind = scene.kinds[row.visit_type]
            clinic = desk.site.clinic(kind.visit, kind.demand, cleared=False)
            named[str(key)] = starts(kind.demand, replace(clinic, pins=pins))
    kept = solve_either(desk, lambda it: _only_at(named, narrowed(it)), glance=True) if named else []
    plans = [each.sessions for each in (*kept, *found)]
    return min(plans, key=lambda plan: _moved(plan, rows), default=())


def _moved(plan: Sequence[Placed], rows: Mapping[UUID | None, Appointment]) -> int:
    stood = {key: row.starts_at for key, row in rows.items()}
    return sum(stood.get(each.session_id, each.start) != each.start for each in plan)


def _only_at(named: Mapping[str, int], problem: Problem) -> Problem:
    """The problem with these sessions where they stand, or at these starts."""
    stands = {key: 1 << slot for key, slot in problem.booked.items() if slot >= 0}
    masks = {key: mask | stands.get(key, 0) for key, mask in named.items()}
    mains = []
    for main in problem.mains:
        leaf = main.leaf
        if leaf is not None and leaf.session_id in masks:
            leaf = replace(leaf, starts=leaf.starts & masks[leaf.session_id])
        mains.append(replace(main, starts=main.starts & masks.get(main.session_id, -1), leaf=leaf))
    return replace(problem, mains=tuple(mains))


def _by_selector(row: Appointment, people: Collection[UUID]) -> Named:
    pins = [pin for pin in pins_of(row) if pin.resource_id in people]
    return {each.selector: frozenset(pin.resource_id for pin in pins if pin.selector == each.selector) for each in pins}
