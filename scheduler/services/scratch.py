"""Scratch paper: the calendars of some locations, on which visits are tried out before anything is written.

What is put here takes up its people and rooms for whoever looks next, at every location; taken away, they are free
again. Nothing touches the database.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from uuid import UUID

from scheduler.core.availability import Calendar, Clinic, Taking, occupied
from scheduler.core.bitmap import SLOTS_PER_DAY, Timeline
from scheduler.core.columns import Stay
from scheduler.core.rooms import Pools, RoomPool
from scheduler.core.serving import still_free
from scheduler.core.site import Site
from scheduler.services.calendars import Loaded
from scheduler.services.plan_groups import with_taken
from scheduler.services.planning import Desk

PATIENT = "patient"


@dataclass
class Scratch:
    """Sites over one timeline. `away` are slots at which a resource is not there, whatever its calendar says.

    `fixed` are names under which rooms are put that are not changed for others of their pool.
    """

    away: Mapping[UUID, int] = field(default_factory=dict)
    fixed: Collection[Hashable] = ()
    _base: dict[UUID, dict[UUID, Calendar]] = field(default_factory=dict)
    _now: dict[UUID, dict[UUID, Calendar]] = field(default_factory=dict)
    _pools: dict[UUID, Mapping[str, RoomPool]] = field(default_factory=dict)
    _put: dict[Hashable, tuple[Taking, ...]] = field(default_factory=dict)

    def add(self, location_id: UUID, loaded: Loaded) -> None:
        """Know a location. What was put before counts there too."""
        if location_id not in self._base:
            base = {
                key: replace(each, absent=each.absent | self.away[key]) if key in self.away else each
                for key, each in loaded.site.calendars.items()
            }
            self._base[location_id] = base
            self._pools[location_id] = self._without_away(loaded.site)
            self._now[location_id] = _occupied(base, self._all())

    def _without_away(self, site: Site) -> Mapping[str, RoomPool]:
        """The site's pools, in which nobody changes over to a room that is not there."""
        if all(site.calendars[key].kind != "room" for key in self.away.keys() & site.calendars.keys()):
            return site.pools  # which works them out only when it is asked
        return {selector: pool.changed(away=self.away) for selector, pool in site.pools.items()}

    def put(self, key: Hashable, takings: Sequence[Taking]) -> None:
        """Let these be taken, under a name by which they are taken away again."""
        taken = self._put[key] = tuple(each for each in takings if each.units != 0)
        rooms = {each.resource_id for each in taken if not each.pool}
        if not all(map(rooms.isdisjoint, _pools_of(self._all()))):  # a late visit seemed to take it up
            self._look_anew(rooms)
            return
        for location_id, now in self._now.items():
            self._now[location_id] = _occupied(now, taken)

    def lift(self, key: Hashable) -> tuple[Taking, ...]:
        """Give back what was put under that name; nothing when there is nothing."""
        gone = self._put.pop(key, ())
        self._look_anew({each.resource_id for each in gone}.union(*(each.pool for each in gone)))
        return gone

    def _all(self) -> list[Taking]:
        return [each for takings in self._put.values() for each in takings]

    def _look_anew(self, concerned: set[UUID]) -> None:
        """Work out what is left of these, and of all rooms that late visits might have instead of them."""
        left = self._all()
        for pool in _pools_of(left):
            if not concerned.isdisjoint(pool):
                concerned |= set(pool)
        again = [each for each in left if each.resource_id in concerned]
        for location_id, base in self._base.items():
            fresh = {key: base[key] for key in concerned & base.keys()}
            self._now[location_id] = {**self._now[location_id], **_occupied(fresh, again)}

    def taken(self, key: Hashable) -> tuple[Taking, ...]:
        """What was put under that name."""
        return self._put.get(key, ())

    def leaves(self, location_id: UUID, takings: Sequence[Taking]) -> bool:
        """Whether all that was put leaves these where they are; late visits make way for them."""
        wanted = {each.resource_id for each in takings} & self._base[location_id].keys()
        others = [each for each in self._all() if each.resource_id in wanted and not each.pool]
        base = {key: self._base[location_id][key] for key in wanted}
        mine = [each for each in takings if each.resource_id in wanted]
        return still_free(Clinic(_NO_TIME, _occupied(base, others)), mine)

    def site(self, location_id: UUID, loaded: Loaded) -> Site:
        """The site as it is with all that was put; its patient too."""
        patient = loaded.site.patient
        if patient is not None:
            key = patient.resource_id
            patient = _occupied({key: patient}, [each for each in self._all() if each.resource_id == key])[key]
        bare, put = self._pools[location_id], dict(self._put)
        pools = Pools(lambda: {selector: _with_put(pool, put, self.fixed) for selector, pool in bare.items()})
        return replace(loaded.site, calendars=self._now[location_id], patient=patient, pools=pools)

    def desk(self, desk: Desk, *, bare: bool = False) -> Desk:
        """A course's desk with all that was put; `bare`: with nothing of it."""
        location_id = desk.course.row.location_id
        if bare:
            site = replace(desk.loaded.site, calendars=self._base[location_id], pools=self._pools[location_id])
        else:
            site = self.site(location_id, desk.loaded)
        put = () if bare else self._all()
        return replace(desk, loaded=replace(desk.loaded, site=site), groups=with_taken(desk.groups, put))


def of_patient(patient_id: UUID, timeline: Timeline, start: datetime, end: datetime) -> Taking:
    """The patient's own time."""
    return Taking(patient_id, PATIENT, timeline.slot(start), timeline.slot_after(end), None)


def _with_put(pool: RoomPool, put: Mapping[Hashable, tuple[Taking, ...]], fixed: Collection[Hashable] = ()) -> RoomPool:
    """The pool with the stays of what was put: they change over to other rooms like all others."""
    mine = [
        Stay((key, number), each.resource_id, each.start, each.end, fixed=key in fixed or _in_pieces(each, takings))
        for key, takings in put.items()
        for number, each in enumerate(takings)
        if each.resource_id in pool.rooms and each.start >= 0
    ]
    if not mine:
        return pool
    return pool.changed(mine, tried=_twice(pool, put))


def _twice(pool: RoomPool, put: Mapping[Hashable, tuple[Taking, ...]]) -> int:
    """The slots at which two of those that were put are in one and the same room."""
    seen, found = dict.fromkeys(pool.rooms, 0), 0
    for each in (each for takings in put.values() for each in takings):
        if each.resource_id in seen and not each.pool:
            found |= seen[each.resource_id] & each.slots
            seen[each.resource_id] |= each.slots
    return found


def _in_pieces(stay: Taking, takings: Sequence[Taking]) -> bool:
    """Whether somebody comes back to the room on that day: then it has to be that one."""
    return any(
        each.resource_id == stay.resource_id and 0 < abs(each.start - stay.start) < SLOTS_PER_DAY for each in takings
    )


def _pools_of(takings: Iterable[Taking]) -> Collection[tuple[UUID, ...]]:
    """The pools of late visits, the same object once: comparing them asks each id of each."""
    return {id(each.pool): each.pool for each in takings if each.pool}.values()


def _occupied(calendars: Mapping[UUID, Calendar], takings: Sequence[Taking]) -> dict[UUID, Calendar]:
    known = [each for each in takings if each.resource_id in calendars and calendars.keys() >= set(each.pool)]
    known.sort(key=lambda each: bool(each.pool))  # whoever has a room comes first: late visits take what is left
    return dict(occupied(Clinic(_NO_TIME, calendars), known).calendars)


#: Occupying looks at calendars alone.
_NO_TIME = Timeline(datetime(1970, 1, 1, tzinfo=UTC), 0)
