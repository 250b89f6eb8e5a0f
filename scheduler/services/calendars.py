"""Rows into calendars: one location's site over a span of time, in a constant number of statements. Writes nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache, partial
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy.orm import Session

from scheduler.core.availability import Calendar
from scheduler.core.bitmap import SLOT_MINUTES, SLOTS_PER_DAY, Timeline, counted, runs
from scheduler.core.call import Call
from scheduler.core.columns import Stays
from scheduler.core.errors import LostRace, NotFound
from scheduler.core.gathering import OpenGroup
from scheduler.core.packing import Held
from scheduler.core.policies import Policies
from scheduler.core.rooms import Pools, RoomPool
from scheduler.core.site import Site, Weekly
from scheduler.services.busy import Busy, Left, busy
from scheduler.services.cast import Company, gather
from scheduler.services.group_places import asked_for
from scheduler.services.lines import lines
from scheduler.services.premises import Columns, Premises, premises
from scheduler.services.public_holidays import closures_with, named
from scheduler.services.rosters import Place

_MARGIN = timedelta(days=1)


class Apart(NamedTuple):
    """Whose occupancies do not count."""

    appointments: Sequence[UUID]
    hold: UUID | None
    #: What these appointments take all the same.
    left: Sequence[Left]
    #: Whose time they keep for others: with them it counts.
    kept: Collection[UUID]


@dataclass(frozen=True)
class Loaded:
    """A site, and what booking needs to know of the rows behind it."""

    site: Site
    location: Columns
    policies: Policies
    revisions: Mapping[UUID, int]
    #: What counts of each calendar.
    standing: Mapping[UUID, Busy]
    #: Resources whose way is blocked by a hold that has expired but was not swept.
    expired: frozenset[UUID]
    rows: Mapping[UUID, Columns]
    #: The patient's visits, as `doses_among` takes them, where they were asked for.
    visits: Sequence[Columns]
    place: Place
    apart: Apart
    #: What is taken was read since then, where that is later than the timeline's beginning: before, all looks free.
    since: datetime | None
    #: The groups that can be joined, where they were asked for.
    groups: Sequence[OpenGroup] | None
    #: Some calendars are later ones than others, so that a visit that went from one to another may be in both.
    torn: bool

    def require_whole(self, call: Call) -> None:
        """For who is about to refuse by it. Raises LostRace when all of this may never have been so at once.

        Not on the last try, when whoever is looked at is locked; a search for plans, which locks nobody, ends there.
        """
        if self.torn and not call.last_try:
            detail = "Calendars changed while they were looked at."
            raise LostRace(detail)

    def held(self, key: UUID, window: int) -> list[Held]:
        """The units taken of a resource, as far as they lie among the slots of the window."""
        instant = self.site.timeline.instant
        lanes = ((unit, lane & window) for unit, lane in self.standing[key].lanes.items())
        return [Held(unit, instant(first), instant(past)) for unit, lane in lanes for first, past in runs(lane)]


def load(
    session: Session,
    call: Call,
    *,
    location_id: UUID,
    start: datetime,
    end: datetime,
    patient_id: UUID | None = None,
    ignoring: Sequence[UUID] = (),
    left: Sequence[Left] = (),
    own_hold: UUID | None = None,
    at: Premises | None = None,
    only: frozenset[str] | None = None,
    dosing: bool = False,
    before: Loaded | None = None,
    since: datetime | None = None,
    groups: Mapping[str, Any] | None = None,
) -> Loaded:
    """The site from `start` to `end` (aware), widened to whole UTC days and a margin for visits across the edges.

    `ignoring` are appointments whose occupancies do not count, but for what is `left`, and `own_hold` a hold; `at` is
    the location read before, with clearances and whom these keep for others; `only` leaves out who serves none of these
    selectors; with `dosing` the patient's visits are read, with `groups` groups; `before` is the same look at another
    time, whose people are read; nothing need be known before `since`. Raises NotFound for an unknown place or patient.
    """
    timeline = Timeline.covering(start - _MARGIN, end + _MARGIN)
    first = None if since is None else Timeline.covering(since - _MARGIN, since).origin
    at = at or premises(session, call, location_id, patient_id=patient_id)
    location, policies = at.location, at.policies
    years = timeline.origin.year - 1, timeline.end.year + 1
    closures = closures_with(location.closures, location.holidays, *years)
    place = Place(location_id, location.time_zone, location.hours, closures, timeline)
    read: Company | Loaded = before or gather(session, call, place, patient_id, dosing=dosing, groups=groups)
    known = (read.rows, read.revisions) if isinstance(read, Loaded) else _people(read, place, patient_id, only, at)
    resources, revisions = known
    apart = Apart(ignoring, own_hold, left, at.kept)
    standing, expired, torn = _standing(session, call, timeline, revisions, apart, first)
    looked = _Look(session, call, timeline, revisions, apart, first)
    calendars = {key: _calendar(row, place, standing[key]) for key, row in resources.items()}
    patient = None if patient_id is None else calendars.pop(patient_id)
    site = Site(
        timeline=timeline,
        time_zone=location.time_zone,
        open=place.open,
        closed=place.closed,
        certifications=tuple(location.certifications),
        calendars=calendars,
        patient=patient,
        clearances=at.clearances,
        on_hold=at.on_hold,
        earliest=call.now + timedelta(minutes=policies.lead_minutes),
        latest=call.now + timedelta(days=policies.horizon_days),
        now=call.now,
        pools=Pools(partial(_pools, resources, calendars, standing, looked)),
        holidays=named(location.holidays, *years),
        weekly=partial(_weekly, place, resources, standing),
    )
    behind = location, policies, revisions, standing, expired, resources, read.visits, place
    return Loaded(site, *behind, apart, first, read.groups, torn)


def _weekly(place: Place, resources: Mapping[UUID, Columns], standing: Mapping[UUID, Busy]) -> Weekly:
    """The hours behind these calendars."""
    some = {key: row for key, row in resources.items() if row.kind != "patient"}
    rostered = {
        key: place.roster_if_open(row.kind, row.hours, standing[key].extra.get(place.location_id, 0))
        for key, row in some.items()
    }
    with_it = frozenset(key for key, row in some.items() if row.kind != "practitioner" and not row.hours)
    return Weekly(place.weekly, rostered, with_it)


def renewed(session: Session, call: Call, loaded: Loaded, revisions: Mapping[UUID, int]) -> Loaded:
    """The same with these calendars as they are now, under their locks: one statement.

    Rooms that change places are left out: which of them are free is another matter by now.
    """
    site = loaded.site
    standing, expired, _ = _standing(session, call, site.timeline, revisions, loaded.apart, loaded.since)
    fresh = {key: _calendar(loaded.rows[key], loaded.place, each) for key, each in standing.items()}
    patient = next((fresh.pop(key) for key, each in list(fresh.items()) if each.kind == "patient"), site.patient)
    return replace(
        loaded,
        site=replace(site, calendars={**site.calendars, **fresh}, patient=patient, pools={}),
        standing={**loaded.standing, **standing},
        expired=expired | (loaded.expired - standing.keys()),
    )


def rehearse(session: Session, call: Call, nobody: UUID) -> None:
    """Ask all that a look asks of calendars, of nobody."""
    timeline = Timeline.covering(call.now, call.now)
    place = Place(nobody, "UTC", "[]", "[]", timeline)
    for groups in (None, asked_for(call, nobody, "", (timeline.origin, timeline.end))):
        gather(session, call, place, nobody, dosing=True, groups=groups)
    for apart in ([], [nobody]):
        lines(session, call, timeline, [nobody], apart)


def _standing(
    session: Session,
    call: Call,
    timeline: Timeline,
    revisions: Mapping[UUID, int],
    apart: Apart,
    since: datetime | None,
    *,
    remember: bool = True,
) -> tuple[dict[UUID, Busy], frozenset[UUID], bool]:
    """What counts of each calendar now, on whose some hold has expired, and whether the look is torn (`Taken`)."""
    known, freed, torn = busy(session, call, timeline, revisions, apart.appointments, since=since, remember=remember)
    held = [key for key, each in known.items() if each.holds]
    if not held and not freed:
        return known, frozenset(), torn
    out = {*apart.appointments, *([apart.hold] if apart.hold is not None else [])}
    expired = (key for key in held if any(hold.expires_at <= call.now for hold in known[key].holds))
    standing = {
        key: each.standing(call.now, *(((), ()) if key in apart.kept else (out, freed.get(key, ()), apart.left)))
        for key, each in known.items()
    }
    return standing, frozenset(expired), torn


def _people(
    company: Company, place: Place, patient_id: UUID | None, only: frozenset[str] | None, at: Premises
) -> tuple[Mapping[UUID, Columns], Mapping[UUID, int]]:
    """Who could serve (`only` these selectors), in id order, and the patient; and the revisions of their calendars."""
    resources, theirs = company.cast.part(place, only)
    revisions = dict(zip(resources, [company.calendars[each] for each in theirs], strict=True))
    if patient_id is None:
        return resources, revisions
    if company.patient is None:
        raise NotFound(f"No patient {patient_id}.")
    # The patient's holds may have been read before the calendars, and be older.
    known = at.patient_revision
    revisions[patient_id] = company.patient.calendar_revision if known is None else known
    return {**resources, patient_id: company.patient}, revisions


def _calendar(row: Columns, place: Place, standing: Busy) -> Calendar:
    """The resource's calendar: the one made before of the same rows, with all that it remembers."""
    buffers = row.buffer_before_minutes // SLOT_MINUTES, row.buffer_after_minutes // SLOT_MINUTES
    made_with = (row.kind, row.type_code, row.units, buffers, row.roles, row.hours, place.key)
    known = standing.calendars.get(made_with)
    if known is None:
        extra, lanes = standing.extra, standing.lanes
        regular = (lane for unit, lane in lanes.items() if unit < row.units) if lanes else ()
        known = standing.calendars[made_with] = Calendar(
            resource_id=row.id,
            kind=row.kind,
            units=row.units,
            rostered=place.roster(row.kind, row.hours, extra.get(place.location_id, 0) if extra else 0),
            absent=standing.absent,
            taken=counted(regular, row.units),
            serves=place.serves(row.kind, row.type_code, row.roles),
            buffers=buffers,
        )
    return known


@dataclass(frozen=True)
class _Look:
    """How what is taken was looked at: for rooms, so that more of the same can be."""

    session: Session
    call: Call
    timeline: Timeline
    revisions: Mapping[UUID, int]
    apart: Apart
    since: datetime | None

    def pool(self, rooms: Sequence[UUID], standing: Mapping[UUID, Busy], buffers: tuple[int, int]) -> RoomPool:
        """These rooms, and how they are farther away."""
        look = partial(_stays, [standing[key] for key in rooms], self.timeline.slot(self.call.now))
        away = {key: standing[key].absent for key in rooms}

        @cache
        def farther(days: int) -> tuple[RoomPool, int]:
            if not self.session.in_transaction():  # a search may go on when its transaction is over
                return pool, 0
            wide = replace(self, timeline=self.timeline.wider(days))
            known = {key: self.revisions[key] for key in rooms}
            there, *_ = _standing(self.session, self.call, wide.timeline, known, self.apart, self.since, remember=False)
            return wide.pool(rooms, there, buffers), days * SLOTS_PER_DAY

        pool = RoomPool(tuple(rooms), look, away, buffers, slots=self.timeline.slots, farther=farther)
        return pool


def _pools(
    resources: Mapping[UUID, Columns], calendars: Mapping[UUID, Calendar], standing: Mapping[UUID, Busy], look: _Look
) -> dict[str, RoomPool]:
    """Rooms of one type with the same hours and buffers that hold one visit each: they may be bound late."""
    groups: dict[str, list[UUID]] = {}
    for key, row in resources.items():
        if row.kind == "room" and row.type_code:
            groups.setdefault(f"room:{row.type_code}", []).append(key)
    pools = {}
    for selector, rooms in groups.items():
        first = calendars[rooms[0]]
        alike = {(calendars[key].rostered, calendars[key].buffers, resources[key].units) for key in rooms}
        if len(rooms) > 1 and alike == {(first.rostered, first.buffers, 1)}:
            pools[selector] = look.pool(rooms, standing, first.buffers)
    return pools


def _stays(rooms: Sequence[Busy], now: int) -> Stays:
    return Stays.joined([room.stays for room in rooms]).settled(now)
