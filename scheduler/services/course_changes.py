"""What happens to visits of a running course: the changes, whether they can be, and what stands around them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Literal
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from scheduler.core import lifecycle
from scheduler.core.call import Call
from scheduler.core.changing import why_not_change
from scheduler.core.civil import on_grid, to_local
from scheduler.core.errors import Fault, IllegalTransition, Invalid, Reason, Refused, refuse
from scheduler.core.policies import Initiator, Policies
from scheduler.core.visit_day import why_not_undosed
from scheduler.models import Appointment
from scheduler.services import courses, policies
from scheduler.services.appointments import times_of
from scheduler.services.courses import CourseView
from scheduler.services.suiting import OTHER_PEOPLE

Action = Literal["cancel", "move", "noshow", "not_dosed"]

_MOVES: Mapping[Action, str] = {
    "cancel": "cancel",
    "move": "reschedule",
    "noshow": "no-show",
    "not_dosed": "not-dosed",
}


@dataclass(frozen=True)
class Change:
    """What happens to one visit of the course. `start` is where a move leads; None leaves that to the planner."""

    appointment_id: UUID
    action: Action
    start: datetime | None = None


@dataclass(frozen=True)
class Case:
    """A running course and what changes in it. Positions are those of sessions in the course."""

    view: CourseView
    rows: Mapping[UUID, Appointment]
    changes: tuple[Change, ...]
    pinned: frozenset[UUID]
    now: datetime
    #: Sessions that whoever asks may not have moved, by the organization's policies.
    held: frozenset[int] = frozenset()

    @cached_property
    def position_of(self) -> Mapping[UUID, int]:
        """Session id to position."""
        return {each.id: each.position for each in self.view.sessions}

    @cached_property
    def standing(self) -> Mapping[int, Appointment]:
        """The living visit of each session that has one."""
        return {self.position_of[key]: row for key, row in self.view.booked.items()}

    @cached_property
    def changed(self) -> Mapping[int, Change]:
        """The change of each session that is concerned."""
        found = {}
        for change in self.changes:
            row = self.rows.get(change.appointment_id)
            if row is not None and row.course_session_id is not None:
                found[self.position_of[row.course_session_id]] = change
        return found

    @cached_property
    def gone(self) -> frozenset[int]:
        """The sessions whose visit ends without counting: they are planned again."""
        return frozenset(place for place, change in self.changed.items() if change.action != "move")

    @cached_property
    def fixed(self) -> frozenset[int]:
        """The sessions that stay where they are whatever it costs: over, under way, or pinned."""
        return frozenset(
            place
            for place, row in self.standing.items()
            if place not in self.changed
            and (
                row.course_session_id in self.pinned
                or place in self.held
                or row.status not in lifecycle.OPEN
                or row.starts_at <= self.now
            )
        )

    @cached_property
    def unfit(self) -> frozenset[int]:
        """The sessions whose visit does not suit the patient any more: they are to be moved, if they can be."""
        return frozenset({each.index for each in self.view.unfit} - self.fixed - self.changed.keys())

    @cached_property
    def served_by_others(self) -> frozenset[int]:
        """Those of them that the patient only wants to be served by somebody else."""
        return self.unfit & {each.index for each in self.view.unfit if each.code == OTHER_PEOPLE}

    @property
    def undosed(self) -> list[Appointment]:
        """The living visits that end without a dose."""
        rows = [self.standing.get(place) for place, each in self.changed.items() if each.action == "not_dosed"]
        return [row for row in rows if row is not None]

    @property
    def last(self) -> int:
        """The last session that is planned: behind it nothing stands and nothing has changed."""
        return max([*self.standing, *self.changed], default=-1)

    def ignored(self) -> list[UUID]:
        """The appointments whose time counts as free: they end, or may be moved."""
        return [row.id for place, row in self.standing.items() if place not in self.fixed]


def read(
    session: Session, call: Call, course_id: UUID, changes: Sequence[Change], pinned: Collection[UUID] = ()
) -> Case:
    """The course with its visits, the gone ones too. Raises as `propose` does, for changes that cannot be."""
    view = courses.get(session, call, course_id)
    courses.require_running(view.row)
    wanted = select(Appointment).where(
        Appointment.organization_id == call.organization_id, Appointment.course_id == course_id
    )
    rows = {row.id: row for row in session.scalars(wanted)}
    case = Case(view, rows, tuple(changes), frozenset(pinned), call.now)
    faults = [*_faults(case), *_wrong_pins(case, pinned)]
    refuse(faults)
    for change in changes:
        check(call, rows[change.appointment_id], change.action)
    if case.last < 0:
        raise Invalid([Fault("/changes", "nothing_to_plan", "No session of the course has a visit.")])
    return case


def allowed(session: Session, call: Call, case: Case, by: Initiator) -> Case:
    """The case with what that initiator may not have moved held where it is.

    Raises Refused (`cutoff`, `too_many_changes`) for a change of which it is too late, with who may still grant it.
    """
    in_force = policies.current(session, call)
    reasons = [
        replace(reason, detail=f"{reason.detail}{_granted(in_force, call, row, change.action, by)}")
        for change in case.changes
        if (row := case.rows[change.appointment_id]).starts_at != change.start
        for reason in _against(in_force, call, row, change.action, by)
    ]
    if reasons:
        raise Refused(reasons)
    held = {place for place, row in case.standing.items() if _against(in_force, call, row, "move", by)}
    return replace(case, held=frozenset(held - case.changed.keys()))


def refusal_of(session: Session, call: Call, case: Case, moved: Collection[int], by: Initiator) -> Refused:
    """Why that initiator may not have these moved, which there is no plan without moving, and who may."""
    in_force = policies.current(session, call)
    found = []
    for place in sorted(case.held.intersection(moved)):
        row = case.standing[place]
        when = to_local(row.starts_at, row.time_zone)
        who = _granted(in_force, call, row, "move", by)
        for reason in _against(in_force, call, row, "move", by):
            said = f"The visit on {when:%d %B %Y} would have to move as well. {reason.detail}{who}"
            found.append(replace(reason, detail=said))
    return Refused(found)


def _against(in_force: Policies, call: Call, row: Appointment, action: Action, by: Initiator) -> tuple[Reason, ...]:
    """The policies against it. That somebody did not come, or got no dose, is no wish of anybody's."""
    if action not in {"cancel", "move"}:
        return ()
    change: Literal["cancel", "reschedule"] = "cancel" if action == "cancel" else "reschedule"
    return why_not_change(in_force, change, by, starts_at=row.starts_at, now=call.now, moves=row.moves)


def _granted(in_force: Policies, call: Call, row: Appointment, action: Action, by: Initiator) -> str:
    others: tuple[tuple[Initiator, str], ...] = (("staff", "Staff"), ("clinic", "The clinic"))
    who = next((said for each, said in others if each != by and not _against(in_force, call, row, action, each)), None)
    return f" {who} may still do it." if who else ""


def check(call: Call, row: Appointment, action: Action) -> bool:
    """Whether the visit is still to be changed; False when that has happened already. Raises IllegalTransition."""
    ended = {"cancel": "cancelled", "noshow": "noshow"}.get(action)
    if row.status == ended or (action == "not_dosed" and row.outcome == lifecycle.NOT_DOSED):
        return False
    lifecycle.after(_MOVES[action], row.status)
    if action == "noshow" and call.now < row.starts_at:
        raise IllegalTransition("The visit has not begun yet: until then it can only be cancelled.")
    why_not = why_not_undosed(times_of(row), row.time_zone, call.now) if action == "not_dosed" else None
    if why_not is not None:
        raise IllegalTransition(why_not)
    return True


def _faults(case: Case) -> Iterator[Fault]:
    seen: set[UUID] = set()
    for place, change in enumerate(case.changes):
        where, row = f"/changes/{place}", case.rows.get(change.appointment_id)
        if row is None or row.course_session_id is None:
            yield Fault(f"{where}/appointment_id", "unknown_appointment", "The course has no such visit.")
        elif row.course_session_id in seen:
            yield Fault(f"{where}/appointment_id", "twice", "Another change is about the same session.")
        else:
            seen.add(row.course_session_id)
        yield from _start_faults(change, where)


def check_starts(_: Call, changes: Sequence[Change]) -> None:
    """Raises Invalid for starts that no visit, or no such change, can have."""
    refuse([fault for place, change in enumerate(changes) for fault in _start_faults(change, f"/changes/{place}")])


def _start_faults(change: Change, where: str) -> Iterator[Fault]:
    if change.start is not None and change.action != "move":
        yield Fault(f"{where}/start", "not_a_move", "Only a move has a start.")
    if change.start is not None and not on_grid(change.start):
        yield Fault(f"{where}/start", "not_on_grid", "Visits start on the five-minute grid.")


def _wrong_pins(case: Case, pinned: Collection[UUID]) -> Iterator[Fault]:
    changed = {key for key, place in case.position_of.items() if place in case.changed}
    for place, key in enumerate(pinned):
        if key not in case.position_of:
            yield Fault(f"/pinned/{place}", "unknown_session", "The course has no such session.")
        elif key in changed:
            yield Fault(f"/pinned/{place}", "changed_as_well", "A change is about this session: it cannot stay too.")
