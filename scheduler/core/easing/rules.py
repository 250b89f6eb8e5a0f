"""The rules over one course that could be lifted, and who could grant that. What lifting does is `lifting`'s."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal
from uuid import UUID

from scheduler.core.bitmap import runs
from scheduler.core.civil import to_local
from scheduler.core.course import SessionSpec
from scheduler.core.demand import Demand
from scheduler.core.doses import Dose
from scheduler.core.preferences import CoursePreferences
from scheduler.core.site import Site

Who = Literal["patient", "front_desk", "manager", "prescriber"]

#: Who can grant what, the easiest to ask first.
WHO: tuple[Who, ...] = ("patient", "front_desk", "manager", "prescriber")

#: By how many days a longest gap, by how many hours a window may be exceeded: the least that helps is offered.
AMOUNTS = {
    "gap_max": (1, 2, 3, 5, 7, 10, 14),
    "bound_max": (1, 2, 3, 5, 7, 10, 14),
    "window_max": (12, 24, 48, 72),
    "rest_max": (12, 24, 48, 72),
    "entry": (7, 14, 28),
    "cap": (1, 2, 3),
}
#: Limits of single sessions, blamed and lifted for all of them at once before each is asked about.
LIMITS = ("window_max", "rest_max", "gap_max", "bound_max")
PHASE_DAYS = 14
#: What can be lifted on some days alone.
DATED = frozenset(
    {
        "weekdays",
        "hours",
        "blackout",
        "no_resource",
        "resource_absent",
        "off_duty",
        "location_closed",
        "outside_hours",
    }
)


@dataclass(frozen=True)
class Rule:
    """One rule. `who` can lift it; None: nobody can, or it is lifted by another name.

    `selector` is a pool (`role:nurse`); `index` the session bound, by its place in the course; dates are local and
    inclusive; `amount` is by how much a limit is exceeded when it is lifted. `dates` are the days on which alone it is
    lifted; without any it is lifted on all.
    """

    code: str
    who: Who | None = None
    selector: str | None = None
    resource_id: UUID | None = None
    index: int | None = None
    start: date | None = None
    end: date | None = None
    amount: int = 0
    #: An absence as slots [first, past) of the timeline.
    run: tuple[int, int] | None = None
    #: Whether it is about the limits that the protocol makes hard, or about the others.
    hard: bool = False
    dates: frozenset[date] = frozenset()


@dataclass(frozen=True)
class Scene:
    """What a course's planning rests on: the sessions, the location's calendars, the patient's wishes and doses."""

    specs: tuple[SessionSpec, ...]
    demands: Mapping[str, Demand]
    site: Site
    preferences: CoursePreferences
    doses: tuple[Dose, ...] = ()

    def selectors(self) -> list[str]:
        """The pools that the sessions draw on."""
        asked = {spec.visit_type for spec in self.specs}
        return sorted({thread.selector for code in asked for thread in self.demands[code].threads})


def rules_of(scene: Scene) -> tuple[Rule, ...]:
    """Every rule in coarse terms, one for each pool and one for all longest gaps.

    What comes first is blamed first: wishes, then limits, then people and rooms, then facts about the place.
    """
    pools = (Rule("no_resource", "manager", selector=selector) for selector in scene.selectors())
    return (*_of_patient(scene), *_of_desk(scene), *_of_prescriber(scene), *pools, *_of_place(scene))


def finer(scene: Scene, rule: Rule, days: Sequence[date]) -> tuple[Rule, ...]:
    """A coarse rule in fine terms: absences on `days`, hours and visits of a pool; each session's own limit."""
    if rule.code == "no_resource" and rule.selector is not None:
        return tuple(_of_pool(scene, rule.selector, days))
    if rule.code in LIMITS and rule.index is None:
        return tuple(replace(rule, index=spec.index) for spec in _bound(scene, rule))
    return (rule,)


def coarse(rule: Rule) -> Rule:
    """The coarse rule of which it is a part."""
    if rule.code in {"resource_absent", "off_duty", "resource_busy", "not_qualified"}:
        return Rule("no_resource", "manager", selector=rule.selector)
    return replace(rule, index=None) if rule.code in LIMITS else rule


def _of_patient(scene: Scene) -> Iterator[Rule]:
    wish = scene.preferences
    if wish.weekdays is not None:
        yield Rule("weekdays", "patient")
    if wish.earliest is not None or wish.latest is not None:
        yield Rule("hours", "patient")
    for first, last in wish.blackouts:
        yield Rule("blackout", "patient", start=first, end=last)
    if wish.continuity == "required":
        yield Rule("continuity", "patient")


def _of_desk(scene: Scene) -> Iterator[Rule]:
    if scene.site.patient is not None and any(scene.site.patient.taken):
        yield Rule("patient_busy", "front_desk")
    if scene.site.earliest > scene.site.now:
        yield Rule("lead_time", "manager")
    first = scene.specs[0]
    if first.gap is not None and first.gap[2] is not None:
        who: Who | None = None if first.hard else "front_desk"
        yield Rule("entry", who, index=first.index, amount=AMOUNTS["entry"][-1], hard=first.hard)


def _of_prescriber(scene: Scene) -> Iterator[Rule]:
    """Limits in time: those that the protocol makes hard are named when they are to blame, and never offered."""
    for code in LIMITS:
        most = AMOUNTS[code][-1]
        for rule in (Rule(code, "prescriber", amount=most), Rule(code, amount=most, hard=True)):
            if _bound(scene, rule):
                yield rule
    spans = {spec.span[0]: spec.span_hard for spec in scene.specs if spec.span and spec.span[0] != spec.index}
    for first, hard in sorted(spans.items()):
        yield Rule("phase_max", None if hard else "prescriber", index=first, amount=PHASE_DAYS, hard=hard)
    for phase in dict.fromkeys(spec.phase for spec in scene.specs if spec.limits):
        capped = [spec for spec in scene.specs if spec.phase == phase and spec.limits]
        # Doses closer together than their protocol allows are like a shorter least gap: named, and never offered.
        who: Who | None = None if any(spec.dosing for spec in capped) else "prescriber"
        yield Rule("cap", who, index=capped[0].index, amount=AMOUNTS["cap"][-1])


def _of_place(scene: Scene) -> Iterator[Rule]:
    """Facts about the place; those of the law and of safety are named when they are to blame, and never offered."""
    if scene.site.closed:
        yield Rule("location_closed", "manager")
    yield Rule("horizon", "manager")
    yield Rule("outside_hours", "manager")
    if any(scene.demands[spec.visit_type].site_certifications for spec in scene.specs):
        yield Rule("location_not_certified")
    if scene.doses:
        yield Rule("dose_interval")
    if any(spec.use_by is not None for spec in scene.specs):
        yield Rule("supply_expired")


def _bound(scene: Scene, rule: Rule) -> list[SessionSpec]:
    return [spec for spec in scene.specs if is_bound(spec, rule)]


def is_bound(spec: SessionSpec, rule: Rule) -> bool:
    """Whether the session has a limit of that kind, as hard as the rule is."""
    if rule.code == "window_max":
        return spec.kind == "leaf" and spec.window is not None and spec.window.hard == rule.hard
    if spec.kind == "leaf":
        return False
    if rule.code == "bound_max":
        return any(bound.most is not None and bound.hard == rule.hard for bound in spec.bounds)
    if rule.code == "rest_max":
        return spec.rest is not None and spec.rest.maximum is not None and spec.hard == rule.hard
    between = spec.gap is not None and spec.gap[2] is not None and spec.hard == rule.hard
    return between and (spec.anchor is None) == (rule.code == "entry")


def _of_pool(scene: Scene, selector: str, days: Sequence[date]) -> Iterator[Rule]:
    members = [each for each in scene.site.calendars.values() if selector in each.serves]
    if not members:
        yield Rule("not_qualified", selector=selector)
        return
    for each in members:
        for first, past in runs(each.absent):
            start, end = (
                to_local(scene.site.timeline.instant(slot), scene.site.time_zone).date() for slot in (first, past - 1)
            )
            if not days or (start <= days[-1] and end >= days[0]):
                run = (first, past)
                yield Rule("resource_absent", "manager", selector, each.resource_id, start=start, end=end, run=run)
    yield Rule("off_duty", "manager", selector)
    yield Rule("resource_busy", selector=selector)
