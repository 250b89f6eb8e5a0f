"""Planning a course against the real calendar: `core/planner` searches, here its problem is built from rows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import cast
from uuid import UUID

from sqlalchemy.orm import Session

from scheduler.core.availability import Clinic, Taking, assign
from scheduler.core.bar import Bar
from scheduler.core.bitmap import SLOT_MINUTES, Timeline
from scheduler.core.call import Call
from scheduler.core.course import SessionSpec
from scheduler.core.doses import Dose, dose_bars
from scheduler.core.errors import Fault, Invalid
from scheduler.core.gathering import OpenGroup, begun, joined
from scheduler.core.planner import Discord, Plan, Problem
from scheduler.core.planner import alternatives as planned_alternatives
from scheduler.core.planner.explain import feasible
from scheduler.core.planner.glance import ruled_out
from scheduler.core.preferences import CoursePreferences
from scheduler.core.protocol import Protocol
from scheduler.core.serving import Visit, serve
from scheduler.core.site import Site
from scheduler.core.spacing import Booked
from scheduler.core.standing import wanted
from scheduler.services import continuity, course_rules, courses, explaining, group_places, plan_groups
from scheduler.services.busy import Left
from scheduler.services.calendars import Loaded, load
from scheduler.services.catalog import Kind, visit_kinds
from scheduler.services.course_span import Look, extent_of, layout_of, none_later
from scheduler.services.doses import doses_among
from scheduler.services.locks import take_time
from scheduler.services.pins import Pin, pins_of
from scheduler.services.plan_groups import ByRole, Groups, by_role, by_role_in
from scheduler.services.problems import (
    ROW_MINUTES,
    clinics_of,
    days_seen,
    problem_of,
    rows_of,
    rules_of,
    weights_of,
)

#: How far is looked, in turn: the next time only where that did not tell.
_LOOKS: tuple[Look, ...] = ("first", "near", "far")
#: The work after which a search that need not prove anything ends, in thousands of points: seldom over 50 ms of CPU.
EFFORT = 2_000
#: How a gate was decided that lets through.
_OPEN = frozenset({"passed", "waived"})


@dataclass(frozen=True)
class Placed:
    """One session of a plan: when, and who serves."""

    spec: SessionSpec
    session_id: UUID
    start: datetime
    end: datetime
    takings: tuple[Taking, ...]
    #: The appointment that is pencilled there already, and only to be confirmed.
    pencilled: UUID | None = None
    #: The group that it joins: nobody else is taken up then.
    group: OpenGroup | None = None
    #: Role to whoever takes it, without those who are merely present.
    served: ByRole = field(default_factory=dict)

    def attended(self, timeline: Timeline) -> tuple[Taking, ...]:
        """Who and what serves, whoever of a group takes that up."""
        return self.takings if self.group is None else plan_groups.attending(self.group, timeline)


@dataclass(frozen=True)
class CoursePlan:
    """A plan with its people: sessions in order of time, the cost and its parts."""

    plan: Plan
    sessions: tuple[Placed, ...]


@dataclass(frozen=True)
class Desk:
    """Everything one course's planning looks at."""

    course: courses.CourseView
    protocol: Protocol
    specs: tuple[SessionSpec, ...]
    kinds: Mapping[str, Kind]
    #: The same with those that it has no session of.
    every: Mapping[str, Kind]
    loaded: Loaded
    preferences: CoursePreferences
    standing: Mapping[int, Booked]
    #: Who serves each session that stands, by position and role.
    serving: Mapping[int, Mapping[str, Collection[UUID]]]
    #: The patient's doses, in this course and elsewhere, if it has any to give.
    doses: tuple[Dose, ...] = ()
    #: Where the sessions stand that may be moved, by position: at a price, so that the best plan moves least.
    loose: Mapping[int, Booked] = field(default_factory=dict)
    #: Whether every lawful plan lies within the time that is looked at.
    is_whole: bool = False
    #: Starts are looked for at these minutes of the clock.
    row_minutes: int = ROW_MINUTES
    #: The groups with a free place.
    groups: Groups = field(default_factory=dict)
    #: Whom and what the visits of sessions were booked with by name, by position: losing them has a price.
    promised: Mapping[int, tuple[Pin, ...]] = field(default_factory=dict)

    @property
    def wanted(self) -> tuple[SessionSpec, ...]:
        """The sessions without those that are lost for good."""
        return wanted(self.specs, self.standing, self.loaded.site.now)

    @cached_property
    def site(self) -> Site:
        """The location's calendars, with the patient's wishes as bars."""
        site = self.loaded.site
        # A clinical hold stops booking, not planning: it may be released by then.
        wishes = self.preferences.bars(site.timeline, site.time_zone)
        return replace(site, further=wishes, on_hold=None, region=self.preferences.patient_region)

    def dose_bars(self, kind: Kind) -> tuple[Bar, ...]:
        """The starts that the patient's doses, in this course and elsewhere, forbid to such a visit."""
        site = self.loaded.site
        return dose_bars(kind.visit, self.doses, site.timeline, site.time_zone)

    def clinic(self, kind: Kind) -> Clinic:
        """What planning such a visit sees: wishes and doses, but no clearance, which may still come."""
        site = self.site
        return self.with_groups(
            kind,
            replace(site, further=(*site.further, *self.dose_bars(kind))).clinic(
                kind.visit, kind.demand, cleared=False
            ),
        )

    def with_groups(self, kind: Kind, clinic: Clinic) -> Clinic:
        """The clinic as such a visit sees it, and the groups that it may join."""
        groups = self.groups.get(kind.visit.code)
        return replace(clinic, groups=begun(groups, kind.visit, kind.demand, self.site)) if groups else clinic

    def session_id(self, spec: SessionSpec) -> UUID:
        """The stored session of a spec."""
        return self.course.sessions[spec.index].id


def make_plans(
    session: Session, call: Call, course_id: UUID, *, count: int = 1, through: str = "next_gate", proven: bool = True
) -> tuple[Desk, list[CoursePlan]]:
    """Up to `count` truly different plans for what is not booked yet, the best by the stated cost first.

    `through` is `next_gate` or `all`. Without `proven` the search for each ends early, and says so. Raises NotFound,
    IllegalTransition or Refused for a course that has ended or is on hold, and NoFeasiblePlan with what blocks it.
    """
    course = courses.get(session, call, course_id)
    courses.require_running(course.row)
    if course.kinds is None:  # read once, however far is looked
        course = replace(course, kinds=visit_kinds(session, call))
    plans: list[CoursePlan] = []
    is_ruled_out = False
    for look in _LOOKS if count == 1 else _LOOKS[1:]:
        desk = set_up(session, call, course, through=through, look=look)
        waiting = to_confirm(desk)
        if all(spec.index in desk.standing for spec in desk.wanted):
            if waiting:
                return desk, [CoursePlan(Plan((), 0, {}, {}), waiting)]
            raise Invalid([Fault("/through", "nothing_to_plan", _nothing_left(course, through))])
        plans = plans if is_ruled_out else solve(desk, count, effort=None if proven else EFFORT)
        is_ruled_out = desk.is_whole and not plans
        if plans and (desk.is_whole or none_later(plans[0].plan, weights_of(desk), days_seen(desk), desk.specs)):
            break
    if not plans:
        plans = solve_finer(desk, count, effort=None if proven else EFFORT)
    if not plans:
        raise explaining.refusal(session, call, finer(desk), explaining.Planner(rules_of, solve_eased))
    return desk, [replace(plan, sessions=_by_start((*plan.sessions, *waiting))) for plan in plans]


def _nothing_left(course: courses.CourseView, through: str) -> str:
    """Why there is nothing to plan, and what has to be done before there is."""
    closed = [gate for gate in course.gates if gate.kind == "hard" and gate.outcome not in _OPEN]
    if through == "all" or not closed:
        return "Every session up to there is booked."
    name = min(closed, key=lambda gate: gate.after_position).key.replace("_", " ")
    return f"Every session up to the gate '{name}' is booked: what follows is planned once it is passed, or for all."


def to_confirm(desk: Desk) -> tuple[Placed, ...]:
    """The pencilled visits whose gates have all been passed since: booking a plan confirms them where they stand."""
    passed = {gate.key for gate in desk.course.gates if gate.outcome in _OPEN}
    found = []
    for spec in desk.specs:
        row = desk.course.booked.get(desk.session_id(spec))
        ahead = row is not None and row.status == "pending" and row.starts_at > desk.loaded.site.now
        if row is not None and ahead and passed.issuperset(spec.gates):
            found.append(Placed(spec, desk.session_id(spec), row.starts_at, row.ends_at, (), pencilled=row.id))
    return _by_start(found)


def _by_start(placed: Iterable[Placed]) -> tuple[Placed, ...]:
    return tuple(sorted(placed, key=lambda each: (each.start, each.spec.index)))


def solve(
    desk: Desk,
    count: int = 1,
    narrowed: Callable[[Problem], Problem] = lambda it: it,
    *,
    effort: int | None = None,
    glance: bool = False,
) -> list[CoursePlan]:
    """Up to `count` plans for what does not stand, the best first, with someone for every need; none if none exists.

    `narrowed` takes away from the problem what the caller does not want. A `glance` at the days comes first where most
    problems have no plan.
    """
    clinics = clinics_of(desk)
    problem = narrowed(problem_of(desk, clinics))
    if glance and ruled_out(problem):
        return []
    while True:
        found = [_peopled(desk, clinics, plan) for plan in planned_alternatives(problem, count, effort=effort)]
        # Two visits of one day may want the same room: rare, and seen only with people. Then that pair of starts, and
        # nothing else, is taken out, so that no plan is lost.
        discords = [each for each in found if isinstance(each, frozenset)]
        unserved = [each for each in found if isinstance(each, continuity.Unserved)]
        if not discords and not unserved:
            return [each for each in found if isinstance(each, CoursePlan)]
        for each in unserved:
            problem = continuity.without(problem, desk, clinics, each)
        problem = replace(problem, discords=(*problem.discords, *dict.fromkeys(discords)))


def finer(desk: Desk) -> Desk:
    """The desk with every start that can be booked, and not those on the quarters of the hour alone.

    No course is said to have no plan before these were looked at.
    """
    return replace(desk, row_minutes=SLOT_MINUTES)


def solve_finer(
    desk: Desk,
    count: int = 1,
    narrowed: Callable[[Problem], Problem] = lambda it: it,
    *,
    effort: int | None = None,
) -> list[CoursePlan]:
    """`solve` between the quarters of the hour too: for a course that has no plan on them, and mostly none at all."""
    fine = finer(desk)
    if rows_of(desk) == rows_of(fine) or not feasible(narrowed(rules_of(fine))):
        return []
    return solve(fine, count, narrowed, effort=effort)


def solve_either(
    desk: Desk,
    narrowed: Callable[[Problem], Problem] = lambda it: it,
    *,
    effort: int | None = None,
    glance: bool = False,
) -> list[CoursePlan]:
    """The best plan on the quarters of the hour, and where there is none on them, that between them."""
    found = solve(desk, 1, narrowed, effort=effort, glance=glance)
    return found or solve_finer(desk, 1, narrowed, effort=effort)


def solve_eased(desk: Desk, narrowed: Callable[[Problem], Problem] = lambda it: it) -> list[CoursePlan]:
    """The plan of a `finer` desk whose rules were eased: on the quarters of the hour where there is one, as ever."""
    return solve_either(replace(desk, row_minutes=ROW_MINUTES), narrowed, glance=True)


def people(desk: Desk, plan: Plan) -> CoursePlan | None:
    """That plan with someone for every need; None where there is not."""
    found = _peopled(desk, clinics_of(desk), plan)
    return found if isinstance(found, CoursePlan) else None


def set_up(
    session: Session,
    call: Call,
    course: courses.CourseView,
    *,
    through: str = "all",
    ignoring: Collection[UUID] = (),
    restaffing: Collection[UUID] = (),
    left: Sequence[Left] = (),
    span: tuple[datetime, datetime] | None = None,
    look: Look = "far",
) -> Desk:
    """Read what planning this course needs, in a constant number of statements.

    `ignoring` are appointments whose occupancies do not count, but for what is `left`: those of this course may be
    moved. Nor do those of `restaffing`, which stay at their time: what becomes of them is the caller's affair. `span`
    widens the time that is looked at, which `look` chooses.
    """
    if look != "standing":
        take_time(session)
    layout = layout_of(session, call, course, through=through, ignoring=ignoring)
    extent = extent_of(call, course, layout, look)
    spans = [(extent.start, extent.end), *([span] if span is not None else [])]
    start, end = min(each[0] for each in spans), max(each[1] for each in spans)
    where, who, away = course.row.location_id, course.row.patient_id, tuple(ignoring)
    moving = [row for row in course.booked.values() if row.id in ignoring and row.group_id is not None]
    # What these carry for a group goes on without them.
    staying = group_places.carried_for_others(session, call, moving)
    kinds = {code: layout.kinds[code] for code in dict.fromkeys(spec.visit_type for spec in layout.specs)}
    dosing = any(kind.visit.kind == "dosing" for kind in kinds.values())
    loaded = load(
        session,
        call,
        location_id=where,
        start=start,
        end=end,
        patient_id=who,
        ignoring=(*(each for each in away if each not in staying), *restaffing),
        left=left,
        dosing=dosing,
        since=call.now,  # what is over stands in the course itself, and the patient's doses are read besides
    )
    return Desk(
        course=course,
        protocol=layout.protocol,
        specs=layout.specs,
        kinds=kinds,
        every=layout.kinds,
        loaded=plan_groups.without_patient(loaded, [row for row in moving if row.id in staying]),
        preferences=course_rules.wishes_of(course.row),
        standing={index: place for index, place in layout.standing.items() if index not in layout.loose},
        serving=course_rules.serving(session, call, course.id) if layout.standing else {},
        doses=doses_among(loaded.visits, away),
        loose={index: place for index, place in layout.standing.items() if index in layout.loose},
        is_whole=extent.is_whole,
        groups=plan_groups.joinable_by(session, call, where, kinds, loaded.site.timeline, moving),
    )


def _promised(desk: Desk, plan: Plan) -> list[UUID]:
    """Whom and what the visits that move were booked with by name."""
    rows = (desk.course.booked.get(UUID(session_id)) for session_id, _ in plan.starts)
    return [pin.resource_id for row in rows if row is not None for pin in pins_of(row)]


def _peopled(desk: Desk, clinics: Mapping[str, Clinic], plan: Plan) -> CoursePlan | Discord | continuity.Unserved:
    """The plan with someone for every need, the same people as far as possible; or starts that cannot be together.

    Where the same people are required, nobody else serves, and a visit may be one that they cannot serve.
    """
    timeline = desk.loaded.site.timeline
    by_id = {str(desk.session_id(spec)): spec for spec in desk.specs}
    primaries = cast("Mapping[str, UUID]", plan.primaries)
    prefer = [*continuity.preferred(desk, primaries), *_promised(desk, plan)]
    starts = [(by_id[session_id], slot) for session_id, slot in plan.starts]
    starts = [(spec, slot) for spec, slot in starts if spec.index not in desk.standing]
    kinds = [desk.kinds[spec.visit_type] for spec, _ in starts]
    if continuity.is_required(desk):
        bound = {code: continuity.by_plan(desk, desk.kinds[code].demand, primaries) for code in clinics}
        clinics = {code: replace(clinic, bound=bound[code]) for code, clinic in clinics.items()}
    groups = [
        joined(kind.demand, clinics[spec.visit_type], slot, prefer)
        for kind, (spec, slot) in zip(kinds, starts, strict=True)
    ]
    alone = [place for place, group in enumerate(groups) if group is None]  # those who take up people of their own
    visits = [Visit(kinds[place].demand, clinics[starts[place][0].visit_type], starts[place][1]) for place in alone]
    for visit, place in zip(visits, alone, strict=True):
        if visit.clinic.bound and assign(visit.demand, visit.clinic, visit.slot, prefer) is None:
            return continuity.Unserved(starts[place][0].visit_type, primaries)
    served = serve(visits, prefer)
    if isinstance(served, frozenset):
        some = [starts[alone[place]] for place in served]
        return frozenset((str(desk.session_id(spec)), slot) for spec, slot in some)
    takings = dict(zip(alone, served, strict=True))
    placed = []
    for place, (kind, (spec, slot), group) in enumerate(zip(kinds, starts, groups, strict=True)):
        start, taken = timeline.instant(slot), takings.get(place, ())
        end = start + timedelta(minutes=kind.visit.minutes)
        who = by_role(taken) if group is None else by_role_in(group, kind.demand, timeline)
        placed.append(Placed(spec, desk.session_id(spec), start, end, taken, group=group, served=who))
    return CoursePlan(plan, tuple(placed))
