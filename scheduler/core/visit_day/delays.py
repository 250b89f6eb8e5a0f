"""How far the day runs behind its plan, and into whose time. What really happened is never refused, only flagged."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from scheduler.core.visit import VisitType
from scheduler.core.visit_day.observing import watch
from scheduler.core.visit_day.times import Times

#: What is smaller is no delay: plans are made in steps of five minutes.
NOTABLE = timedelta(minutes=5)
NONE = timedelta(0)

_GOING_ON = frozenset({"booked", "arrived", "checked-in"})


@dataclass(frozen=True)
class Flag:
    """Something about a visit that somebody should see. What it does not know is None; `start` is aware UTC."""

    code: str
    detail: str
    minutes: int | None = None
    appointment_id: UUID | None = None
    resource_id: UUID | None = None
    item: str | None = None
    start: datetime | None = None


@dataclass(frozen=True)
class Stay:
    """So many units of a resource taken by a visit from `start` to `end`, aware UTC."""

    resource_id: UUID
    owner: UUID
    start: datetime
    end: datetime
    units: int = 1


@dataclass(frozen=True)
class Collision:
    """From `start` on, the visit that runs late takes what another was promised."""

    resource_id: UUID
    owner: UUID
    start: datetime


def delay(visit: VisitType, times: Times, status: str, now: datetime) -> timedelta:
    """How much later than planned the rest of the visit is, reckoned from its real times; never negative."""
    if status == "fulfilled":
        return max((times.fulfilled_at or times.ends_at) - times.ends_at, NONE)
    if status not in _GOING_ON:
        return NONE
    dose_start, _ = times.planned_dose(visit)
    seen = watch(visit, times)
    if seen is not None:
        late = seen.over_at - _planned_watch_end(visit, times)
    elif times.dosed_at is not None:
        late = times.dosed_at - dose_start
    elif times.came_at is None:
        late = now - times.starts_at
    elif visit.kind == "dosing":
        late = max(times.came_at - times.starts_at, now - dose_start)
    else:
        late = times.came_at - times.starts_at
    return max(late, now - times.ends_at, NONE)


def lateness(visit: VisitType, times: Times, status: str, now: datetime) -> Iterator[Flag]:
    """The flag for a visit that nobody has come to, or that runs behind, if it is either."""
    behind = delay(visit, times, status, now)
    minutes = behind // timedelta(minutes=1)
    if behind < NOTABLE:
        return
    if status == "booked":
        yield Flag("late", f"The visit should have begun {minutes} minutes ago.", minutes=minutes)
    else:
        yield Flag("behind", f"The visit runs {minutes} minutes behind its plan.", minutes=minutes)


def collisions(
    mine: Iterable[Stay],
    others: Iterable[Stay],
    units: Mapping[UUID, int],
    behind: timedelta,
    since: datetime,
) -> Iterator[Collision]:
    """Where a visit that is `behind` runs into others, once for each of them and each resource.

    `units` is what each resource has in all. A stay that should have ended before `since` is over: it does not run on.
    """
    by_resource: dict[UUID, list[Stay]] = {}
    for other in others:
        by_resource.setdefault(other.resource_id, []).append(other)
    met: set[tuple[UUID, UUID]] = set()
    for stay in sorted(mine, key=lambda each: (each.start, each.resource_id)):
        if behind <= NONE or stay.end < since:
            continue
        there = by_resource.get(stay.resource_id, [])
        for other in sorted(there, key=lambda each: (each.start, each.owner)):
            at = max(other.start, stay.end)
            if at < min(other.end, stay.end + behind) and (other.owner, stay.resource_id) not in met:
                taken = sum(each.units for each in there if each.start <= at < each.end)
                if taken + stay.units > units.get(stay.resource_id, 1):
                    met.add((other.owner, stay.resource_id))
                    yield Collision(stay.resource_id, other.owner, at)


def stage(visit: VisitType, times: Times, status: str) -> datetime:
    """The planned instant that the visit has got to: what should have ended before does not run on."""
    if status == "fulfilled":
        return times.ends_at
    if times.dosed_at is not None:
        return times.planned_dose(visit)[0]
    return times.starts_at


def _planned_watch_end(visit: VisitType, times: Times) -> datetime:
    _, watched = visit.watched()
    ends = [end for segment, _, end in visit.offsets() if watched and segment is watched[-1]]
    return times.starts_at + timedelta(minutes=ends[0]) if ends else times.ends_at
