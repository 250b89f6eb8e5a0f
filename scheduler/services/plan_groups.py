"""What planning a course knows of groups: those that its sessions may join, and who serves whoever joins.

How one is entered is `groups`', whether a start can be booked in one `core/gathering`'s.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from sqlalchemy.orm import Session

from scheduler.core.availability import Taking
from scheduler.core.bitmap import Timeline
from scheduler.core.call import Call
from scheduler.core.demand import Demand
from scheduler.core.gathering import OpenGroup, servers
from scheduler.core.intervals import Span
from scheduler.models import Appointment
from scheduler.services.calendars import Loaded
from scheduler.services.catalog import Kind
from scheduler.services.group_places import asked_for, joinable

#: Role to whoever takes it, without those who are merely present.
ByRole = Mapping[str, Collection[UUID]]
#: The groups that can be joined, by the code of their visit type.
Groups = Mapping[str, Sequence[OpenGroup]]
#: As what a visit takes a place of a group, on scratch paper.
PLACE = "place"


def without_patient(loaded: Loaded, moving: Collection[Appointment]) -> Loaded:
    """The calendars with the patient free at the time of these visits."""
    patient, timeline = loaded.site.patient, loaded.site.timeline
    if patient is None or not moving:
        return loaded
    there = timeline.touched([Span(row.starts_at, row.ends_at) for row in moving])
    patient = replace(patient, taken=tuple(rung & ~there for rung in patient.taken))
    return replace(loaded, site=replace(loaded.site, patient=patient))


def joinable_by(
    session: Session,
    call: Call,
    location_id: UUID,
    kinds: Mapping[str, Kind],
    timeline: Timeline,
    moving: Sequence[Appointment],
) -> Groups:
    """The groups that visits of these kinds may join, by code; read after the calendars, so that none is missed."""
    span, left = (max(timeline.origin, call.now), timeline.end), {row.group_id for row in moving}
    return {
        code: joinable(session, asked_for(call, location_id, code, span), left)
        for code, kind in kinds.items()
        if kind.visit.group is not None
    }


def by_role(takings: Iterable[Taking]) -> ByRole:
    """Who serves a visit that takes up people of its own."""
    found: dict[str, list[UUID]] = {}
    for taking in takings:
        kind, _, role = taking.selector.partition(":")
        if kind == "role" and taking.units != 0 and taking.resource_id not in found.setdefault(role, []):
            found[role].append(taking.resource_id)
    return found


def by_role_in(group: OpenGroup, demand: Demand, timeline: Timeline) -> ByRole:
    """Who serves a visit that joins the group."""
    kinds = (selector.partition(":") for selector in demand.selectors)
    found = {role: servers(group, demand, timeline, f"role:{role}") for kind, _, role in kinds if kind == "role"}
    return {role: sorted(who) for role, who in found.items() if who}


def attending(group: OpenGroup, timeline: Timeline) -> tuple[Taking, ...]:
    """Who and what serves the group, as if whoever joins it took that up."""
    return tuple(
        Taking(who, selector, timeline.slot(start), timeline.slot_after(end), None)
        for who, selector, start, end in group.served
    )


def place_in(group: OpenGroup, timeline: Timeline) -> Taking:
    """The place of whoever joins it."""
    return Taking(group.id, PLACE, timeline.slot(group.starts_at), timeline.slot_after(group.ends_at), 1)


def with_taken(groups: Groups, takings: Iterable[Taking]) -> Groups:
    """The groups without the places that are taken on scratch paper, and without those that are full by then."""
    if not any(groups.values()):
        return groups
    taken = Counter(each.resource_id for each in takings if each.selector == PLACE)
    left = {code: [replace(each, free=each.free - taken[each.id]) for each in some] for code, some in groups.items()}
    return {code: [each for each in some if each.free > 0] for code, some in left.items()}


def among(groups: Groups, some: Collection[UUID]) -> Groups:
    """Only these of the groups."""
    return {code: [each for each in known if each.id in some] for code, known in groups.items()}


def without(groups: Groups, codes: Collection[str]) -> Groups:
    """The groups of other visit types than these."""
    return {code: some for code, some in groups.items() if code not in codes}
