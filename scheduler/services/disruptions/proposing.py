"""The joint repair: first whoever can stand in at the same time, then the least movement, whole courses at a time.

Who would soonest be later than the course allows comes first. Nobody is moved for the sake of somebody else's visit,
except within a course, where the gaps demand it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from scheduler.core.availability import Taking, assign, exact_starts
from scheduler.core.bitmap import bits
from scheduler.core.call import Call
from scheduler.core.civil import to_local
from scheduler.core.intervals import Span
from scheduler.core.lifecycle import OPEN
from scheduler.models import Appointment
from scheduler.services.disruptions.lines import Line, Outcome
from scheduler.services.disruptions.scene import Scene, look, within
from scheduler.services.planning import CoursePlan, solve
from scheduler.services.scratch import of_patient

_NO_LIMIT = 10**6
_DAY = 24 * 60
_STANDS_IN = "Somebody or something else serves it at the same time."


def propose(session: Session, call: Call, resource_id: UUID, span: Span) -> tuple[Line, ...]:
    """What becomes of each visit that the resource's absence touches, and of those that make room; by their starts."""
    scene = look(session, call, resource_id, span)
    if scene is None:
        return ()
    repair = _Repair(scene, resource_id, call.now)
    waiting = [row for row in repair.urgent_first() if not repair.stays(row)]
    for row in waiting:
        if row.id not in repair.lines:
            repair.find_room(row)
    return tuple(sorted(repair.lines.values(), key=lambda line: (line.start, line.appointment_id)))


class _Repair:
    """The repair as it grows: one line a visit."""

    def __init__(self, scene: Scene, resource_id: UUID, now: datetime) -> None:
        self._scene, self._resource_id, self._now = scene, resource_id, now
        self._struck = {row.id for row in scene.struck}
        self.lines: dict[UUID, Line] = {}

    def urgent_first(self) -> list[Appointment]:
        """The struck visits: those that can least be later come first, those without such a limit by their time."""
        return sorted(self._scene.struck, key=lambda row: (self._slack(row), row.starts_at, row.id))

    def stays(self, row: Appointment) -> bool:
        """Whether somebody or something else can serve it at its time; then that is settled."""
        if row.status not in OPEN:
            self._broken(row, "under_way", "The visit is under way: whoever is there has to see to it.")
            return True
        if row.group_id is not None:
            self._broken(row, "group", "A group moves as a whole: its session has to be seen to.")
            return True
        scene, kind = self._scene, self._scene.kinds[row.visit_type]
        site = replace(scene.scratch.site(row.location_id, scene.loaded[row.id]), region=row.patient_region)
        pins = {
            pin["selector"]: frozenset({UUID(pin["resource_id"])})
            for pin in row.pins
            if UUID(pin["resource_id"]) != self._resource_id
        }
        # It stands there already: no rule about when visits may be is asked again.
        clinic = replace(site.clinic(kind.visit, kind.demand, cleared=False), bars=(), pins=pins)
        now = [each.resource_id for each in scene.takings.get(row.id, ()) if each.resource_id != self._resource_id]
        takings = assign(kind.demand, clinic, scene.slot(row), now)
        if takings is None:
            return False
        self._put(row, takings, row.starts_at)
        self._write(row, "kept", "stands_in", _STANDS_IN, row.starts_at, takings)
        return True

    def find_room(self, row: Appointment) -> None:
        """Another time for it: in its course with all the visits of it that have to move, or by itself."""
        if row.course_id is not None and row.course_id in self._scene.desks:
            self._replan(row.course_id)
        else:
            self._nearest(row)

    def _replan(self, course_id: UUID) -> None:
        """The course's least movement. Whatever cannot be served is broken, and the others stay as they are."""
        scene = self._scene
        desk = within(scene.desks[course_id])
        rows = {row.course_session_id: row for row in scene.loose.values() if row.course_id == course_id}
        before = {row.id: scene.scratch.lift(row.id) for row in rows.values()}
        found = solve(scene.scratch.desk(desk))
        moved = self._moves(found[0], rows) if found else {}
        for row in rows.values():
            if row.id in moved:
                start, takings = moved[row.id]
                self._put(row, takings, start)
                self._moved(row, start, takings)
            elif before[row.id]:
                scene.scratch.put(row.id, before[row.id])
        for row in scene.struck:
            if row.course_id == course_id and row.id not in self.lines:
                detail = "No time is left for it that keeps the gaps of its course."
                self._broken(row, "no_place", detail)

    def _moves(
        self, plan: CoursePlan, rows: dict[UUID | None, Appointment]
    ) -> dict[UUID, tuple[datetime, tuple[Taking, ...]]]:
        """The visits that the plan moves, and those that it can serve at their time after all."""
        found = {}
        for placed in plan.sessions:
            row = rows.get(placed.session_id)
            if row is not None and (placed.start != row.starts_at or row.id in self._unserved()):
                found[row.id] = placed.start, placed.takings
        return found

    def _unserved(self) -> set[UUID]:
        return self._struck - self.lines.keys()

    def _nearest(self, row: Appointment) -> None:
        """A visit by itself: the day as near as can be (rather later than earlier), then the hour."""
        scene, kind = self._scene, self._scene.kinds[row.visit_type]
        site = replace(scene.scratch.site(row.location_id, scene.loaded[row.id]), region=row.patient_region)
        clinic = site.clinic(kind.visit, kind.demand, cleared=False)
        was = to_local(row.starts_at, site.time_zone)

        def distance(slot: int) -> tuple[int, bool, int, int]:
            wall = to_local(scene.timeline.instant(slot), site.time_zone)
            minutes = abs((wall.hour - was.hour) * 60 + wall.minute - was.minute)
            days = (wall.date() - was.date()).days
            return abs(days), days < 0, minutes, slot

        for slot in sorted(bits(exact_starts(kind.demand, clinic)), key=distance):
            if scene.timeline.instant(slot).minute % 15:
                continue
            takings = assign(kind.demand, clinic, slot)
            if takings is not None:
                start = scene.timeline.instant(slot)
                self._put(row, takings, start)
                self._moved(row, start, takings)
                return
        self._broken(row, "no_place", "No other time is free within four weeks.")

    def _slack(self, row: Appointment) -> int:
        """How many days later the visit may be before its course's longest gap is broken."""
        desk = self._scene.desks.get(row.course_id) if row.course_id else None
        places = {**desk.standing, **desk.loose} if desk else {}
        spec = (
            next((each for each in desk.specs if desk.session_id(each) == row.course_session_id), None)
            if desk
            else None
        )
        if spec is None or spec.anchor not in places or spec.index not in places:
            return _NO_LIMIT
        most = spec.gap[2] if spec.gap else spec.window.maximum // _DAY if spec.window else None
        days = (places[spec.index].day - places[spec.anchor].day).days
        return _NO_LIMIT if most is None else most - days

    def _put(self, row: Appointment, takings: tuple[Taking, ...], start: datetime) -> None:
        own = of_patient(row.patient_id, self._scene.timeline, start, start + (row.ends_at - row.starts_at))
        self._scene.scratch.put(row.id, (own, *takings))

    def _moved(self, row: Appointment, start: datetime, takings: tuple[Taking, ...]) -> None:
        if start == row.starts_at:
            self._write(row, "kept", "stands_in", _STANDS_IN, start, takings)
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
        self.lines[row.id] = Line(
            appointment_id=row.id,
            session_id=row.course_session_id,
            course_id=row.course_id,
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
            people=tuple(sorted({taking.resource_id for taking in takings})),
            struck=row.id in self._struck,
        )
