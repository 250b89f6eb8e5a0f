"""Which rules a person with the scope for it may lift, which nobody may, and what a start looks like with them lifted.

This is the one place that decides it. Hard floors stay: facts of law and of the body, and whatever has a way of its own
to be put right that leaves a better record than an override.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from scheduler.core.availability import Calendar, Clinic, Taking, assign
from scheduler.core.demand import Demand
from scheduler.core.errors import Fault, Invalid, Reason
from scheduler.core.explain import why_not
from scheduler.core.site import Site
from scheduler.core.visit import VisitType

#: What may be lifted, and what lifting it means.
LIFTABLE: dict[str, str] = {
    "outside_hours": "Before opening, after closing, or off somebody's roster. Never on a day when the site is closed.",
    "lead_time": "Sooner than the lead time; never in the past.",
    "horizon": "Later than the horizon.",
    "gap_too_short": "Closer to another session of the course than its protocol wants.",
    "gap_too_long": "Farther from another session of the course than its protocol allows.",
    "buffer": "Without the minutes before and after that the visit type and whoever serves it want for themselves.",
    "dose_interval": "Closer to another dose, or more of them, than the visit type's limits.",
    "resource_busy": "Somebody or something is taken: what overlaps goes to an extra unit.",
    "cutoff": "A move later than the cut-off.",
    "too_many_changes": "A move more than the policy allows.",
}

#: Other words for some of them.
SYNONYMS = {"conflict": "resource_busy"}

#: What nobody may lift, and what to do instead.
FLOORS: dict[str, str] = {
    "patient_busy": "A patient is in one place at a time: move the other visit.",
    "not_qualified": "Record the role or its validity first.",
    "resource_absent": "Who is away serves nobody: shorten the absence or ask for somebody else.",
    "location_closed": "Shorten the closure: others were told of it.",
    "location_not_certified": "The law wants the site certified on the day.",
    "gate_not_passed": "A clearance is recorded and a gate is waived, in a clinician's name.",
    "on_hold": "Release the clinical hold first.",
    "supply_expired": "The law sets the days: record what has been received instead.",
}


@dataclass(frozen=True)
class Override:
    """The rules that somebody lifts for one visit, and why."""

    rules: frozenset[str]
    reason: str


@dataclass(frozen=True)
class Lifted:
    """A start that books with rules lifted: who serves, what goes to extra units, and which rules were in the way."""

    takings: tuple[Taking, ...]
    extra: tuple[Taking, ...]
    rules: frozenset[str]


def rule_faults(rules: Sequence[str]) -> dict[int, Fault]:
    """What is wrong with each rule that nobody may lift, or that there is not, by its place."""
    faults = {}
    for place, rule in enumerate(rules):
        pointer = f"/override/rules/{place}"
        if rule in FLOORS:
            faults[place] = Fault(pointer, "not_overridable", f"'{rule}' cannot be lifted. {FLOORS[rule]}")
        elif rule not in LIFTABLE and rule not in SYNONYMS:
            faults[place] = Fault(pointer, "unknown_rule", f"The rules are {', '.join(LIFTABLE)}.")
    return faults


def override_of(rules: Sequence[str], reason: str) -> Override:
    """The override of a request. Raises Invalid for every rule that nobody may lift, or that there is not."""
    faults = rule_faults(rules)
    if faults:
        raise Invalid(list(faults.values()))
    return Override(frozenset(SYNONYMS.get(rule, rule) for rule in rules), reason)


def lift(
    override: Override, site: Site, visit: VisitType, demand: Demand, slot: int
) -> tuple[Lifted | None, tuple[Reason, ...]]:
    """The start at `slot` with as little lifted as will do; else None, and every reason that is left.

    To be asked when `assign` has said no. People on duty and free are preferred to others, so that no rule is broken
    that need not be.
    """
    if "buffer" in override.rules:
        return _lift_buffers(override, site, visit, demand, slot)
    plain = site.clinic(visit, demand)
    in_the_way = frozenset(reason.code for reason in why_not(demand, plain, slot)) & override.rules
    on_duty = [key for key, each in site.calendars.items() if _is_free(each, demand, slot)]
    clinic = _without_rules(override, site, visit, demand)
    takings = assign(demand, clinic, slot, on_duty)
    if takings is not None:
        return Lifted(takings, (), in_the_way), ()
    if "resource_busy" not in override.rules:
        return None, why_not(demand, clinic, slot)
    idle = {key: replace(each, taken=(0,) * each.units) for key, each in clinic.calendars.items()}
    bold = replace(clinic, calendars=idle, pools={})
    free = [*on_duty, *(key for key, each in clinic.calendars.items() if _is_free(each, demand, slot))]
    takings = assign(demand, bold, slot, free)
    if takings is None:
        return None, why_not(demand, bold, slot)
    within, extra = _divided(takings, clinic.calendars)
    return Lifted(within, extra, in_the_way | {"resource_busy"}), ()


def _lift_buffers(
    override: Override, site: Site, visit: VisitType, demand: Demand, slot: int
) -> tuple[Lifted | None, tuple[Reason, ...]]:
    """As `lift`: with the visit's own buffers if that will do, else without. Those of other visits are taken time."""
    others = replace(override, rules=override.rules - {"buffer"})
    whole, _ = lift(others, site, visit, demand, slot) if others.rules else (None, ())
    if whole is not None and not whole.extra:
        return whole, ()
    calendars = {key: replace(each, buffers=(0, 0)) for key, each in site.calendars.items()}
    pools = {key: replace(each, buffers=(0, 0)) for key, each in site.pools.items()}
    bare = replace(site, calendars=calendars, pools=pools)
    lifted, reasons = lift(others, bare, visit, demand.without_buffers(), slot)
    return (replace(lifted, rules=lifted.rules | {"buffer"}), ()) if lifted is not None else (None, reasons)


def _without_rules(override: Override, site: Site, visit: VisitType, demand: Demand) -> Clinic:
    """The clinic with the rules lifted, but for conflicts."""
    if "lead_time" in override.rules:
        site = replace(site, earliest=site.now)
    if "outside_hours" in override.rules:
        named = frozenset[UUID]().union(*site.pins.values())
        calendars = {key: _at_all_hours(each, site, named) for key, each in site.calendars.items()}
        site = replace(site, open=site.timeline.everything, calendars=calendars)
    clinic = site.clinic(visit, demand)
    kept = tuple(bar for bar in clinic.bars if bar.code == "lead_time" or bar.code not in override.rules)
    return replace(clinic, bars=kept)


def _at_all_hours(calendar: Calendar, site: Site, named: frozenset[UUID]) -> Calendar:
    """Things are there at all hours; people only if they come to the site about that day, or were asked for by name."""
    if calendar.kind == "practitioner" and not calendar.rostered and calendar.resource_id not in named:
        return calendar
    return replace(calendar, rostered=site.timeline.everything & ~site.closed)


def _is_free(calendar: Calendar, demand: Demand, slot: int) -> bool:
    return any(not thread.present and calendar.can_serve(thread, slot) for thread in demand.threads)


def _divided(
    takings: Sequence[Taking], calendars: Mapping[UUID, Calendar]
) -> tuple[tuple[Taking, ...], tuple[Taking, ...]]:
    """The takings cut into what the regular units can carry and what only extra units can."""
    within: list[Taking] = []
    extra: list[Taking] = []
    for taking in takings:
        if taking.units == 0:
            within.append(taking)
            continue
        calendar = calendars[taking.resource_id]
        wanted = calendar.units if taking.units is None else taking.units
        for start, end, taken in _runs(calendar, taking.start, taking.end):
            regular = min(calendar.units - taken, wanted)
            if regular:
                within.append(replace(taking, start=start, end=end, units=regular))
            if regular < wanted:
                extra.append(replace(taking, start=start, end=end, units=wanted - regular))
    return tuple(within), tuple(extra)


def _runs(calendar: Calendar, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """[start, end) as runs of slots at which the same number of units is taken: (first, past, taken)."""
    counts = [sum(rung >> slot & 1 for rung in calendar.taken) for slot in range(start, end)]
    first = start
    for slot in range(start + 1, end + 1):
        if slot == end or counts[slot - start] != counts[first - start]:
            yield first, slot, counts[first - start]
            first = slot
