"""A repair as it is put together: whoever can stand in at the same time, or the least movement of a whole course.

Nobody is moved for the sake of somebody else's visit, except within a course, where the gaps demand it. In which order
visits are settled, and which of them again, is `searching`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import combinations, islice
from typing import NamedTuple
from uuid import UUID

from scheduler.core.availability import Taking, assign, starts
from scheduler.core.bitmap import bits
from scheduler.core.civil import to_local
from scheduler.core.lifecycle import OPEN
from scheduler.models import Appointment
from scheduler.services import continuity
from scheduler.services.disruptions import naming, restaffing
from scheduler.services.disruptions.lines import Line, Outcome
from scheduler.services.disruptions.scene import Scene, staying, within
from scheduler.services.pins import dropped
from scheduler.services.planning import Desk, Placed
from scheduler.services.problems import ROW_MINUTES, moving_least
from scheduler.services.scratch import PATIENT, of_patient

_NO_LIMIT = 10**6
_DAY = 24 * 60
_SAME = "Its course requires the same person throughout: nobody stands in."
_STANDS_IN = "Somebody or something else serves it at the same time."
#: So many plans are tried for a course of which some visits may have to be left to the staff.
MOST_TRIED = 12


class Settled(NamedTuple):
    """What a visit takes up, and its line, if it has one."""

    takings: tuple[Taking, ...]
    line: Line | None


class Repair:
    """The repair as it grows: one line a visit. Whoever has no line stands where it stood, with whoever is left."""

    def __init__(self, scene: Scene, resource_id: UUID, now: datetime) -> None:
        self.scene, self._resource_id, self._now = scene, resource_id, now
        self._struck = {row.id for row in scene.struck}
        self.lines: dict[UUID, Line] = {}
        for row in scene.struck:
            if row.id in scene.loose:
                scene.scratch.put(row.id, self._stood(row))
            else:
                self._see_to(row)

    def parties(self) -> dict[UUID, list[Appointment]]:
        """Those who are settled together, the most urgent first: a group, a course's struck visits, or one without."""
        found: dict[UUID, list[Appointment]] = {}
        for row in sorted(self.scene.struck, key=lambda row: (self._slack(row), row.starts_at, row.id)):
            if row.id in self.scene.loose:
                found.setdefault(self._party(row), []).append(row)
        return found

    def told(self) -> list[Line]:
        """All lines, each with the visits that stand for now where it would go."""
        with_it = {key: self._company(key) for key, line in self.lines.items() if line.to is not None}
        settled = {
            key: [each for one in some for each in self.scene.scratch.taken(one)] for key, some in with_it.items()
        }
        stood = {key: self._stood(self.scene.loose[key]) for key in with_it}
        return [
            replace(
                line,
                after=tuple(
                    each for each in stood if each not in with_it[key] and self._meet(settled[key], stood[each])
                ),
            )
            if key in with_it
            else line
            for key, line in self.lines.items()
        ]

    def _company(self, key: UUID) -> list[UUID]:
        """The visits of its group, or it alone."""
        group_id = self.scene.loose[key].group_id
        return [key] if group_id is None else [row.id for row in self._rows(group_id)]

    def _meet(self, ones: Iterable[Taking], others: Sequence[Taking]) -> bool:
        """Whether somebody who is in one place at a time would be in both."""
        return any(
            one.start < other.end and other.start < one.end and other.resource_id in {one.resource_id, *one.pool}
            for one in ones
            for other in others
            if one.units != 0 and other.units != 0 and self._units(other) == 1
        )

    def _units(self, taking: Taking) -> int:
        for calendars in (each.site.calendars for each in self.scene.loaded.values()):
            if taking.resource_id in calendars:
                return calendars[taking.resource_id].units
        return 1

    def lines_of(self, party: UUID) -> list[Line]:
        """What was settled for a party."""
        return [self.lines[row.id] for row in self._rows(party) if row.id in self.lines]

    def displaced(self, party: UUID) -> Appointment | None:
        """One of the party's visits that stands where it stood, though another was sent there meanwhile."""
        scratch = self.scene.scratch
        standing = {row.id: row for row in self._rows(party) if row.id not in self.lines}
        for key, row in standing.items():
            takings = scratch.lift(key)
            leaves = scratch.leaves(row.location_id, takings)
            scratch.put(key, takings)
            if not leaves:
                return row
        return None

    def lift(self, party: UUID, *, gone: bool = False) -> dict[UUID, Settled]:
        """Let all visits of a party stand where they stood, or be gone; what was settled for them, to be put back."""
        found = {}
        for row in self._rows(party):
            found[row.id] = Settled(self.scene.scratch.lift(row.id), self.lines.pop(row.id, None))
            if not gone:
                self.scene.scratch.put(row.id, self._stood(row))
        return found

    def put_back(self, settled: Mapping[UUID, Settled]) -> None:
        """As it was when they were lifted."""
        for key in settled:
            self.scene.scratch.lift(key)
        for key, (takings, line) in settled.items():
            self.scene.scratch.put(key, takings)
            self.lines.pop(key, None)
            if line is not None:
                self.lines[key] = line

    def _party(self, row: Appointment) -> UUID:
        if row.group_id is not None:
            return row.group_id
        return row.course_id if row.course_id is not None and row.course_id in self.scene.desks else row.id

    def _rows(self, party: UUID) -> list[Appointment]:
        return [row for row in self.scene.loose.values() if self._party(row) == party]

    def _stood(self, row: Appointment) -> tuple[Taking, ...]:
        """What the visit takes up where it stands: nobody else has that before it is settled elsewhere.

        Whoever is away keeps what they have before and after.
        """
        away = self.scene.scratch.away.get(self._resource_id, 0)
        return tuple(
            each
            for each in self.scene.takings.get(row.id, ())
            if each.resource_id != self._resource_id or not away & each.slots
        )

    def _see_to(self, row: Appointment) -> None:
        whose = "The visit is" if row.status not in OPEN else "Another visit of its group is"
        self._broken(row, "under_way", f"{whose} under way: whoever is there has to see to it.")

    def stand_in(self, rows: Sequence[Appointment]) -> bool:
        """Whether others serve all visits of a party at their time; those of which that is so are settled."""
        if rows[0].group_id is not None:
            return self._restaffed(rows)
        stays = [self._stays(row) for row in rows]
        return all(stays)

    def _restaffed(self, rows: Sequence[Appointment]) -> bool:
        """Whether others serve the group, all of it; then that is settled."""
        takings = self._of_group(rows, self._bound(rows))
        if takings is None:
            return False
        carrier = next(row for row in rows if any(each.selector != PATIENT for each in self.scene.takings[row.id]))
        for row in rows:
            self.scene.scratch.lift(row.id)
            self._put(row, takings if row is carrier else (), row.starts_at)
            self._write(row, "kept", "stands_in", _STANDS_IN, row.starts_at, takings)
        return True

    def _give_up(self, rows: Sequence[Appointment]) -> None:
        """Say of each visit of a group why it is left to the staff."""
        kind, unbound = self.scene.kinds[rows[0].visit_type], self._of_group(rows, {})
        for row in rows:
            self._broken(row, *restaffing.why_not(kind, row, unbound, bound=bool(self._bound([row]))))

    def _of_group(self, rows: Sequence[Appointment], bound: continuity.Bound) -> tuple[Taking, ...] | None:
        """Who could serve the group beside all the others; nothing is settled."""
        scene, row = self.scene, rows[0]
        before = {each.id: scene.scratch.lift(each.id) for each in rows}
        site = scene.scratch.site(row.location_id, scene.loaded[row.id])
        stood = [each.resource_id for one in rows for each in self._stood(one)]
        takings = restaffing.served(scene.kinds[row.visit_type], site, rows, bound, stood)
        for key, theirs in before.items():
            scene.scratch.put(key, theirs)
        return takings

    def _bound(self, rows: Sequence[Appointment]) -> continuity.Bound:
        demand = self.scene.kinds[rows[0].visit_type].demand
        return continuity.in_group([(self._desk_of(row), row.course_session_id) for row in rows], demand)

    def _stays(self, row: Appointment) -> bool:
        """Whether somebody or something else can serve it at its time; then that is settled."""
        scene, demand = self.scene, self.scene.kinds[row.visit_type].demand
        before = scene.scratch.lift(row.id)
        # It stands there already: no rule about when visits may be is asked again.
        same = continuity.as_it_stands(self._desk_of(row), row.course_session_id)
        pins = naming.promised(row, self._resource_id)
        clinic = replace(self.scene.clinic(row, scene.loaded[row.id]), bars=(), pins=pins, bound=same)
        takings = assign(demand, clinic, scene.slot(row), [each.resource_id for each in self._stood(row)])
        if takings is None:
            scene.scratch.put(row.id, before)
            return False
        self._put(row, takings, row.starts_at)
        self._write(row, "kept", "stands_in", _STANDS_IN, row.starts_at, takings)
        return True

    def find_room(self, row: Appointment) -> None:
        """Another time for it: in its course with all the visits of it that have to move, or by itself.

        There is none for a group, which moves as a whole.
        """
        if row.group_id is not None:
            self._give_up(self._rows(row.group_id))
        elif row.course_id is not None and row.course_id in self.scene.desks:
            self._replan(row.course_id)
        else:
            self._nearest(row)

    def _replan(self, course_id: UUID) -> None:
        """The course's least movement. Whatever cannot be served is broken, and stands as it did."""
        scene = self.scene
        rows = {row.course_session_id: row for row in self._rows(course_id)}
        before = {row.id: scene.scratch.lift(row.id) for row in rows.values()}
        moved = self._moves(self._least_movement(course_id, rows), rows, before)
        for row in rows.values():
            if row.id in moved:
                start, takings = moved[row.id]
                self._put(row, takings, start)
            else:
                scene.scratch.put(row.id, before[row.id])
        for row in (each for each in rows.values() if each.id in moved):
            self._moved(row, moved[row.id][0], self._with_named(row, *moved[row.id]))
        for row in rows.values():
            if row.id in self._unserved():
                if self._irreplaceable(row):
                    self._broken(row, "same_person", f"{_SAME} No time is left at which they serve it.")
                else:
                    self._broken(row, "no_place", "No time is left for it that keeps the gaps of its course.")

    def _least_movement(self, course_id: UUID, rows: Mapping[UUID | None, Appointment]) -> Sequence[Placed]:
        """The course's plan; where it has none, without as few as can be of those that nobody serves."""
        desk = within(self.scene.scratch.desk(self.scene.desks[course_id]))
        waiting = sorted((row for row in rows.values() if row.id in self._unserved()), key=self._slack, reverse=True)
        some = (left for number in range(max(1, len(waiting))) for left in combinations(waiting, number))
        for left in islice(some, MOST_TRIED):
            some_of_it = staying(desk, {row.course_session_id for row in left})
            found = naming.solved(
                self.scene, some_of_it, lambda it: moving_least(continuity.keeping(desk, it)), rows, self._resource_id
            )
            if found:
                return found
        return ()

    def _with_named(self, row: Appointment, start: datetime, takings: tuple[Taking, ...]) -> tuple[Taking, ...]:
        """Who serves the visit at its new place, where whoever it was promised by name can; that is settled."""
        desk, pins = self._desk_of(row), naming.promised(row, self._resource_id)
        if desk is None or not pins:
            return takings
        self.scene.scratch.lift(row.id)
        people = [each.resource_id for each in takings]
        bound = continuity.by_repair(desk, row.course_session_id, people)
        clinic = replace(self.scene.clinic(row, desk.loaded), bars=(), pins=pins, bound=bound)
        demand, slot = self.scene.kinds[row.visit_type].demand, self.scene.timeline.slot(start)
        takings = assign(demand, clinic, slot, people) or takings
        self._put(row, takings, start)
        return takings

    def _moves(
        self,
        plan: Iterable[Placed],
        rows: Mapping[UUID | None, Appointment],
        before: Mapping[UUID, tuple[Taking, ...]],
    ) -> dict[UUID, tuple[datetime, tuple[Taking, ...]]]:
        """The visits that the plan moves, and those that it can serve at their time after all.

        Also who stays, where another visit was given the room or somebody since this one was to move.
        """
        found = {}
        for placed in plan:
            row = rows.get(placed.session_id)
            if row is not None and (
                placed.start != row.starts_at
                or row.id in self._unserved()
                or not self.scene.scratch.leaves(row.location_id, before[row.id])
            ):
                found[row.id] = placed.start, placed.takings
        return found

    def _unserved(self) -> set[UUID]:
        return self._struck - self.lines.keys()

    def _desk_of(self, row: Appointment) -> Desk | None:
        return self.scene.desks.get(row.course_id) if row.course_id else None

    def _irreplaceable(self, row: Appointment) -> bool:
        """Whether whoever is away is one whom its course requires to be the same throughout."""
        same = continuity.as_it_stands(self._desk_of(row), row.course_session_id)
        return any(self._resource_id in people for people in same.values())

    def _nearest(self, row: Appointment) -> None:
        """A visit by itself: the day as near as can be (rather later than earlier), then a quarter of an hour."""
        scene, demand = self.scene, self.scene.kinds[row.visit_type].demand
        before = scene.scratch.lift(row.id)
        clinic, pins = self.scene.clinic(row, scene.loaded[row.id]), naming.promised(row, self._resource_id)
        was = to_local(row.starts_at, row.time_zone)

        def distance(slot: int) -> tuple[int, bool, bool, int, int]:
            wall = to_local(scene.timeline.instant(slot), row.time_zone)
            minutes = abs((wall.hour - was.hour) * 60 + wall.minute - was.minute)
            days = (wall.date() - was.date()).days
            return abs(days), days < 0, wall.minute % ROW_MINUTES > 0, minutes, slot

        for asked in [clinic] if not pins else [replace(clinic, pins=pins), clinic]:
            for slot in sorted(bits(starts(demand, asked)), key=distance):
                takings = assign(demand, asked, slot)
                if takings is not None:
                    start = scene.timeline.instant(slot)
                    self._put(row, takings, start)
                    self._moved(row, start, takings)
                    return
        scene.scratch.put(row.id, before)
        self._broken(row, "no_place", "No other time is free within four weeks.")

    def _slack(self, row: Appointment) -> int:
        """How many days later the visit may be before its course's longest gap is broken."""
        desk = self._desk_of(row)
        places = {**desk.standing, **desk.loose} if desk else {}
        mine = [each for each in desk.specs if desk.session_id(each) == row.course_session_id] if desk else []
        spec = mine[0] if mine else None
        if spec is None or spec.anchor not in places or spec.index not in places:
            return _NO_LIMIT
        most = spec.gap[2] if spec.gap else spec.window.maximum // _DAY if spec.window else None
        days = (places[spec.index].day - places[spec.anchor].day).days
        return _NO_LIMIT if most is None else most - days

    def _put(self, row: Appointment, takings: tuple[Taking, ...], start: datetime) -> None:
        own = of_patient(row.patient_id, self.scene.timeline, start, start + (row.ends_at - row.starts_at))
        self.scene.scratch.put(row.id, (own, *takings))

    def _moved(self, row: Appointment, start: datetime, takings: tuple[Taking, ...]) -> None:
        if start == row.starts_at:
            self._write(row, "kept", "stands_in", _STANDS_IN, start, takings)
        elif row.id in self._unserved() and self._irreplaceable(row):
            self._write(row, "moved", "same_person", _SAME, start, takings)
        elif row.id in self._unserved():
            self._write(row, "moved", "nobody_stands_in", "Nobody else can serve it at its time.", start, takings)
        else:
            detail = "It keeps the gaps to a visit of its course that has to move."
            self._write(row, "moved", "keeps_the_gaps", detail, start, takings)

    def _broken(self, row: Appointment, code: str, detail: str) -> None:
        self._write(row, "broken", code, detail, None, ())

    def _write(
        self,
        row: Appointment,
        outcome: Outcome,
        code: str,
        detail: str,
        to: datetime | None,
        takings: tuple[Taking, ...],
    ) -> None:
        people = {taking.resource_id for taking in takings}
        slot = 0 if to is None else self.scene.timeline.slot(to)
        seats = [(each.resource_id, each.start - slot, each.end - slot) for each in takings if not each.pool]
        self.lines[row.id] = Line(
            appointment_id=row.id,
            session_id=row.course_session_id,
            course_id=row.course_id,
            group_id=row.group_id,
            patient_id=row.patient_id,
            location_id=row.location_id,
            visit_type=row.visit_type,
            time_zone=row.time_zone,
            start=row.starts_at,
            end=row.ends_at,
            outcome=outcome,
            code=code,
            detail=detail,
            to=to,
            people=tuple(sorted(people)),
            seats=tuple(sorted(seats)),
            dropped=dropped(row, people) if to is not None else (),
            struck=row.id in self._struck,
        )
