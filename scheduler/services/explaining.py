"""Why a course cannot be planned, and what would help: every change that is offered was planned with before.

Which rules there are and how they read is `core/easing`; which are to blame is found by `core/planner/explain`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.civil import to_local
from scheduler.core.course import SessionSpec
from scheduler.core.easing import (
    AMOUNTS,
    LIMITS,
    WHO,
    Rule,
    Scene,
    Spoken,
    brief,
    finer,
    granted,
    lifted,
    rules_of,
    said,
)
from scheduler.core.easing.brief import WISHES
from scheduler.core.easing.dated import limited
from scheduler.core.easing.rules import DATED, coarse
from scheduler.core.easing.starts import LiftedStarts
from scheduler.core.easing.using import Planned, dates_used, exceeded
from scheduler.core.easing.words import BARE
from scheduler.core.errors import NoFeasiblePlan
from scheduler.core.planner import Problem, blocked
from scheduler.core.planner.explain import bare, conflict, correction, feasible, least
from scheduler.models import Resource
from scheduler.services import opening_days
from scheduler.services.problems import ROW_MINUTES

if TYPE_CHECKING:
    from scheduler.services.planning import CoursePlan, Desk
    from scheduler.services.problems import StartsOf

#: More changes than this at once are no help to anybody.
MOST_CHANGES = 4
#: Whoever asks leaves every start to a session.
EVERY_START = -1
#: What is said of all of a pool, without dates of its own.
_OF_POOLS = ("off_duty", "resource_busy")


@dataclass(frozen=True)
class Planner:
    """How a desk is turned into a problem, and into plans with people; `planning` lends both.

    The problem is that of the rules alone, with starts that are known; `left` are the starts that whoever asks leaves
    to a session, by its place in the course. `grants` says whether a change can be granted to
    the course alone: a grant is for a course that has no plan, and not for what is booked and planned anew.
    """

    problem_of: Callable[[Desk, StartsOf], Problem]
    solve: Callable[[Desk], list[CoursePlan]]
    left: Callable[[int], int] = lambda _: EVERY_START
    grants: bool = True


def refusal(session: Session, call: Call, desk: Desk, planner: Planner) -> NoFeasiblePlan:
    """The refusal of a course for which no plan exists, with a minimal set of rules in the way and verified changes.

    The set is minimal: with every other rule lifted there is no plan, and without any one of them as well there is one.
    Where the course has no plan even then, that is said of its beginning up to the first session that cannot be placed.
    The easiest change to be granted comes first. Raises LostRace where the calendars have to be looked at again.
    """
    desk.loaded.require_whole(call)
    case = _Case(desk, planner)
    rules = case.to_blame()
    offers = case.offers(rules) if rules else []
    told = [*rules, *(rule for changes, _ in offers for rule in changes)]
    names = _names(session, call, {rule.resource_id for rule in told if rule.resource_id is not None})
    before = case.of_those_before(rules)
    blocking = [case.block(rule, names, before) for rule in rules] or [case.bare_block()]
    relaxations = [case.relaxation(changes, plan, names) for changes, plan in offers]
    reasons = case.in_brief(rules, names, before) if rules else blocking[0]["detail"]
    detail = f"No plan exists: {case.name_of_blocked} ⇄ {reasons}."
    return NoFeasiblePlan(
        detail,
        blocking=blocking,
        relaxations=relaxations,
        changes=[case.kept(changes, plan) for changes, plan in offers],
        of_one_course=planner.grants,
    )


def _names(session: Session, call: Call, ids: Collection[UUID]) -> Mapping[UUID, str]:
    """The names of staff and things; a patient is never among them."""
    if not ids:
        return {}
    wanted = select(Resource.id, Resource.name).where(
        Resource.organization_id == call.organization_id, Resource.id.in_(ids), Resource.kind != "patient"
    )
    return {row.id: row.name for row in session.execute(wanted)}


class _Case:
    """One course that has no plan."""

    def __init__(self, desk: Desk, planner: Planner) -> None:
        self._desk, self._planner = desk, planner
        demands = {code: kind.demand for code, kind in desk.kinds.items()}
        #: For the whole course (True) and its beginning: whether there is a plan once these rules are lifted.
        self._known: dict[bool, dict[frozenset[Rule], bool]] = {True: {}, False: {}}
        self._starts = LiftedStarts()
        self._whole = Scene(desk.specs, demands, desk.loaded.site, desk.preferences, desk.doses)
        self._locate(())
        self._beginning = replace(self._whole, specs=desk.specs[: desk.specs.index(self._spec) + 1])

    def _locate(self, lifting: Collection[Rule]) -> None:
        """Find the first session that cannot be placed once these rules are lifted."""
        found = blocked(bare(self._problem_of(self._whole, frozenset(lifting))), first=ROW_MINUTES)
        self._cause = found.cause if found else "no_fit"
        by_id = {str(self._desk.session_id(spec)): spec for spec in self._whole.specs}
        self._spec = by_id[found.session_id] if found else self._whole.specs[-1]
        days, left = [day for day, _ in found.days] if found else [], self._planner.left(self._spec.index)
        asked = self._local_days(left) if left != EVERY_START else days
        self._days = [day for day in days if day in asked] or days

    @cached_property
    def name_of_blocked(self) -> str:
        """The first session that cannot be placed."""
        return self._spec.name

    def to_blame(self) -> tuple[Rule, ...]:
        """A minimal set of rules; empty when the course is impossible whatever is lifted."""
        coarse = rules_of(self._beginning)
        guilty = conflict(coarse, lambda lifting: self._possible(self._beginning, lifting))
        if guilty is None:
            return ()
        others = frozenset(coarse) - frozenset(guilty)
        fine = [each for rule in guilty for each in finer(self._beginning, rule, self._days)]
        found = conflict(fine, lambda lifting: self._possible(self._beginning, others | lifting)) or guilty
        return self._of_whole(found, guilty)

    def _of_whole(self, found: tuple[Rule, ...], guilty: tuple[Rule, ...]) -> tuple[Rule, ...]:
        """What is minimal for the beginning need not be for the whole: fewer of the rules may rule that out."""
        parts = [each for rule in guilty if rule not in found for each in finer(self._whole, rule, self._days)]
        others = frozenset([*rules_of(self._whole), *parts]) - frozenset([*guilty, *found])
        if all(self._possible(self._whole, others | {rule}) for rule in found):
            return found
        fewer = conflict(found, lambda lifting: self._possible(self._whole, others | lifting))
        if fewer is None or len(fewer) == len(found):
            return found
        self._locate(others | (frozenset(found) - frozenset(fewer)))
        return fewer

    def offers(self, rules: Sequence[Rule]) -> list[tuple[tuple[Rule, ...], CoursePlan]]:
        """Changes with the plan that each leads to: single ones, or else one set of a few that help together."""
        found: list[tuple[tuple[Rule, ...], CoursePlan]] = []
        for rule in self._candidates(rules):
            offer = self._offer((rule,))
            if offer is not None:
                found.append(offer)
        if not found:
            offered = sorted((rule for rule in rules_of(self._whole) if rule.who), key=lambda rule: _rank([rule]))
            together = correction(offered, lambda lifting: self._possible(self._whole, lifting))
            offer = self._offer(together) if together and len(together) <= MOST_CHANGES else None
            found = [offer] if offer is not None else []
        return sorted(found, key=lambda offer: (_rank(offer[0]), len(offer[0]), offer[1].plan.cost))

    def _offer(self, changes: tuple[Rule, ...]) -> tuple[tuple[Rule, ...], CoursePlan] | None:
        """The changes with the plan, which verifies them by the whole planner; on no day without which they help."""
        plan = self._plan_with(changes)
        if plan is None or not DATED.intersection(rule.code for rule in changes):
            return None if plan is None else (changes, plan)
        used = [(rule, day) for rule in changes if rule.code in DATED for day in self._dates_used(rule, plan)]
        needed = correction(used, lambda some: self._possible(self._whole, limited(changes, some))) or ()
        some = limited(changes, needed) if needed else changes
        # What is the best of all is the best of fewer; but clinic days are counted by those that are open.
        is_same = some == changes or (len(needed) == len(used) and "location_closed" not in {it.code for it in some})
        fewer = plan if is_same else self._plan_with(some)
        return (changes, plan) if fewer is None else (some, fewer)

    def _dates_used(self, rule: Rule, plan: CoursePlan) -> list[date]:
        return sorted(set(dates_used(rule, self._whole, self._visits(plan))))

    def _visits(self, plan: CoursePlan) -> list[Planned]:
        timeline = self._whole.site.timeline
        return [(each.spec, each.start, each.end, each.attended(timeline)) for each in plan.sessions]

    def _candidates(self, rules: Sequence[Rule]) -> Iterator[Rule]:
        """What might help by itself, each limit exceeded by the least that helps: it must be among those to blame."""
        seen = set()
        for rule in (*rules, *(coarse(rule) for rule in rules)):
            if rule.who is None or rule in seen or (rule.code in LIMITS and rule.index is not None):
                continue
            seen.add(rule)
            eased = self._least(rule)
            if eased is not None:
                yield eased

    def _least(self, rule: Rule) -> Rule | None:
        if rule.code not in AMOUNTS:
            return rule if self._possible(self._whole, {rule}) else None
        amount = least(AMOUNTS[rule.code], lambda more: self._possible(self._whole, {replace(rule, amount=more)}))
        return None if amount is None else replace(rule, amount=amount)

    def _possible(self, scene: Scene, lifting: Collection[Rule]) -> bool:
        """Whether a plan exists once these rules are lifted: lifting more never leaves fewer."""
        asked, is_whole = frozenset(lifting), scene is self._whole
        for rules, answer in self._known[is_whole].items():
            if rules <= asked if answer else rules >= asked:
                return answer
        found = feasible(self._problem_of(scene, asked), first=ROW_MINUTES)
        # What leaves the whole a plan leaves its beginning one, and what leaves that none leaves the whole none.
        for each in {is_whole, not found}:
            self._known[each][asked] = found
        return found

    def _problem_of(self, scene: Scene, lifting: frozenset[Rule]) -> Problem:
        """The rules that are left, as the planner's problem."""
        desk = self._desk_of(lifted(scene, lifting))
        return self._planner.problem_of(desk, lambda code: self._starts_of(desk, code, lifting))

    def _starts_of(self, desk: Desk, code: str, lifting: frozenset[Rule]) -> int:
        """The starts of a kind of visit on the desk that those rules are lifted from."""
        kind = desk.kinds[code]
        return self._starts.of(code, kind.demand, lifting, lambda: desk.clinic(kind))

    def _plan_with(self, lifting: Collection[Rule]) -> CoursePlan | None:
        """The plan once these rules are really lifted: a day on which the clinic then opens counts as one."""
        scene = lifted(self._whole, lifting)
        plans = self._planner.solve(self._desk_of(replace(scene, site=replace(scene.site, open_before=None))))
        return plans[0] if plans else None

    def _desk_of(self, scene: Scene) -> Desk:
        loaded = replace(self._desk.loaded, site=scene.site)
        return replace(self._desk, specs=scene.specs, loaded=loaded, preferences=scene.preferences, doses=scene.doses)

    def of_those_before(self, rules: Collection[Rule]) -> frozenset[Rule]:
        """Rules about pools that take no start from the blocked session, but from those that lead to it."""
        if self._spec is self._whole.specs[0] or not self._days:
            return frozenset()
        kept = [rule for rule in rules if rule.code in WISHES]
        return frozenset(rule for rule in rules if rule.code in _OF_POOLS and not self._takes_from_blocked(rule, kept))

    def _takes_from_blocked(self, rule: Rule, wishes: Collection[Rule]) -> bool:
        """Whether the blocked session would have more starts without the rule, when all but these wishes were lifted.

        Hours are told by the day: at night, when nobody is there, nothing is wanted.
        """
        pool = Rule("no_resource", "manager", selector=rule.selector)
        others = {each for each in rules_of(self._whole) if each.selector != rule.selector and each not in wishes}
        free = self._starts_left(frozenset({*others, pool}))
        if rule.code == "resource_busy":
            parts = {each for each in finer(self._whole, pool, self._days) if each != rule}
            return bool(self._days_among(free & ~self._starts_left(frozenset(others | parts))))
        held, opened = self._starts_left(frozenset(others)), self._whole.site.open & ~self._whole.site.closed
        whole_days = self._days_among(free) - self._days_among(held)
        return bool(whole_days or self._days_among(free & ~held & opened))

    def block(self, rule: Rule, names: Mapping[UUID, str], before: Collection[Rule]) -> dict[str, Any]:
        """A rule as clients see it in the way; of a pool, at the session that wants it, and on its days."""
        index = self._spec.index if rule.index is None or rule.code in {"phase_max", "cap"} else rule.index
        spec = next(spec for spec in self._whole.specs if spec.index == index)
        start, end = rule.start, rule.end
        if rule.code == "location_closed" and (dates := self._closed_days()):
            start, end = dates[0], dates[-1]
        elif rule in before:
            spec = self._last_before(rule)
        elif start is None and rule.selector is not None and self._days:
            start, end = self._days[0], self._days[-1]
        shown = {
            "session": spec.sequence,
            "session_id": str(self._desk.session_id(spec)),
            "code": rule.code,
            "detail": said(rule, self._spoken(names))[0],
            "resource_id": str(rule.resource_id) if rule.resource_id else None,
            **_need(rule),
            "from": start.isoformat() if start else None,
            "to": end.isoformat() if end else None,
        }
        return {name: value for name, value in shown.items() if value is not None}

    def _spoken(self, names: Mapping[UUID, str]) -> Spoken:
        """What the sentences of rules in the way need."""
        return Spoken(self._whole, names, dates=self._closed_days())

    def _closed_days(self) -> list[date]:
        """On which of the session's days the location is closed."""
        return sorted(self._days_among(self._whole.site.closed))

    def _last_before(self, rule: Rule) -> SessionSpec:
        """The last session before the blocked one that wants somebody of the pool."""
        earlier = self._whole.specs[: self._whole.specs.index(self._spec)]
        wanting = (
            spec
            for spec in reversed(earlier)
            if any(thread.selector == rule.selector for thread in self._whole.demands[spec.visit_type].threads)
        )
        return next(wanting, self._spec)

    def in_brief(self, rules: Sequence[Rule], names: Mapping[UUID, str], before: Collection[Rule]) -> str:
        """The rules in the way as one sentence can hold them."""
        wishes = [rule for rule in rules if rule.code in WISHES]
        return brief(rules, self._spoken(names), lambda selector: self._lacking(selector, wishes), before)

    def _lacking(self, selector: str, wishes: Collection[Rule]) -> tuple[int, int]:
        """On how many of the days that the wishes leave to the session that pool alone leaves it no start."""
        others = [rule for rule in rules_of(self._whole) if rule.selector != selector and rule not in wishes]
        pool = Rule("no_resource", "manager", selector=selector)
        every, left = (self._days_of(frozenset(rules)) for rules in ([*others, pool], others))
        return len(every - left), len(every)

    def _days_of(self, lifting: frozenset[Rule]) -> set[date]:
        """The days on which the session has a start."""
        return self._days_among(self._starts_left(lifting))

    def _starts_left(self, lifting: frozenset[Rule]) -> int:
        """The starts that the session has once these rules are lifted."""
        desk = self._desk_of(lifted(self._whole, lifting))
        return self._starts_of(desk, self._spec.visit_type, lifting) & self._planner.left(self._spec.index)

    def _days_among(self, slots: int) -> set[date]:
        """Which of the session's days these slots are on."""
        return self._local_days(slots) & set(self._days)

    def _local_days(self, slots: int) -> set[date]:
        site = self._whole.site
        return opening_days.days_within(slots & site.timeline.everything, site.timeline, site.time_zone)

    def bare_block(self) -> dict[str, Any]:
        """What is in the way when nothing that anybody could lift is: least gaps, the order, what stands already."""
        shown = {
            "session": self._spec.sequence,
            "session_id": str(self._desk.session_id(self._spec)),
            "code": self._cause,
            "detail": BARE[self._cause],
            "from": self._days[0].isoformat() if self._days else None,
            "to": self._days[-1].isoformat() if self._days else None,
        }
        return {name: value for name, value in shown.items() if value is not None}

    def relaxation(self, changes: Sequence[Rule], plan: CoursePlan, names: Mapping[UUID, str]) -> dict[str, Any]:
        """A change, or a few that help together, with what the plan that follows costs and when it is over."""
        texts = [
            said(rule, Spoken(self._whole, names, more, used))[1] for rule, more, used in self._measured(changes, plan)
        ]
        last = to_local(max(each.start for each in plan.sessions), self._whole.site.time_zone).date()
        return {
            "change": "; and ".join(texts),
            "who": WHO[_rank(changes)],
            "grantable": self._planner.grants and granted.grantable(changes),
            "cost": plan.plan.cost,
            "completes_on": last.isoformat(),
            "rules": [
                {"code": rule.code, "who": rule.who}
                | ({"resource_id": str(rule.resource_id)} if rule.resource_id else {})
                | {name: value for name, value in _need(rule).items() if value is not None}
                for rule in changes
            ],
        }

    def kept(self, changes: Sequence[Rule], plan: CoursePlan) -> list[Rule]:
        """What the course keeps of a change that is granted: what its words say, and no more."""
        return [each for rule, more, _ in self._measured(changes, plan) for each in granted.as_said(rule, more)]

    def _measured(
        self, changes: Sequence[Rule], plan: CoursePlan
    ) -> Iterator[tuple[Rule, Mapping[int, int], Sequence[date]]]:
        """Each rule of a change, with the limits that the plan exceeds by it, and the days that it is lifted for.

        A wish that is lifted as a whole is so on all days.
        """
        visits = self._visits(plan)
        stands = {index: (place.starts_at, place.ends_at) for index, place in self._desk.standing.items()}
        opened = opening_days.at_site(self._whole.specs, replace(lifted(self._whole, changes).site, open_before=None))
        for rule in changes:
            used = () if rule.code in WISHES else self._dates_used(rule, plan)
            yield rule, exceeded(rule, self._whole, visits, stands, opened), sorted(rule.dates) or used


def _rank(changes: Sequence[Rule]) -> int:
    """The place of whoever is hardest to ask among those who must agree."""
    return max(WHO.index(rule.who) for rule in changes if rule.who is not None)


def _need(rule: Rule) -> dict[str, str | None]:
    kind, _, code = (rule.selector or "").partition(":")
    name = {"role": "role", "room": "room_type", "device": "device_type"}.get(kind)
    return {name: code} if name else {}
