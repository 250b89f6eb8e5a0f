"""Groups that a visit may join: at which starts there is one, whom it is served by, and which of several it is.

Which groups have places is read by `services/group_places`; a visit with people of its own is `availability`'s.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import reduce
from operator import or_ as either
from uuid import UUID

from scheduler.core.availability import Clinic, exact_starts
from scheduler.core.bitmap import Timeline
from scheduler.core.demand import Demand, Thread
from scheduler.core.site import Site
from scheduler.core.visit import VisitType

#: (resource, selector, start, end) of who and what serves.
Served = tuple[UUID, str, datetime, datetime]
#: Selector to those who may serve it.
Only = Mapping[str, frozenset[UUID]]


@dataclass(frozen=True)
class OpenGroup:
    """A group that has room for one more, and who serves it."""

    id: UUID
    starts_at: datetime
    ends_at: datetime
    free: int
    maximum: int
    served: tuple[Served, ...] = ()

    @property
    def is_begun(self) -> bool:
        """Whether somebody has booked or held it."""
        return True


def begun(
    groups: Iterable[OpenGroup], visit: VisitType, demand: Demand, site: Site
) -> dict[int, tuple[OpenGroup, ...]]:
    """Start slot to the groups that take newcomers then, the fullest first.

    The visit type may have changed since a group began: that goes on as it was, and nobody joins. By video, whoever
    serves it must be licensed where the newcomer is.
    """
    timeline, lasting = site.timeline, timedelta(minutes=visit.minutes)
    site = replace(site, calendars=site.qualified(visit, demand))
    found: dict[int, tuple[OpenGroup, ...]] = {}
    for group in sorted(groups, key=lambda each: (each.free, -each.id.int)):
        within = timeline.origin <= group.starts_at < timeline.end
        if within and group.ends_at - group.starts_at == lasting and stands(group, demand, site):
            slot = timeline.slot(group.starts_at)
            found[slot] = (*found.get(slot, ()), group)
    return found


def stands(group: OpenGroup, demand: Demand, site: Site) -> bool:
    """Whether all who serve it are there, and serve all that its visit type asks for by now."""
    timeline = site.timeline
    for key, selector, begins, ends in group.served:
        calendar = site.calendars.get(key)
        first, past = timeline.slot(begins), timeline.slot_after(ends)
        if calendar is None or not _lasts(calendar.there & calendar.serves.get(selector, 0), first, past):
            return False
    return is_served(group, demand, timeline, {})


def is_served(group: OpenGroup, demand: Demand, timeline: Timeline, bound: Only) -> bool:
    """Whether it has whom the visit needs, where only those may serve who are `bound` to; but whoever is present."""
    serving, start = _serving(group, timeline), timeline.slot(group.starts_at)
    return all(
        sum(_serves(mask, thread, start) for mask in _shared(thread, serving[thread.selector], bound)) >= count
        for thread, count in demand.counts.items()
    )


def fitting(
    groups: Sequence[OpenGroup], demand: Demand, timeline: Timeline, pins: Only, bound: Only
) -> list[OpenGroup]:
    """Those of the groups that somebody who was asked for by name serves, and no others than may."""
    return [
        group
        for group in groups
        if all(names & {each[0] for each in group.served} for names in pins.values())
        and (not bound or is_served(group, demand, timeline, bound))
    ]


def joined(demand: Demand, clinic: Clinic, slot: int, prefer: Collection[UUID] = ()) -> OpenGroup | None:
    """The group that a visit joins which starts then: the one with most of these people, and of such the fullest."""
    here = clinic.groups.get(slot, ())
    if not here or not clinic.open_for(demand.patient_slots) >> slot & 1:
        return None
    some = fitting(here, demand, clinic.timeline, clinic.pins, clinic.bound)
    wanted = set(prefer)
    return max(some, key=lambda group: len(wanted & {group.id, *(each[0] for each in group.served)}), default=None)


def joined_starts(demand: Demand, clinic: Clinic) -> int:
    """The starts at which there is a group to join."""
    return reduce(either, (1 << slot for slot in clinic.groups if joined(demand, clinic, slot) is not None), 0)


def all_starts(demand: Demand, clinic: Clinic) -> int:
    """The starts that can be booked, in a group that began or with people of the visit's own, and no others."""
    found = exact_starts(demand, clinic)
    return found | joined_starts(demand, clinic) if clinic.groups else found


def leading(demand: Demand, clinic: Clinic, selector: str) -> dict[Hashable, int]:
    """Who serves in groups all that the visit needs of that kind, and the starts at which there is such a group."""
    found: dict[Hashable, int] = {}
    for slot, groups in clinic.groups.items():
        if clinic.open_for(demand.patient_slots) >> slot & 1:
            for who in set().union(*(servers(each, demand, clinic.timeline, selector) for each in groups)):
                found[who] = found.get(who, 0) | 1 << slot
    return found


def servers(group: OpenGroup, demand: Demand, timeline: Timeline, selector: str) -> set[UUID]:
    """Who serves in the group all that the visit needs of that kind; not whoever is merely present."""
    threads = [each for each in demand.counts if each.selector == selector and not each.present]
    serving, start = _serving(group, timeline)[selector], timeline.slot(group.starts_at)
    return {who for who, mask in serving.items() if threads and all(_serves(mask, each, start) for each in threads)}


def _serving(group: OpenGroup, timeline: Timeline) -> Mapping[str, Mapping[UUID, int]]:
    """The slots that each serves."""
    found: dict[str, dict[UUID, int]] = defaultdict(lambda: defaultdict(int))
    for key, selector, begins, ends in group.served:
        first, past = timeline.slot(begins), timeline.slot_after(ends)
        found[selector][key] |= ((1 << past - first) - 1) << first
    return found


def _shared(thread: Thread, serving: Mapping[UUID, int], bound: Only) -> list[int]:
    """The slots of each who serves the thread; of all together, where they may take turns."""
    if thread.present:
        return [reduce(either, serving.values(), 0)]
    only = bound.get(thread.selector)
    return [mask for who, mask in serving.items() if only is None or who in only]


def _serves(mask: int, thread: Thread, start: int) -> bool:
    return all(_lasts(mask, start + each.start, start + each.end) for each in thread.stretches)


def _lasts(mask: int, first: int, past: int) -> bool:
    full = (1 << (past - first)) - 1
    return first >= 0 and mask >> first & full == full
