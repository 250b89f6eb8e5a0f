"""Carrying out a repair, or a part of it: all of the part or nothing, looked at anew under the locks.

The first acceptance writes the absence down, which owes the staff a task for each visit; it goes with the acceptance.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from scheduler.core.availability import Clinic, assign
from scheduler.core.bar import Bar
from scheduler.core.call import Call
from scheduler.core.civil import to_local
from scheduler.core.errors import LostRace, PlanStale
from scheduler.core.lifecycle import OPEN
from scheduler.core.second_look import broken
from scheduler.core.spacing import Booked, binding, session_rules
from scheduler.models import Appointment, Course, Disruption, Resource
from scheduler.services import (
    absences,
    audit,
    booking,
    continuity,
    course_rules,
    courses,
    opening_days,
    openings,
    outbox,
)
from scheduler.services.booking import place, snapshot
from scheduler.services.calendars import Loaded, load
from scheduler.services.catalog import Kind, visit_kinds
from scheduler.services.course_span import Extent, common_span, extent_of, layout_of
from scheduler.services.disruptions import naming, restaffing
from scheduler.services.disruptions.choosing import choose
from scheduler.services.disruptions.lines import Line, Seat
from scheduler.services.disruptions.offers import opened
from scheduler.services.disruptions.scene import keeps_its_room
from scheduler.services.finding import Found, Wanted
from scheduler.services.locks import lock_locations, lock_resources, lock_row
from scheduler.services.occupying import Owner, Visit, release, resources_of, take_for, write
from scheduler.services.pins import pins_of
from scheduler.services.planning import Desk, set_up
from scheduler.services.records import Revision, expect
from scheduler.services.repacking import CHANGED
from scheduler.services.scratch import Scratch, of_patient
from scheduler.services.sheet import Sheet


@dataclass(frozen=True)
class Accepted:
    """What was carried out now, and what is still open of the repair."""

    absence_id: UUID
    done: tuple[Line, ...]
    open: tuple[Line, ...]


def accept(
    session: Session,
    call: Call,
    token: UUID,
    *,
    session_ids: Collection[UUID] = (),
    appointment_ids: Collection[UUID] = (),
    everything: bool = False,
    revision: Revision | None = None,
) -> Accepted:
    """Carry out these lines of the repair, in one transaction; the others stay open.

    A visit that moves takes the moves of its course with it, and one that stays in a group that whole group. Raises
    NotFound, StaleRevision, Invalid for visits that are not in the repair, for which there is no way or which wait for
    others of it, PlanStale when one of them no longer fits: then nothing is changed.
    """
    row = opened(session, call, token)
    expect(row, revision)
    lines = [Line.read(each) for each in row.body["lines"]]
    named = {"session_ids": session_ids, "appointment_ids": appointment_ids}
    chosen = choose(lines, named, everything=everything)
    own = _lock(session, call, row, lines, chosen)
    with session.begin_nested() as savepoint:
        moved = _carried_out(session, call, row, chosen, own)
        if moved is None:
            savepoint.rollback()  # its locks go with it: more of them can be taken in order only by whoever holds none
    if moved is None:
        moved = _carried_out(session, call, row, chosen, own | _anybody(session, call, chosen))
    if moved is None:
        raise LostRace(CHANGED)
    absence_id = row.absence_id
    assert absence_id is not None  # noqa: S101 - it was written, or had been
    outbox.owe_for_course_change(session, call, moved)  # one message to a patient for all that moves
    done = {line.appointment_id for line in chosen}
    after = [replace(line, done=line.done or line.appointment_id in done) for line in lines]
    row.body = {"lines": [line.document() for line in after]}
    visits = [str(each) for each in sorted(done)]
    audit.note(session, call, "disruption.accept", "absence", absence_id, after={"appointments": visits})
    session.flush()
    return Accepted(absence_id, tuple(chosen), tuple(line for line in after if not line.done))


def _carried_out(
    session: Session, call: Call, row: Disruption, chosen: Sequence[Line], ids: Collection[UUID]
) -> list[outbox.Changed] | None:
    """Carry the lines out with these people and rooms locked; None when somebody else is needed by now."""
    lock_resources(session, call, ids)
    row.absence_id = row.absence_id or _write_absence(session, call, row)
    moved: list[outbox.Changed] = []
    for location_id in sorted({line.location_id for line in chosen}):
        stage = _Stage(session, call, row, [line for line in chosen if line.location_id == location_id])
        changed = stage.carry_out(ids)
        if changed is None:
            return None
        moved += changed
    return moved


def _anybody(session: Session, call: Call, chosen: Sequence[Line]) -> set[UUID]:
    """Whoever and whatever could serve any of the visits."""
    first = {line.location_id: line for line in chosen}
    return set().union(*(load_one(session, call, line, (), (line.start, line.end)).rows for line in first.values()))


def _lock(session: Session, call: Call, row: Disruption, lines: Sequence[Line], chosen: Sequence[Line]) -> set[UUID]:
    """Everything at once, in the order of all: locations alone, courses, appointments. The people and rooms to lock."""
    resource = session.get_one(Resource, (call.organization_id, row.resource_id))
    lock_locations(
        session, call, {line.location_id for line in lines} | absences.sites(session, call, resource), share=False
    )
    for course_id in sorted({line.course_id for line in chosen if line.course_id}):
        lock_row(session, call, Course, course_id)
    for line in sorted(chosen, key=lambda each: each.appointment_id):
        visit = lock_row(session, call, Appointment, line.appointment_id)
        place = None if visit is None else (visit.starts_at, visit.group_id)
        if visit is None or visit.status not in OPEN or place != (line.start, line.group_id):
            raise PlanStale(f"The visit of {line.when} has changed since.")
    _expect_whole(session, call, chosen)
    ids = {row.resource_id}
    for line in chosen:
        ids |= {line.patient_id, *line.people} | resources_of(session, call, line.appointment_id)
    wanted = select(Resource.id).where(Resource.organization_id == call.organization_id, Resource.kind == "room")
    at = {line.location_id for line in chosen}
    return ids | set(session.scalars(wanted.where(Resource.location_id.in_(at))))  # rooms may be bound anew


def _expect_whole(session: Session, call: Call, chosen: Sequence[Line]) -> None:
    """Raises PlanStale unless those who are in a group are those of the repair.

    Whoever joins a group, leaves it or calls it off shares its location, which is taken alone here: the group's own
    lock would keep nobody else away. Holds share nothing, but leave a group that has a visit as it is.
    """
    mine = {line.appointment_id for line in chosen if line.group_id is not None}
    if mine and restaffing.living(session, call, {line.group_id for line in chosen if line.group_id}) != mine:
        raise PlanStale("Somebody joined a group of the repair, or left it, since.")


def _write_absence(session: Session, call: Call, row: Disruption) -> UUID:
    view = absences.create(
        session, call, resource_id=row.resource_id, start=row.starts_at, end=row.ends_at, reason=row.reason
    )
    return view.id


def _seated_so(clinic: Clinic, seats: Sequence[Seat], slot: int) -> Clinic:
    """The clinic in which each of these has time for nothing but their own part of a visit that starts at the slot."""
    calendars = dict(clinic.calendars)
    for who in {who for who, _, _ in seats} & calendars.keys():
        known, mine = calendars[who], [seat[1:] for seat in seats if seat[0] == who]
        before, after = known.buffers
        free = clinic.timeline.covered((slot + first - before, slot + past + after) for first, past in mine)
        calendars[who] = replace(known, taken=tuple(rung | clinic.timeline.everything & ~free for rung in known.taken))
    return replace(clinic, calendars=calendars)


class _Stage:
    """The chosen visits of one location: checked, then written."""

    def __init__(self, session: Session, call: Call, row: Disruption, lines: Sequence[Line]) -> None:
        self._session, self._call, self._row = session, call, row
        # Groups first: whoever is in one has no time then, and is not asked.
        self._lines = sorted(lines, key=lambda it: (it.group_id is None, it.to or it.start, it.appointment_id))
        self._kinds = visit_kinds(session, call)
        self._ids = tuple(line.appointment_id for line in lines if line.group_id is None)
        self._gathered = tuple(line.appointment_id for line in lines if line.group_id is not None)
        self._carriers = restaffing.carriers(session, call, self._gathered)
        self._visits = {
            line.appointment_id: session.get_one(Appointment, (call.organization_id, line.appointment_id))
            for line in lines
        }

    def carry_out(self, ids: Collection[UUID]) -> list[outbox.Changed] | None:
        """The visits that have another time now, of which nobody has been told; None when others than `ids` are needed.

        Raises PlanStale.
        """
        desks, loaded = self._look()
        for each_desk in desks.values():
            self._expect_lawful(each_desk)
        away = self._row.resource_id
        scratch = Scratch(fixed={key for key, row in self._visits.items() if keeps_its_room(row, away)})
        for each in loaded.values():
            scratch.add(self._lines[0].location_id, each)
        places = []
        for line in self._lines:
            mine, desk = loaded[line.appointment_id], desks.get(line.course_id) if line.course_id else None
            if line.group_id is None:
                found = self._fits(line, mine, desk, scratch)
            else:
                found = self._goes_on(line, mine, desks, scratch)
            start, end = found.starts_at, found.starts_at + (line.end - line.start)
            own = of_patient(line.patient_id, mine.site.timeline, start, end)
            scratch.put(line.appointment_id, (own, *found.takings))
            places.append((self._visits[line.appointment_id], found, line))
        needed = {taking.resource_id for _, found, _ in places for taking in found.takings if taking.units != 0}
        return self._write(places, loaded[self._lines[0].appointment_id]) if needed <= set(ids) else None

    def _look(self) -> tuple[dict[UUID, Desk], dict[UUID, Loaded]]:
        views = [
            courses.get(self._session, self._call, course_id)
            for course_id in sorted({line.course_id for line in self._lines if line.course_id and line.session_id})
        ]
        starts = [each for line in self._lines for each in (line.start, line.to or line.start)]
        layouts = [layout_of(self._session, self._call, view, ignoring=self._ids) for view in views]
        stands = [extent_of(self._call, *each, "standing") for each in zip(views, layouts, strict=True)]
        whole = common_span([*stands, Extent(min(starts), max(starts) + timedelta(days=1))])
        how: Any = {"ignoring": self._ids, "restaffing": self._gathered, "span": whole, "look": "standing"}
        desks = {view.id: set_up(self._session, self._call, view, **how) for view in views}
        loaded = {
            line.appointment_id: desks[line.course_id].loaded
            if line.course_id in desks
            else load_one(self._session, self._call, line, (*self._ids, *self._gathered), whole)
            for line in self._lines
        }
        return desks, loaded

    def _fits(self, line: Line, loaded: Loaded, desk: Desk | None, scratch: Scratch) -> Found:
        """The visit at its new place, by the law of every booking. Raises PlanStale."""
        kind, start = self._kinds[line.visit_type], line.to or line.start
        site = replace(scratch.site(line.location_id, loaded), region=self._visits[line.appointment_id].patient_region)
        bars = self._bars(line, kind, desk) if line.outcome == "moved" else ()
        clinic = replace(site, further=bars).clinic(kind.visit, kind.demand, cleared=False)
        bound = continuity.by_repair(desk, line.session_id, line.people)
        pins = naming.kept(self._visits[line.appointment_id], line.people)
        clinic = replace(clinic, bound=bound, pins=pins)
        if line.outcome == "kept":
            clinic = replace(clinic, bars=())
        slot = site.timeline.slot(start)
        # The same people for the same parts of it, since all lines together were found to fit that way.
        takings = assign(kind.demand, _seated_so(clinic, line.seats, slot), slot, line.people)
        takings = takings or assign(kind.demand, clinic, slot, line.people)
        if takings is None:
            raise PlanStale(f"The visit of {line.when} no longer fits where it was to go.")
        return Found(kind, loaded, to_local(start, site.time_zone), start, takings)

    def _goes_on(self, line: Line, loaded: Loaded, desks: Mapping[UUID, Desk], scratch: Scratch) -> Found:
        """The visit in its group at its time; who carries the group takes up who serves it now. Raises PlanStale."""
        kind, site = self._kinds[line.visit_type], scratch.site(line.location_id, loaded)
        found = Found(kind, loaded, to_local(line.start, site.time_zone), line.start, ())
        if line.appointment_id not in self._carriers:
            return found
        together = [each for each in self._lines if each.group_id == line.group_id]
        members = [(desks.get(each.course_id) if each.course_id else None, each.session_id) for each in together]
        rows = [self._visits[each.appointment_id] for each in together]
        bound = continuity.in_group(members, kind.demand)
        takings = restaffing.served(kind, site, rows, bound, line.people)
        if takings is None:
            raise PlanStale(f"The group of {line.when} finds nobody any more who could serve it.")
        return replace(found, takings=takings)

    def _bars(self, line: Line, kind: Kind, desk: Desk | None) -> tuple[Bar, ...]:
        if desk is None:
            return ()
        site, spec = desk.loaded.site, next(each for each in desk.specs if desk.session_id(each) == line.session_id)
        others = dict(self._places(desk))
        others.pop(spec.index, None)
        others = binding(desk.specs, {spec.index}, others, self._call.now)
        passed = course_rules.passed_gates(self._session, self._call, desk.course.id)
        opened = opening_days.at_site(desk.specs, site)
        rules = session_rules(desk.specs, spec.index, others, {*passed, *spec.gates}, kind.visit.minutes, opened)
        return (*rules.bars(site.timeline, site.time_zone), *desk.dose_bars(kind))

    def _places(self, desk: Desk) -> dict[int, Booked]:
        """Where the sessions of the course stand once the chosen lines are carried out."""
        zone, chosen = desk.loaded.site.time_zone, {each.session_id: each for each in self._lines}
        found = {**desk.standing, **desk.loose}
        for spec in desk.specs:
            line = chosen.get(desk.session_id(spec))
            if line is not None and line.to is not None:
                end = line.to + (line.end - line.start)
                found[spec.index] = Booked(to_local(line.to, zone).date(), line.to, end)
        return found

    def _expect_lawful(self, desk: Desk) -> None:
        """Raises PlanStale when what moves would break a rule of its protocol; the planner is not asked."""
        moving = {line.session_id for line in self._lines if line.outcome == "moved"}
        fresh = [spec.index for spec in desk.specs if desk.session_id(spec) in moving]
        opened = opening_days.at_site(desk.specs, desk.loaded.site)
        faults = broken(desk.specs, self._places(desk), fresh, opened)
        if faults:
            raise PlanStale(f"The repair no longer keeps the rules of a protocol: {faults[0]}.")

    def _write(self, places: Sequence[tuple[Appointment, Found, Line]], loaded: Loaded) -> list[outbox.Changed]:
        session, call = self._session, self._call
        visits, ids = [], set()
        before = {row.id: snapshot(row) for row, _, _ in places}
        for row, found, line in places:
            ids |= resources_of(session, call, row.id)
            pins = tuple(pin for pin in pins_of(row) if pin.resource_id in line.people)
            wanted = Wanted(
                row.patient_id,
                row.visit_type,
                row.location_id,
                found.starts_at,
                pins=pins,
                patient_region=row.patient_region,
            )
            if found.starts_at != row.starts_at:
                openings.note(session, call, row.location_id, row.starts_at, row.ends_at)
                row.sequence, row.confirmed_at = row.sequence + 1, None
                row.moves = {**row.moves, "clinic": row.moves.get("clinic", 0) + 1}
            place(row, wanted, found)
            pinned = frozenset(pin.selector for pin in pins)
            if row.group_id is not None:  # the room of a group is not changed for another
                pinned |= {taking.selector for taking in found.takings}
            owner = Owner(appointment_id=row.id)
            visits.append(Visit(owner, row.patient_id, found.starts_at, found.ends_at, found.takings, pinned))
        ids = ids.union(*(visit.resource_ids for visit in visits))
        take_for(session, call, loaded, ids)
        for row, _, _ in places:
            release(session, call, row.id, ids)
        session.flush()
        sheet = Sheet()
        write(session, call, loaded, visits, sheet)
        sheet.put_down(session)
        for row, _, line in places:
            booking.tell_moved(
                session,
                call,
                row,
                before[row.id],
                moves=row.starts_at != line.start,
                reason=self._row.reason or None,
                tell=False,
                by="clinic",
                category="disruption",
            )
        return [outbox.Changed.since(row, before[row.id]) for row, _, line in places if row.starts_at != line.start]


def load_one(
    session: Session, call: Call, line: Line, ignoring: Sequence[UUID], span: tuple[datetime, datetime]
) -> Loaded:
    """The calendars around one visit, without those that the stage writes anew."""
    first, last = span
    return load(
        session,
        call,
        location_id=line.location_id,
        start=first,
        end=last,
        patient_id=line.patient_id,
        ignoring=tuple(ignoring),
    )
