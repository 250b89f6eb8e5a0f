"""Who must serve a visit where its course requires the same person throughout: by its plan, its token, or as it stands.

Each answer is what `Clinic.bound` takes: selector to the only people who may serve it. Without the requirement it is
empty, and whoever can serve may.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from scheduler.core.availability import Clinic
from scheduler.core.demand import Demand
from scheduler.core.gathering import all_starts
from scheduler.core.planner import Main, Problem

if TYPE_CHECKING:
    from scheduler.services.planning import Desk
    from scheduler.services.problems import By

#: Selector to the only people who may serve it.
Bound = Mapping[str, frozenset[UUID]]
#: Role to the course's own person for it.
Primaries = Mapping[str, UUID]
#: Role to those who serve it in a session.
Served = Mapping[str, Collection[UUID]]


class Unserved(NamedTuple):
    """A kind of visit that the plan's own people cannot serve at the start it has for it."""

    visit_type: str
    primaries: Primaries


def is_required(desk: Desk) -> bool:
    """Whether the patient has the same people throughout, or no visit."""
    return desk.preferences.continuity == "required"


def by_plan(desk: Desk, demand: Demand, primaries: Primaries) -> Bound:
    """The plan's own people for that visit; not where it wants two of a role at once: they only come first there."""
    if not is_required(desk):
        return {}
    found = {f"role:{role}": frozenset({who}) for role, who in primaries.items()}
    return {selector: who for selector, who in found.items() if not wants_two(demand, selector)}


def by_token(desk: Desk, entry: Mapping[str, Any]) -> Bound:
    """Those whom the offered plan has for a session."""
    return _of_roles(desk, entry.get("served", {}))


def as_it_stands(desk: Desk | None, session_id: UUID | None) -> Bound:
    """Those who serve a session of the course now."""
    if desk is None:
        return {}
    index = next((spec.index for spec in desk.specs if desk.session_id(spec) == session_id), None)
    return _of_roles(desk, {} if index is None else desk.serving.get(index, {}))


def in_group(members: Iterable[tuple[Desk | None, UUID | None]], demand: Demand) -> Bound:
    """Those who serve a group now, as far as the course of somebody in it requires that they stay.

    `members` are the courses and sessions of its visits. Whoever joined it was bound by nobody where the visit wants
    two of a role at once, and so it remains.
    """
    found = [as_it_stands(desk, session_id) for desk, session_id in members]
    return {selector: who for each in found for selector, who in each.items() if not wants_two(demand, selector)}


def by_repair(desk: Desk | None, session_id: UUID | None, people: Collection[UUID]) -> Bound:
    """Those of the repair's people for a session who serve the course now, or else who serves it where it stands."""
    now = _of_roles(desk, _course_wide(desk)) if desk is not None else {}
    return {key: now[key] & set(people) or who for key, who in as_it_stands(desk, session_id).items()}


def by_others(roles: Iterable[str], demand: Demand, serving: Mapping[int, Served], position: int) -> Bound:
    """Those who serve the course's other sessions: who serves this one, booked or moved by itself, where required.

    Nobody is bound while no other session has such a person, nor where the visit wants two of a role at once.
    """
    others = [served for place, served in serving.items() if place != position]
    found = {f"role:{role}": frozenset[UUID]().union(*(each.get(role, ()) for each in others)) for role in roles}
    return {selector: who for selector, who in found.items() if who and not wants_two(demand, selector)}


def keeping(desk: Desk, problem: Problem) -> Problem:
    """The problem with nobody else than serves the course now as its own person, where it requires the same."""
    if not is_required(desk):
        return problem
    now = _course_wide(desk)
    same = {role: tuple(sorted(now[role])) or people for role, people in problem.candidates.items()}
    return replace(problem, candidates=same)


def preferred(desk: Desk, primaries: Primaries) -> list[UUID]:
    """Who serves rather than others: the course's own people, then those whom the patient named."""
    named = desk.preferences.practitioner_ids
    if is_required(desk):  # whoever else was named for such a role is not the one who was chosen
        mine, calendars = {f"role:{role}" for role in primaries}, desk.loaded.site.calendars
        named = tuple(who for who in named if who in calendars and not mine & calendars[who].serves.keys())
    return [*primaries.values(), *named]


def without(problem: Problem, desk: Desk, clinics: Mapping[str, Clinic], unserved: Unserved) -> Problem:
    """The problem without the starts of such visits at which the plan's own people cannot serve beside each other.

    Each can serve by itself, as the planner knows, but another need of the visit wants the same person.
    """
    code, primaries = unserved
    demand, clinic = desk.kinds[code].demand, clinics[code]
    alike = {str(desk.session_id(spec)) for spec in desk.specs if spec.visit_type == code} - problem.pinned.keys()
    mine = {role: who for role, who in primaries.items() if f"role:{role}" in demand.selectors}
    together = _starts(desk, demand, clinic, mine)
    # Where one of them is in the way whoever serves the other roles, no plan is lost.
    role = next((it for it in mine if _starts(desk, demand, clinic, {it: mine[it]}) == together), [*mine][-1])

    def fewer(by: By) -> By:
        people = by.get(role, {})
        return {**by, role: {**people, mine[role]: people.get(mine[role], 0) & together}}

    def narrowed(main: Main) -> Main:
        if main.leaf is not None and main.leaf.session_id in alike:
            main = replace(main, leaf=replace(main.leaf, by=fewer(main.leaf.by)))
        return replace(main, by=fewer(main.by)) if main.session_id in alike else main

    return replace(problem, mains=tuple(map(narrowed, problem.mains)))


def _starts(desk: Desk, demand: Demand, clinic: Clinic, primaries: Primaries) -> int:
    return all_starts(demand, replace(clinic, bound=by_plan(desk, demand, primaries)))


def _course_wide(desk: Desk) -> dict[str, set[UUID]]:
    """Who serves any session of the course now, by role."""
    return {
        role: {who for each in desk.serving.values() for who in each.get(role, ())} for role in desk.protocol.continuity
    }


def _of_roles(desk: Desk, served: Mapping[str, Any]) -> Bound:
    if not is_required(desk):
        return {}
    return {
        f"role:{role}": frozenset(UUID(str(who)) for who in served[role])
        for role in desk.protocol.continuity
        if served.get(role)
    }


def wants_two(demand: Demand, selector: str) -> bool:
    """Whether the visit wants two of the kind at once."""
    mine = {place for place, thread in enumerate(demand.threads) if thread.selector == selector and not thread.present}
    return any(demand.meeting[place] & mine for place in mine)
