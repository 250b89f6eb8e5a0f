"""Planning a running course anew around what has changed, with the least movement. Nothing is booked here.

The new plan is kept under a token; `rebooking` carries it out, with the changes that it answers, in one transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Literal
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from scheduler.core import lifecycle
from scheduler.core.call import Call
from scheduler.core.civil import on_grid, to_local
from scheduler.core.course import SessionSpec
from scheduler.core.easing import Rule, Scene, lifted, session_name
from scheduler.core.errors import Fault, IllegalTransition, Invalid
from scheduler.core.missed import Suggestion, suggestions
from scheduler.core.planner import Problem
from scheduler.core.planner.explain import feasible, least
from scheduler.core.site import valid_days
from scheduler.core.spacing import Booked
from scheduler.core.standing import Broken, broken
from scheduler.models import Appointment
from scheduler.services import courses, explaining, plans
from scheduler.services.courses import CourseView
from scheduler.services.planning import CoursePlan, Desk, Placed, problem_of, set_up, solve

Action = Literal["cancel", "move", "noshow", "not_dosed"]

#: What a visit is worth that stays: no wish of the protocol is worth moving one that need not be.
STAYING = 5_000
#: By how many days limits may be exceeded when nothing else is left: such sessions are shown as broken.
LATE = (1, 2, 3, 5, 7, 10, 14, 21, 28, 42)

_MOVES: Mapping[Action, str] = {
    "cancel": "cancel",
    "move": "reschedule",
    "noshow": "no-show",
    "not_dosed": "not-dosed",
}
_WHY: Mapping[Action, str] = {
    "cancel": "its visit is cancelled",
    "move": "it is asked to be moved",
    "noshow": "it was missed",
    "not_dosed": "no dose was given",
}


@dataclass(frozen=True)
class Change:
    """What happens to one visit of the course. `start` is where a move leads; None leaves that to the planner."""

    appointment_id: UUID
    action: Action
    start: datetime | None = None


@dataclass(frozen=True)
class Moved:
    """A session at its new time; `was` is None for one that had no visit."""

    session_id: UUID
    was: datetime | None
    start: datetime
    why: str


@dataclass(frozen=True)
class Replan:
    """What becomes of the course, and the token that makes it so. `kept` maps sessions to their starts."""

    token: str
    desk: Desk
    kept: Mapping[UUID, datetime]
    moved: tuple[Moved, ...]
    broken: tuple[Broken, ...]
    suggestions: tuple[Suggestion, ...]


@dataclass(frozen=True)
class Case:
    """A running course and what changes in it. Positions are those of sessions in the course."""

    view: CourseView
    rows: Mapping[UUID, Appointment]
    changes: tuple[Change, ...]
    pinned: frozenset[UUID]
    now: datetime

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
            key = self.rows[change.appointment_id].course_session_id
            if key is not None:
                found[self.position_of[key]] = change
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
            and (row.course_session_id in self.pinned or row.status not in lifecycle.OPEN or row.starts_at <= self.now)
        )

    @property
    def last(self) -> int:
        """The last session that is planned: behind it nothing stands and nothing has changed."""
        return max([*self.standing, *self.changed], default=-1)

    def ignored(self) -> list[UUID]:
        """The appointments whose time counts as free: they end, or may be moved."""
        return [row.id for place, row in self.standing.items() if place not in self.fixed]


def propose(
    session: Session,
    call: Call,
    course_id: UUID,
    changes: Sequence[Change],
    *,
    pinned: Collection[UUID] = (),
    by: str = "staff",
    minutes: int,
) -> Replan:
    """The course around these changes, moving as little as can be; gaps count from the last dose that was given.

    Where no plan keeps every limit, the least that goes beyond them, and what is then broken. Raises NotFound, Invalid,
    IllegalTransition, Refused (`on_hold`), NoFeasiblePlan.
    """
    case = read(session, call, course_id, changes, pinned)
    desk = _desk(session, call, case)
    plan, desk = _planned(session, call, case, desk)
    places = {each.spec.index: each for each in plan.sessions}
    moved = [each for each in places.values() if _is_new(case, each)]
    body = {
        "kind": "replan",
        "by": by,
        "changes": [
            {
                "appointment_id": str(c.appointment_id),
                "action": c.action,
                "start": c.start.isoformat() if c.start else None,
            }
            for c in changes
        ],
        "pinned": sorted(str(each) for each in pinned),
        "sessions": [plans.stored(each) for each in moved],
        "stands": {
            str(row.id): [row.status, row.sequence] for row in case.rows.values() if row.status in lifecycle.LIVE
        },
    }
    token = plans.store(session, call, course_id, body, minutes)
    session.flush()
    return _told(case, desk, moved, token)


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
    faults = [*_faults(case), *_unknown_pins(case)]
    if faults:
        raise Invalid(faults)
    for change in changes:
        check(call, rows[change.appointment_id], change.action)
    if case.last < 0:
        raise Invalid([Fault("/changes", "nothing_to_plan", "No session of the course has a visit.")])
    return case


def check(call: Call, row: Appointment, action: Action) -> bool:
    """Whether the visit is still to be changed; False when that has happened already. Raises IllegalTransition."""
    ended = {"cancel": "cancelled", "noshow": "noshow"}.get(action)
    if row.status == ended or (action == "not_dosed" and row.outcome == lifecycle.NOT_DOSED):
        return False
    lifecycle.after(_MOVES[action], row.status)
    if action == "noshow" and call.now < row.starts_at:
        raise IllegalTransition("The visit has not begun yet: until then it can only be cancelled.")
    if action == "not_dosed" and row.dosed_at is not None:
        raise IllegalTransition("A dose was recorded; undo that first if it was never given.")
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
        if change.start is not None and change.action != "move":
            yield Fault(f"{where}/start", "not_a_move", "Only a move has a start.")
        if change.start is not None and not on_grid(change.start):
            yield Fault(f"{where}/start", "not_on_grid", "Visits start on the five-minute grid.")


def _unknown_pins(case: Case) -> Iterator[Fault]:
    known = set(case.position_of)
    for place, key in enumerate(sorted(case.pinned)):
        if key not in known:
            yield Fault(f"/pinned/{place}", "unknown_session", "The course has no such session.")


def _desk(session: Session, call: Call, case: Case) -> Desk:
    """The planner's desk: what is over or pinned stands, what ends is away, the rest may move at a price."""
    wanted = [change.start for change in case.changes if change.start is not None]
    span = (min(wanted), max(wanted)) if wanted else None
    desk = set_up(session, call, case.view, ignoring=case.ignored(), span=span)
    loose = {place: booked for place, booked in desk.loose.items() if place not in case.changed}
    for place, change in case.changed.items():
        if change.start is not None:
            row = case.rows[change.appointment_id]
            day = to_local(change.start, desk.loaded.site.time_zone).date()
            loose[place] = Booked(day, change.start, change.start + (row.ends_at - row.starts_at))
    desk = replace(desk, specs=desk.specs[: case.last + 1], loose=loose)
    return _holding_on(case, desk)


def _holding_on(case: Case, desk: Desk) -> Desk:
    """What stands where nobody could book it today stays there: it was agreed once, and nobody asked to move it."""
    starts = {visit.session_id: visit.starts for visit in problem_of(desk).visits()}
    slot = desk.loaded.site.timeline.slot
    agreed = {
        place: booked
        for place, booked in desk.loose.items()
        if place not in case.changed
        and not starts[str(desk.session_id(desk.specs[place]))] >> slot(booked.starts_at) & 1
    }
    if not agreed:
        return desk
    in_time = {place: booked for place, booked in agreed.items() if not _too_late(desk.specs[place], booked)}
    for held in (in_time, agreed):  # a dose whose supply would be over by then moves, if it can
        kept = replace(
            desk,
            standing=dict(desk.standing) | held,
            loose={place: booked for place, booked in desk.loose.items() if place not in held},
        )
        if feasible(_Narrowed(case, kept).of(problem_of(kept))):
            return kept
    return desk


def _too_late(spec: SessionSpec, booked: Booked) -> bool:
    return spec.use_by is not None and booked.day > spec.use_by


def _planned(session: Session, call: Call, case: Case, desk: Desk) -> tuple[CoursePlan, Desk]:
    """The best plan, and the desk that it was made at: with limits widened by the least that leaves one."""
    narrowed = _Narrowed(case, desk)
    found = solve(desk, narrowed=narrowed.of)
    if found:
        return found[0], desk
    days = least(LATE, lambda more: feasible(narrowed.of(problem_of(_later(desk, more)))))
    found = solve(_later(desk, days), narrowed=narrowed.of) if days is not None else []
    if found:
        return found[0], desk
    planner = explaining.Planner(lambda it: narrowed.of(problem_of(it)), lambda it: solve(it, narrowed=narrowed.of))
    raise explaining.refusal(session, call, desk, planner)


def _later(desk: Desk, days: int) -> Desk:
    """The desk with longest gaps and phases that many days longer."""
    scene = Scene(desk.specs, {}, desk.loaded.site, desk.preferences)
    phases = {spec.span[0] for spec in desk.specs if spec.span is not None}
    rules = [Rule("gap_max", amount=days), *(Rule("phase_max", index=first, amount=days) for first in sorted(phases))]
    longer = lifted(scene, rules).specs
    return replace(desk, specs=tuple(a if a.hard else b for a, b in zip(desk.specs, longer, strict=True)))


@dataclass(frozen=True)
class _Narrowed:
    """The problem as the changes leave it."""

    case: Case
    desk: Desk
    _days: dict[int, int] = field(default_factory=dict)

    def of(self, problem: Problem) -> Problem:
        """What changes keeps off its old day, or goes where it was asked to; a talk that is over follows nothing."""
        place_of = {str(key): place for key, place in self.case.position_of.items()}
        pinned, mains = dict(problem.pinned), []
        for main in problem.mains:
            leaf = main.leaf
            again = place_of[main.session_id] in self.case.gone
            if leaf is not None and leaf.session_id in pinned and again:
                del pinned[leaf.session_id]
                leaf = None
            if leaf is not None:
                leaf = replace(leaf, starts=leaf.starts & self._left(place_of[leaf.session_id]))
            starts = main.starts & self._left(place_of[main.session_id])
            mains.append(replace(main, starts=starts, leaf=leaf))
        return replace(
            problem,
            mains=tuple(mains),
            pinned=pinned,
            booked={key: slot for key, slot in problem.booked.items() if key not in problem.pinned},
            weights=replace(problem.weights, moved=STAYING),
        )

    def _left(self, place: int) -> int:
        """The starts that the change of that session leaves to it."""
        if place not in self._days:
            self._days[place] = self._starts(self.case.changed.get(place))
        return self._days[place]

    def _starts(self, change: Change | None) -> int:
        if change is None:
            return -1
        site = self.desk.loaded.site
        if change.start is not None:
            return 1 << site.timeline.slot(change.start)
        day = self.case.rows[change.appointment_id].local_start[:10]
        return ~valid_days([{"valid_from": day, "valid_to": day}], site.time_zone, site.timeline)


def _is_new(case: Case, placed: Placed) -> bool:
    """Whether the session is not where it stands."""
    row = case.standing.get(placed.spec.index)
    return row is None or placed.spec.index in case.gone or row.starts_at != placed.start


def _told(case: Case, desk: Desk, moved: Sequence[Placed], token: str) -> Replan:
    new = {each.spec.index: each for each in moved}
    zone = desk.loaded.site.time_zone
    stands = {
        place: Booked(to_local(row.starts_at, zone).date(), row.starts_at, row.ends_at)
        for place, row in case.standing.items()
        if place not in case.gone
    } | {place: Booked(to_local(each.start, zone).date(), each.start, each.end) for place, each in new.items()}
    kept = {desk.session_id(spec): stands[spec.index].starts_at for spec in desk.specs if spec.index in stands}
    over = {place for place in case.fixed if case.standing[place].starts_at <= case.now}
    missed = {place for place, change in case.changed.items() if change.action in {"noshow", "not_dosed"}}
    return Replan(
        token=token,
        desk=desk,
        kept={key: start for key, start in kept.items() if case.position_of[key] not in new},
        moved=tuple(
            Moved(each.session_id, _was(case, place), each.start, _why(case, desk, place, new))
            for place, each in new.items()
        ),
        broken=tuple(broken(desk.specs, stands, over)),
        suggestions=tuple(suggestions(desk.specs, missed)),
    )


def _was(case: Case, place: int) -> datetime | None:
    if place in case.changed:
        return case.rows[case.changed[place].appointment_id].starts_at
    return case.standing[place].starts_at if place in case.standing else None


def _why(case: Case, desk: Desk, place: int, new: Mapping[int, Placed]) -> str:
    if place in case.changed:
        return _WHY[case.changed[place].action]
    if place not in case.standing:
        return "it had no visit"
    spec = next(each for each in desk.specs if each.index == place)
    if spec.anchor in new:
        anchor = next(each for each in desk.specs if each.index == spec.anchor)
        return (
            f"it {'follows' if spec.kind == 'leaf' else 'keeps its distance from'} {session_name(desk.specs, anchor)}"
        )
    return "it makes room for the others"
