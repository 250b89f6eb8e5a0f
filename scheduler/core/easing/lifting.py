"""How things look once rules are lifted. Never touched: least gaps, the order of sessions, gates, what stands."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise
from uuid import UUID

from scheduler.core.availability import Calendar
from scheduler.core.course import Bound, SessionSpec
from scheduler.core.easing.rules import LIMITS, Rule, Scene, is_bound
from scheduler.core.licences import selector_in
from scheduler.core.preferences import CoursePreferences, on_dates
from scheduler.core.site import Site

HOUR = 60
_LIMITS = ("entry", *LIMITS)
_DAY = timedelta(days=1)
#: Whoever is added to a pool watches as many patients at once as there may be.
UNITS = 8


def lifted(scene: Scene, rules: Collection[Rule]) -> Scene:
    """The scene without these rules."""
    if not rules:
        return scene
    return replace(
        scene,
        specs=eased_specs(scene.specs, rules),
        site=_site(scene, rules),
        preferences=eased_wishes(scene.preferences, rules),
        doses=() if any(rule.code == "dose_interval" for rule in rules) else scene.doses,
    )


def newcomer(resource_id: UUID) -> bool:
    """Whether that is nobody who exists: someone or something that was added to a pool."""
    return resource_id.int < _NEWCOMERS


_NEWCOMERS = 1 << 16


def eased_specs(specs: Sequence[SessionSpec], rules: Collection[Rule]) -> tuple[SessionSpec, ...]:
    """The sessions without these rules."""
    return tuple(_spec(specs, spec, rules) for spec in specs)


def _spec(specs: Sequence[SessionSpec], spec: SessionSpec, rules: Collection[Rule]) -> SessionSpec:
    for rule in rules:
        if rule.code == "cap" and spec.limits and spec.phase == _phase_of(specs, rule):
            spec = replace(spec, limits=tuple(replace(each, most=each.most + rule.amount) for each in spec.limits))
        if rule.code == "phase_max" and spec.span is not None and spec.span[0] == rule.index:
            spec = replace(spec, span=(spec.span[0], spec.span[1] + rule.amount))
        if rule.index not in (None, spec.index):
            continue
        if rule.code == "supply_expired":
            spec = replace(spec, use_by=None)
        spec = _longer(spec, rule)
    return spec


def _longer(spec: SessionSpec, rule: Rule) -> SessionSpec:
    """The session with its longest gap, window, rest, or days from a session further back, longer by the amount."""
    if rule.code == "bound_max":
        return replace(spec, bounds=tuple(_wider(bound, rule) for bound in spec.bounds))
    if rule.code not in _LIMITS or not is_bound(spec, rule):
        return spec
    if rule.code == "window_max" and spec.window is not None:
        return replace(spec, window=replace(spec.window, maximum=spec.window.maximum + rule.amount * HOUR))
    if rule.code == "rest_max" and spec.rest is not None and spec.rest.maximum is not None:
        return replace(spec, rest=replace(spec.rest, maximum=spec.rest.maximum + rule.amount * HOUR))
    if spec.gap is not None and spec.gap[2] is not None:
        return replace(spec, gap=(*spec.gap[:2], spec.gap[2] + rule.amount))
    return spec


def _wider(bound: Bound, rule: Rule) -> Bound:
    if bound.most is None or bound.hard != rule.hard:
        return bound
    return bound._replace(most=bound.most + rule.amount)


def _phase_of(specs: Sequence[SessionSpec], rule: Rule) -> str | None:
    return next((spec.phase for spec in specs if spec.index == rule.index), None)


def eased_wishes(wish: CoursePreferences, rules: Collection[Rule]) -> CoursePreferences:
    """The wishes without these rules."""
    for rule in rules:
        if rule.code in {"weekdays", "hours"} and rule.dates:
            but_on = wish.but_on.get(rule.code, frozenset()) | rule.dates
            wish = replace(wish, but_on={**wish.but_on, rule.code: but_on})
        elif rule.code == "weekdays":
            wish = replace(wish, weekdays=None)
        elif rule.code == "hours":
            wish = replace(wish, earliest=None, latest=None)
        elif rule.code == "blackout":
            wish = replace(wish, blackouts=tuple(_left_of(wish.blackouts, rule)))
        elif rule.code == "continuity":
            wish = replace(wish, continuity="preferred")
    return wish


def _left_of(blackouts: Sequence[tuple[date, date]], rule: Rule) -> Iterator[tuple[date, date]]:
    """The blackouts without that one, or without its days that are lifted."""
    for first, last in blackouts:
        if (first, last) != (rule.start, rule.end):
            yield first, last
        elif rule.dates:
            edges = [first - _DAY, *sorted(rule.dates), last + _DAY]
            pieces = ((one + _DAY, other - _DAY) for one, other in pairwise(edges))
            yield from (piece for piece in pieces if piece[0] <= piece[1])


def _on(site: Site, rule: Rule) -> int:
    """The slots at which the rule is lifted."""
    return on_dates(rule.dates, site.time_zone, site.timeline) if rule.dates else site.timeline.everything


def _site(scene: Scene, rules: Collection[Rule]) -> Site:
    site, codes = scene.site, {rule.code for rule in rules}
    # If clinic days were counted by what is lifted, lifting more could leave fewer plans, and nothing could be blamed.
    site = replace(site, open_before=site.counted)
    for rule in rules:
        if rule.code == "location_closed":
            site = _not_closed(site, _on(site, rule))
    for rule in rules:
        if rule.code == "outside_hours":
            site = _open_longer(site, _on(site, rule))
    if "lead_time" in codes:
        site = replace(site, earliest=site.now)
    if "horizon" in codes:
        site = replace(site, latest=max(site.latest, site.timeline.end))
    if "location_not_certified" in codes:
        wanted = {code for demand in scene.demands.values() for code in demand.site_certifications}
        site = replace(site, certifications=tuple({"code": code} for code in sorted(wanted)))
    if "patient_busy" in codes and site.patient is not None:
        site = replace(site, patient=replace(site.patient, taken=(0,) * site.patient.units))
    # What is added belongs to no pool of rooms that may change places: all rooms of its kind are then looked at singly.
    alone = codes & {"location_closed", "outside_hours"}
    pools = {key: pool for key, pool in site.pools.items() if not alone and not any(_adds(rule, key) for rule in rules)}
    return replace(site, calendars=_calendars(scene, site, rules), pools=pools)


def _not_closed(site: Site, on: int) -> Site:
    """Open at its weekly hours on these days, with whoever would be there then."""
    closed = site.closed & ~on
    if site.weekly is None:
        return replace(site, closed=closed, open=site.open | site.closed & on)
    weekly = site.weekly()
    calendars = {
        key: replace(each, rostered=each.rostered | weekly.rostered.get(key, 0) & on)
        for key, each in site.calendars.items()
    }
    return replace(site, closed=closed, open=site.open | weekly.open & on, calendars=calendars)


def _open_longer(site: Site, on: int) -> Site:
    """Open at any hour of these days unless it is closed, with the things that have no hours but the location's."""
    hours = site.timeline.everything & ~site.closed & on
    with_it = site.weekly().with_it if site.weekly is not None else frozenset()
    calendars = {
        key: replace(each, rostered=each.rostered | hours) if key in with_it else each
        for key, each in site.calendars.items()
    }
    return replace(site, open=site.open & ~site.closed | hours, calendars=calendars)


def _adds(rule: Rule, selector: str | None) -> bool:
    """Whether lifting the rule adds somebody, or something, of that kind."""
    return rule.code in {"no_resource", "not_qualified"} and rule.selector == selector


def _calendars(scene: Scene, site: Site, rules: Collection[Rule]) -> Mapping[UUID, Calendar]:
    calendars, number = dict(site.calendars), 1
    for rule in sorted(
        rules, key=lambda rule: (rule.code, rule.selector or "", str(rule.resource_id), str(rule.start))
    ):
        if rule.selector is not None and _adds(rule, rule.selector):
            for _ in range(_most_at_once(scene, rule.selector)):
                calendars[UUID(int=number)] = _anybody(scene, UUID(int=number), rule)
                number += 1
        elif rule.run is not None and rule.resource_id is not None:
            known, (first, past) = calendars[rule.resource_id], rule.run
            back = ((1 << (past - first)) - 1) << first & _on(site, rule)
            calendars[rule.resource_id] = replace(known, absent=known.absent & ~back)
        elif rule.code in {"off_duty", "resource_busy"}:
            for key, known in site.calendars.items():
                if rule.selector in known.serves:
                    free = {"rostered": known.rostered | _on(site, rule) & ~site.closed}
                    none = {"taken": (0,) * known.units}
                    changes = free if rule.code == "off_duty" else none
                    calendars[key] = replace(calendars[key], **changes)
    return calendars


def _anybody(scene: Scene, key: UUID, rule: Rule) -> Calendar:
    """Somebody who is there whenever the rule is lifted, and licensed where the patient is."""
    site, region, selector = scene.site, scene.preferences.patient_region, rule.selector or ""
    licenses = {} if region is None else {selector_in(selector, region): -1}
    return Calendar(
        resource_id=key,
        kind="practitioner" if selector.startswith("role:") else selector.partition(":")[0],
        units=UNITS,
        rostered=_on(site, rule),
        absent=0,
        taken=(0,) * UNITS,
        serves={selector: -1} | licenses,
    )


def _most_at_once(scene: Scene, selector: str) -> int:
    """How many of a pool one visit wants."""
    return (
        max(
            sum(thread.selector == selector and not thread.present for thread in demand.threads)
            for demand in scene.demands.values()
        )
        or 1
    )
