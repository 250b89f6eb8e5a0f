"""Planning a running course anew around what has changed, with the least movement. Nothing is booked here.

The new plan is kept under a token; `rebooking` carries it out, with the changes that it answers, in one transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from uuid import UUID

from sqlalchemy.orm import Session

from scheduler.core import lifecycle
from scheduler.core.call import Call
from scheduler.core.civil import to_local
from scheduler.core.course import SessionSpec
from scheduler.core.gathering import OpenGroup, all_starts
from scheduler.core.missed import Suggestion, suggestions
from scheduler.core.planner import Problem
from scheduler.core.planner.explain import feasible
from scheduler.core.policies import Initiator
from scheduler.core.site import valid_days
from scheduler.core.spacing import Booked
from scheduler.core.standing import Broken, broken
from scheduler.services import allowances, courses, explaining, opening_days, plans
from scheduler.services.allowances import Allowances
from scheduler.services.course_changes import Action, Case, Change, allowed, read, refusal_of
from scheduler.services.course_span import Look
from scheduler.services.pins import Pin, dropped, pins_of
from scheduler.services.planning import CoursePlan, Desk, Placed, finer, set_up, solve_eased, solve_either
from scheduler.services.problems import ROW_MINUTES, moving_least, rules_of, within
from scheduler.services.visit_day import left_of

_WHY: Mapping[Action, str] = {
    "cancel": "its visit is cancelled",
    "move": "it is asked to be moved",
    "noshow": "it was missed",
    "not_dosed": "no dose was given",
}


@dataclass(frozen=True)
class Moved:
    """A session at its new time; `was` is None for one that had no visit, `group` the one that it joins, if any.

    `dropped` are those whom its visit was booked with by name and would not have any more.
    """

    session_id: UUID
    was: datetime | None
    start: datetime
    group: OpenGroup | None
    why: str
    dropped: tuple[UUID, ...] = ()


@dataclass(frozen=True)
class Replan:
    """What becomes of the course, and the token that makes it so. `kept` maps sessions to their starts."""

    token: str
    desk: Desk
    kept: Mapping[UUID, datetime]
    moved: tuple[Moved, ...]
    broken: tuple[Broken, ...]
    suggestions: tuple[Suggestion, ...]


def propose(
    session: Session,
    call: Call,
    course_id: UUID,
    changes: Sequence[Change],
    *,
    pinned: Collection[UUID] = (),
    by: Initiator = "staff",
    minutes: int,
) -> Replan:
    """The course around these changes, moving as little as can be; gaps count from the last dose that was given.

    Where no plan keeps every limit, the least that goes beyond them, and what is then broken. Raises NotFound, Invalid,
    IllegalTransition, Refused (`on_hold`, and `cutoff` or `too_many_changes` for what `by` may not have changed),
    NoFeasiblePlan.
    """
    case = allowed(session, call, read(session, call, course_id, changes, pinned), by)
    desk, plan, beyond = _planned(session, call, case, by)
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
        "sessions": [plans.stored(desk, each) for each in moved],
        "beyond": allowances.stored(beyond),
        "stands": {
            str(row.id): [row.status, row.sequence] for row in case.rows.values() if row.status in lifecycle.LIVE
        },
    }
    token = plans.store(session, call, course_id, body, minutes)
    session.flush()
    return _told(call, case, desk, moved, token)


def asked_by(desk: Desk, call: Call, by: Initiator) -> Desk:
    """The desk with the lead time and the horizon of whoever asks; what stands beyond them stays where it is."""
    earliest, latest = desk.loaded.policies.starts(call.now, by)
    return replace(desk, loaded=replace(desk.loaded, site=replace(desk.loaded.site, earliest=earliest, latest=latest)))


def _desk(session: Session, call: Call, case: Case, by: Initiator, look: Look) -> Desk:
    """The planner's desk: what is over or pinned stands, what ends is away, the rest may move at a price."""
    wanted = [change.start for change in case.changes if change.start is not None]
    span = (min(wanted), max(wanted)) if wanted else None
    left = left_of(session, call, case.undosed, call.now)
    around = set_up(session, call, case.view, ignoring=case.ignored(), left=left, span=span, look=look)
    desk = asked_by(around, call, by)
    loose = {place: booked for place, booked in desk.loose.items() if place not in case.changed}
    for place, change in case.changed.items():
        if change.start is not None:
            row = case.rows[change.appointment_id]
            day = to_local(change.start, desk.loaded.site.time_zone).date()
            loose[place] = Booked(day, change.start, change.start + (row.ends_at - row.starts_at))
    desk = replace(desk, specs=desk.specs[: case.last + 1], loose=loose, promised=_promised(case))
    return _holding_on(case, desk)


def _promised(case: Case) -> dict[int, tuple[Pin, ...]]:
    return {place: pins_of(row) for place, row in case.standing.items() if row.pins and place not in case.gone}


def _holding_on(case: Case, desk: Desk) -> Desk:
    """What stands where nobody could book it today stays there: it was agreed once, and nobody asked to move it.

    A visit that does not suit the patient any more moves if it can, and stays where it is if it can't.
    """
    starts = {visit.session_id: visit.starts for visit in rules_of(desk).visits()}
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
        kept = _with(desk, _without_unfit(case, desk, held))
        if _is_possible(case, kept):
            return kept
    return desk


def _without_unfit(case: Case, desk: Desk, held: dict[int, Booked]) -> dict[int, Booked]:
    """Those without the ones that do not suit: all of these at once, or else as many as can move, one by one."""
    free = sorted(held.keys() & case.unfit)
    for some in (free, *([each] for each in free)) if free else ():
        left = {place: booked for place, booked in held.items() if place not in some}
        held = left if _is_possible(case, _with(desk, left)) else held
    return held


def _is_possible(case: Case, desk: Desk) -> bool:
    return feasible(_Narrowed(case, desk).of(rules_of(finer(desk))), first=ROW_MINUTES)


def _with(desk: Desk, held: Mapping[int, Booked]) -> Desk:
    """The desk with these where they stand, for good."""
    loose = {place: booked for place, booked in desk.loose.items() if place not in held}
    return replace(desk, standing={**desk.standing, **held}, loose=loose)


def _too_late(spec: SessionSpec, booked: Booked) -> bool:
    return spec.use_by is not None and booked.day > spec.use_by


def _planned(session: Session, call: Call, case: Case, by: Initiator) -> tuple[Desk, CoursePlan, Allowances]:
    """The best plan, and which limits it may exceed by how much: those that must be, by the least that leaves one."""
    desk = _desk(session, call, case, by, "whole")
    found = solve_either(desk, _Narrowed(case, desk).of)
    if found:
        return desk, found[0], ()
    _refuse_held(session, call, case, by)
    desk = _desk(session, call, case, by, "far")
    narrowed = _Narrowed(case, desk)
    starts = cache(lambda code: all_starts(desk.kinds[code].demand, desk.clinic(desk.kinds[code])))

    def possible(some: Allowances) -> bool:
        return feasible(narrowed.of(rules_of(finer(allowances.widened(desk, some)), starts)), first=ROW_MINUTES)

    for beyond in allowances.enough(desk, possible):
        found = solve_either(allowances.widened(desk, beyond), narrowed.of)
        if found:
            return desk, found[0], beyond
    planner = explaining.Planner(
        lambda it, starts: narrowed.of(rules_of(it, starts)),
        lambda it: solve_eased(it, narrowed.of),
        narrowed.left,
        grants=False,
    )
    raise explaining.refusal(session, call, finer(desk), planner)


def _refuse_held(session: Session, call: Call, case: Case, by: Initiator) -> None:
    """Raises Refused where a plan keeps every limit that moves what `by` may not have moved."""
    if not case.held:
        return
    free = replace(case, held=frozenset())
    desk = _desk(session, call, free, by, "whole")
    found = solve_either(desk, _Narrowed(free, desk).of)
    if found:
        moved = [each.spec.index for each in found[0].sessions if _is_new(free, each)]
        raise refusal_of(session, call, case, moved, by)


@dataclass(frozen=True)
class _Narrowed:
    """The problem as the changes leave it."""

    case: Case
    desk: Desk
    _days: dict[int, int] = field(default_factory=dict)

    def of(self, problem: Problem) -> Problem:
        """What changes keeps off its old day, or goes where it was asked to."""
        place_of = {str(key): place for key, place in self.case.position_of.items()}
        mains = []
        for main in problem.mains:
            leaf = main.leaf
            if leaf is not None:
                leaf = replace(leaf, starts=within(leaf.starts, self.left(place_of[leaf.session_id])))
            starts = within(main.starts, self.left(place_of[main.session_id]))
            mains.append(replace(main, starts=starts, leaf=leaf))
        booked = {key: slot for key, slot in problem.booked.items() if key not in problem.pinned}
        least = moving_least(replace(problem, mains=tuple(mains), booked=booked))
        return replace(least, weights=replace(least.weights, dropped=self._dropping(least)))

    @staticmethod
    def _dropping(problem: Problem) -> int:
        """What a promise is worth that a visit loses: all of them together less than another visit that moves."""
        promises = sum(len(visit.levels.get("dropped", ())) for visit in problem.visits())
        return min(problem.weights.dropped, (problem.weights.moved - 1) // (promises + 1))

    def left(self, place: int) -> int:
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
    """Whether the session is not where it stands, or others are to serve it there."""
    place = placed.spec.index
    row = case.standing.get(place)
    return row is None or place in case.gone or row.starts_at != placed.start or place in case.served_by_others


def _told(call: Call, case: Case, desk: Desk, moved: Sequence[Placed], token: str) -> Replan:
    new = {each.spec.index: each for each in moved}
    zone = desk.loaded.site.time_zone
    stay = {place: stood for place, stood in case.view.stands.items() if place not in case.gone and place not in new}
    going = {place: Booked(to_local(each.start, zone).date(), each.start, each.end) for place, each in new.items()}
    stands = stay | going
    over = {place for place in case.fixed if case.standing[place].starts_at <= case.now}
    unclosed = courses.unclosed(case.view, call) - case.changed.keys()
    missed = {place for place, change in case.changed.items() if change.action in {"noshow", "not_dosed"}}
    return Replan(
        token=token,
        desk=desk,
        kept={desk.session_id(spec): case.standing[spec.index].starts_at for spec in desk.specs if spec.index in stay},
        moved=tuple(
            Moved(
                each.session_id,
                _was(case, place),
                each.start,
                each.group,
                _why(case, desk, place, new),
                _dropped(case, each),
            )
            for place, each in new.items()
        ),
        broken=tuple(broken(desk.specs, stands, over, opening_days.at_site(desk.specs, desk.loaded.site), unclosed)),
        suggestions=tuple(suggestions(desk.specs, desk.protocol.missed, missed)),
    )


def _dropped(case: Case, placed: Placed) -> tuple[UUID, ...]:
    place = placed.spec.index
    row = None if place in case.gone else case.standing.get(place)
    people = {taking.resource_id for taking in placed.takings if not taking.pool}
    return dropped(row, people) if row is not None else ()


def _was(case: Case, place: int) -> datetime | None:
    if place in case.changed:
        return case.rows[case.changed[place].appointment_id].starts_at
    return case.standing[place].starts_at if place in case.standing else None


def _why(case: Case, desk: Desk, place: int, new: Mapping[int, Placed]) -> str:
    if place in case.changed:
        return _WHY[case.changed[place].action]
    if place not in case.standing:
        return "it had no visit"
    if place in case.unfit:
        return "it does not suit the patient any more"
    if place in {each.index for each in case.view.broken}:
        return "it stood outside its protocol"
    spec = next(each for each in desk.specs if each.index == place)
    if spec.anchor in new:
        anchor = next(each for each in desk.specs if each.index == spec.anchor)
        return f"it {'follows' if spec.kind == 'leaf' else 'keeps its distance from'} {anchor.name}"
    return "it makes room for the others"
