"""Groups that courses of a batch begin on scratch paper: the others may join them, as they may once that is booked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from uuid import UUID, uuid5

from scheduler.core.availability import Taking
from scheduler.core.gathering import OpenGroup
from scheduler.services.plan_groups import Groups
from scheduler.services.planning import CoursePlan, Desk, Placed


@dataclass(frozen=True)
class PlannedGroup(OpenGroup):
    """A group that nobody has begun yet, with the people and rooms that it takes up."""

    code: str = ""
    location_id: UUID = field(default_factory=lambda: UUID(int=0))
    takings: tuple[Taking, ...] = ()

    @property
    def is_begun(self) -> bool:
        """Nobody has."""
        return False


def planned(desk: Desk, placed: Placed) -> PlannedGroup | None:
    """The group that a session begins, or that it joins of those: the same whoever of them comes first."""
    if isinstance(placed.group, PlannedGroup):
        return placed.group
    size, timeline = desk.kinds[placed.spec.visit_type].visit.group, desk.loaded.site.timeline
    if size is None or placed.group is not None or placed.pencilled is not None:
        return None
    where, code = desk.course.row.location_id, placed.spec.visit_type
    return PlannedGroup(
        id=uuid5(where, f"{code} {placed.start} {placed.takings}"),
        starts_at=placed.start,
        ends_at=placed.end,
        free=size.maximum,
        maximum=size.maximum,
        served=tuple(
            (each.resource_id, each.selector, timeline.instant(each.start), timeline.instant(each.end))
            for each in placed.takings
        ),
        code=code,
        location_id=where,
        takings=placed.takings,
    )


def as_offered(plan: CoursePlan) -> CoursePlan:
    """The plan with such groups begun by itself: whoever is booked first begins it, and the others join."""
    sessions = (
        replace(each, group=None, takings=each.group.takings) if isinstance(each.group, PlannedGroup) else each
        for each in plan.sessions
    )
    return replace(plan, sessions=tuple(sessions))


@dataclass
class PlannedGroups:
    """Who is in which of them, by the number of the course."""

    _groups: dict[UUID, PlannedGroup] = field(default_factory=dict)
    _members: dict[UUID, set[int]] = field(default_factory=dict)

    def enter(self, course: int, group: PlannedGroup) -> bool:
        """Whether the course is the first to come: what the group takes up is taken from now on."""
        members = self._members.setdefault(group.id, set())
        self._groups[group.id] = group
        members.add(course)
        return len(members) == 1

    def leave(self, course: int) -> list[PlannedGroup]:
        """The groups in which nobody is left without it."""
        over = []
        for key, members in list(self._members.items()):
            members.discard(course)
            if not members:
                del self._members[key]
                over.append(self._groups.pop(key))
        return over

    def beside(self, desk: Desk) -> Desk:
        """The desk with those of them that have a place left."""
        where, found = desk.course.row.location_id, dict[str, list[OpenGroup]]()
        for key, group in self._groups.items():
            left = group.maximum - len(self._members[key])
            if left and group.location_id == where and group.code in desk.kinds:
                found.setdefault(group.code, []).append(replace(group, free=left))
        return replace(desk, groups=_both(desk.groups, found)) if found else desk


def _both(some: Groups, more: Mapping[str, list[OpenGroup]]) -> Groups:
    return {code: [*some.get(code, ()), *more.get(code, ())] for code in {*some, *more}}
