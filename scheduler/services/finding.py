"""Looking for the place of a wanted visit: a start decided, or all of a span. Writes nothing, locks on a last try."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy.orm import Session

from scheduler.core.availability import Clinic, Taking, seat, starts, takings_from
from scheduler.core.bar import Bar
from scheduler.core.bitmap import SLOT, Timeline, bits
from scheduler.core.call import Call
from scheduler.core.civil import Disambiguation, to_local, zone
from scheduler.core.doses import dose_bars
from scheduler.core.errors import Reason, Refused, together, whole
from scheduler.core.explain import why_not
from scheduler.core.fasting import fast_bars
from scheduler.core.gathering import OpenGroup, begun, fitting
from scheduler.core.localgrid import Wish, wished_starts
from scheduler.core.overriding import Lifted, Override, lift
from scheduler.core.policies import Initiator
from scheduler.core.seating import Seating
from scheduler.core.site import Site
from scheduler.models import Hold
from scheduler.services.calendars import Loaded, load
from scheduler.services.catalog import Kind, require_on
from scheduler.services.doses import doses_among
from scheduler.services.group_places import asked_for, joinable, kept_for_others, taken_at
from scheduler.services.groups import lock_at
from scheduler.services.licences import expect_region
from scheduler.services.locks import lock_resources
from scheduler.services.objecting import check_pins, read_start
from scheduler.services.occupying import held_group
from scheduler.services.pins import Keeper, Pin
from scheduler.services.premises import Premises, premises

#: How far around the wanted start alternatives are looked for, and how many are shown.
NEARBY = (timedelta(days=7), timedelta(days=21))
ALTERNATIVES = 5

#: Who serves at some start: a group that is joined, or people of the visit's own.
Seat = OpenGroup | Seating


@dataclass(frozen=True)
class Wanted:
    """A visit that somebody asks for. `start` is aware; its offset is part of what was asked."""

    patient_id: UUID | None
    visit_type: str
    location_id: UUID
    start: datetime
    disambiguation: Disambiguation | None = None
    pins: tuple[Pin, ...] = ()
    #: Whose pins they are where they were not asked for now: those of a visit that moves, say.
    pins_kept_by: Keeper | None = None
    course_session_id: UUID | None = None
    note: str = ""
    #: Who asks: patients may have a lead time and a horizon of their own.
    by: Initiator = "staff"
    override: Override | None = None
    #: Where the patient will be, for a visit by video (ISO 3166-2).
    patient_region: str | None = None
    #: Only pencilled in: its clearances may still come.
    pencilled: bool = False


@dataclass(frozen=True)
class Found:
    """A place in the calendar for a visit: everything that writing it needs."""

    kind: Kind
    loaded: Loaded
    local: datetime
    starts_at: datetime
    takings: tuple[Taking, ...]
    #: What had to be lifted for it, if anything.
    lifted: Lifted | None = None
    #: The group that it joins: nobody else is taken up then.
    group: OpenGroup | None = None

    @property
    def ends_at(self) -> datetime:
        """When the patient may go; elapsed time from the start."""
        return self.starts_at + timedelta(minutes=self.kind.visit.minutes)


class Rules(Protocol):
    """Whatever else bars starts, such as the gaps of a course."""

    @property
    def asked(self) -> tuple[str, ...]:
        """Clearances that it asks for besides those of the visit type."""

    @property
    def bound(self) -> Mapping[str, frozenset[UUID]]:
        """Selector to the only people who may serve it, where the same person is required."""

    def bars(self, timeline: Timeline, time_zone: str) -> tuple[Bar, ...]:
        """Its bars over a timeline."""


def find(
    session: Session,
    call: Call,
    wanted: Wanted,
    *,
    rules: Rules | None = None,
    moving: UUID | None = None,
    own_hold: Hold | None = None,
    at: Premises | None = None,
) -> Found:
    """The place of a wanted visit in the calendar, decided by the core's law.

    `moving` is the appointment whose own occupancies do not count, `own_hold` a hold likewise, `at` the location when
    it has been read before. Raises NotFound, Invalid, LocalTimeFault, LostRace, or Refused with every reason and the
    nearest starts that can be booked.
    """
    at = at or premises_of(session, call, wanted)
    kind = at.asked_for
    search = Search(session, call, kind, wanted, rules, moving, None if own_hold is None else own_hold.id, at)
    if call.last_try:  # nothing may be lost any more
        if kind.visit.group is not None:
            lock_at(session, call, wanted.location_id, wanted.visit_type, wanted.start)
        lock_resources(session, call, list(search.load(wanted.start, wanted.start).rows))
        at = premises_of(session, call, wanted)
    if own_hold is not None and held_group(own_hold) is not None:
        at = replace(at, kept=kept_for_others(session, call, own_hold.id))
    search = replace(search, at=at)
    local, starts_at = whole(search.when, search.check_pins)
    for narrow in [False] if wanted.pins or kind.visit.group is not None else [True, False]:
        loaded = search.load(wanted.start, wanted.start, narrow=narrow)
        check_pins(loaded, kind, wanted.pins, kept_by=wanted.pins_kept_by)
        slot, clinic = loaded.site.timeline.slot(starts_at), search.clinic(loaded)
        found = search.place(loaded, clinic, slot, search.joinable(loaded))
        if found is not None:
            return replace(found, local=local)
    loaded.require_whole(call)
    if wanted.override is None:
        reasons = search.why_not(loaded, clinic, slot, wanting=True)
        raise Refused(reasons, alternatives=search.nearest(starts_at))
    lifted, reasons = lift(wanted.override, search.site(loaded), kind.visit, kind.demand, slot)
    if lifted is None:
        raise Refused(by_the_clock(reasons, loaded.site.time_zone), alternatives=search.nearest(starts_at))
    return Found(kind, loaded, local, starts_at, lifted.takings, lifted)


def premises_of(session: Session, call: Call, wanted: Wanted, *, share: bool = False) -> Premises:
    """The premises of a wanted visit; with `share` its location is locked. Raises NotFound, Invalid."""
    return premises(
        session,
        call,
        wanted.location_id,
        visit_type=wanted.visit_type,
        patient_id=wanted.patient_id,
        share=share,
    )


@dataclass(frozen=True)
class Search:
    """One visit's look at the calendar, at one span of time or another."""

    session: Session
    call: Call
    kind: Kind
    wanted: Wanted
    rules: Rules | None = None
    moving: UUID | None = None
    own_hold: UUID | None = None
    #: The location, when it has been read before.
    at: Premises | None = None
    #: Visits that move together with it: their occupancies do not count either.
    together: tuple[UUID, ...] = ()

    @property
    def _moving(self) -> list[UUID]:
        return [*([self.moving] if self.moving is not None else []), *self.together]

    def when(self) -> tuple[datetime, datetime]:
        """The wall time and the instant of the wanted start.

        Raises Invalid for all in which start, visit type and the patient's region contradict each other.
        """
        whole(self.agrees, self.reading)
        return self.reading()

    def reading(self) -> tuple[datetime, datetime]:
        """The same by the start alone."""
        at, wanted = self.at or premises_of(self.session, self.call, self.wanted), self.wanted
        return read_start(at.location.time_zone, wanted.start, wanted.disambiguation)

    def agrees(self) -> None:
        """Raises Invalid unless the visit type is on, and the patient's region is said where it is asked."""
        visit, region = self.kind.visit, self.wanted.patient_region
        off = self.moving is None and not visit.enabled
        together(lambda: require_on(visit) if off else None, lambda: expect_region(visit, region))

    def check_pins(self) -> None:
        """Raises Invalid for pins that nobody there could keep."""
        if self.wanted.pins:
            loaded = self.load(self.wanted.start, self.wanted.start)
            check_pins(loaded, self.kind, self.wanted.pins, kept_by=self.wanted.pins_kept_by)

    def load(
        self,
        start: datetime,
        end: datetime,
        *,
        narrow: bool = False,
        before: Loaded | None = None,
        groups_until: datetime | None = None,
    ) -> Loaded:
        """The site for starts in [start, end]; when `narrow`, without those who serve nothing that the visit needs.

        A refusal needs all of them, to say who could not; to find a place the narrow look is enough. `before` is the
        same look at another time. For who does not mind that a group which began just now is missed, those up to
        `groups_until` are read with the people, and not after the calendars.
        """
        first, past = self.kind.demand.reach
        return load(
            self.session,
            self.call,
            location_id=self.wanted.location_id,
            start=start,
            end=end + (past - first) * SLOT,
            patient_id=self.wanted.patient_id,
            ignoring=self._moving,
            own_hold=self.own_hold,
            at=self.at,
            only=self.kind.demand.selectors if narrow else None,
            dosing=self.kind.visit.kind == "dosing",
            before=before,
            groups=None if groups_until is None or not self.kind.visit.group else self._groups((start, groups_until)),
        )

    def _groups(self, span: tuple[datetime, datetime]) -> dict[str, Any]:
        place = self.wanted.location_id, self.kind.visit.code
        return asked_for(self.call, *place, span, moving=self.moving, own_hold=self.own_hold)

    def clinic(self, loaded: Loaded) -> Clinic:
        """What the search sees of it."""
        return self.site(loaded).clinic(self.kind.visit, self.kind.demand, cleared=not self.wanted.pencilled)

    def site(self, loaded: Loaded) -> Site:
        """The site with the visit's pins, whoever's lead time and horizon, the course's rules and the other doses."""
        site = loaded.site
        further = self.rules.bars(site.timeline, site.time_zone) if self.rules is not None else ()
        further += dose_bars(self.kind.visit, doses_among(loaded.visits, self._moving), site.timeline, site.time_zone)
        if self.wanted.by == "patient":
            stands = next((row.starts_at for row in loaded.visits if row.id == self.moving), None)
            further += fast_bars(self.kind.visit, site.timeline, self.call.now, stands)
        earliest, latest = loaded.policies.starts(self.call.now, self.wanted.by)
        return replace(
            site,
            pins=self._pins(),
            further=further,
            earliest=earliest,
            latest=latest,
            region=self.wanted.patient_region,
            asked=self.rules.asked if self.rules is not None else (),
            bound=self.rules.bound if self.rules is not None else {},
        )

    def _pins(self) -> dict[str, frozenset[UUID]]:
        """Selector to those asked for by name, any of whom will do."""
        pins = self.wanted.pins
        return {
            it.selector: frozenset(each.resource_id for each in pins if each.selector == it.selector) for it in pins
        }

    def nearest(self, starts_at: datetime) -> list[datetime]:
        """Up to five starts that can be booked as they are written, the nearest to the wanted one or its bounds."""
        now, at = self.call.now, self.at or premises_of(self.session, self.call, self.wanted)
        earliest, latest = at.policies.starts(now, self.wanted.by)
        centre = min(max(starts_at, earliest), latest)
        loaded = self.load(max(centre - NEARBY[0], now), centre + NEARBY[1])
        middle = loaded.site.timeline.slot(starts_at)
        plain = wished_starts(Wish(), loaded.site.time_zone, loaded.site.timeline)
        found = islice(self.seats(loaded, plain, order=lambda slot: (abs(slot - middle), slot)), ALTERNATIVES)
        where = zone(loaded.site.time_zone)
        return sorted(loaded.site.timeline.instant(slot).astimezone(where) for slot, _ in found)

    def around(self, loaded: Loaded, centre: datetime, among: int) -> Iterator[Found]:
        """What can be booked among these starts, the nearest to `centre` first."""
        middle = loaded.site.timeline.slot(centre)
        for slot, found in self.seats(loaded, among, order=lambda slot: (abs(slot - middle), slot)):
            yield self._found(loaded, slot, found)

    def seats(
        self, loaded: Loaded, among: int | None = None, *, order: Callable[[int], Any] | None = None
    ) -> Iterator[tuple[int, Seat]]:
        """(start slot, who serves) of everything that can be booked, earliest first or in that order."""
        clinic, groups = self.clinic(loaded), self.joinable(loaded)
        candidates = starts(self.kind.demand, clinic)
        for slot in groups:
            candidates |= 1 << slot
        slots = bits(candidates if among is None else candidates & among)
        for slot in slots if order is None else sorted(slots, key=order):
            found = self._seat(clinic, slot, groups)
            if found is not None:
                yield slot, found

    def place(self, loaded: Loaded, clinic: Clinic, slot: int, groups: Mapping[int, OpenGroup]) -> Found | None:
        """The place at that start, by the one law."""
        found = self._seat(clinic, slot, groups)
        return None if found is None else self._found(loaded, slot, found)

    def _seat(self, clinic: Clinic, slot: int, groups: Mapping[int, OpenGroup]) -> Seat | None:
        """The group that has room then, or people of its own."""
        group = groups.get(slot)
        if group is not None and clinic.open_for(self.kind.demand.patient_slots) >> slot & 1:
            return group
        return seat(self.kind.demand, clinic, slot)

    def _found(self, loaded: Loaded, slot: int, served: Seat) -> Found:
        starts_at = loaded.site.timeline.instant(slot)
        local = to_local(starts_at, loaded.site.time_zone)
        if isinstance(served, OpenGroup):
            return Found(self.kind, loaded, local, starts_at, (), group=served)
        return Found(self.kind, loaded, local, starts_at, takings_from(served, slot))

    def why_not(self, loaded: Loaded, clinic: Clinic, slot: int, *, wanting: bool = False) -> tuple[Reason, ...]:
        """Every reason against that start; what is the matter with a group that begins then comes before its people.

        Whoever is `wanting` to book tries once more where a place of it may have been given back. Raises LostRace.
        """
        where = loaded.site.time_zone
        reasons = by_the_clock(why_not(self.kind.demand, clinic, slot), where)
        people = [each for each in reasons if each.role is not None]
        if self.kind.visit.group is None or not people:
            return reasons
        start = loaded.site.timeline.instant(slot).astimezone(zone(where))
        place = self.wanted.location_id, self.kind.visit.code, start
        taken = taken_at(self.session, self.call, *place, own_hold=self.own_hold, wanting=wanting)
        return (*(each for each in reasons if each.role is None), *([taken] if taken else ()), *people)

    def joinable(self, loaded: Loaded) -> dict[int, OpenGroup]:
        """Start slot to the fullest group that begins then, has a free place and all that the visit needs."""
        if self.kind.visit.group is None:
            return {}
        timeline, demand = loaded.site.timeline, self.kind.demand
        groups = loaded.groups
        if groups is None:
            groups = joinable(self.session, self._groups((timeline.origin, timeline.end)))
        pins, bound = self._pins(), self.rules.bound if self.rules is not None else {}
        site = replace(loaded.site, region=self.wanted.patient_region)
        by_start = begun(groups, self.kind.visit, demand, site)
        some = {slot: fitting(each, demand, timeline, pins, bound) for slot, each in by_start.items()}
        return {slot: groups[0] for slot, groups in some.items() if groups}


def by_the_clock(reasons: Sequence[Reason], time_zone: str) -> tuple[Reason, ...]:
    """The same reasons with their times in the offset of that zone."""
    where = zone(time_zone)
    return tuple(
        replace(each, start=each.start and each.start.astimezone(where), end=each.end and each.end.astimezone(where))
        for each in reasons
    )
