"""Whether the rules of a whole protocol can be kept together at all: a circle of rules that no dates satisfy is named.

Every rule of days is a bound on the difference of two dates. Such bounds contradict each other exactly when a circle of
them sums to less than nothing. Opening hours and people are not known here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise, product
from typing import NamedTuple

from scheduler.core.course import SessionSpec, expand
from scheduler.core.course_doses import too_close, too_many
from scheduler.core.errors import Fault, refuse
from scheduler.core.protocol import Protocol
from scheduler.core.visit import VisitType

_DAY_MINUTES = 24 * 60


class Rule(NamedTuple):
    """The date of main session `later` minus that of `sooner` (places in the chain) is at most `days`."""

    sooner: int
    later: int
    days: int
    text: str


def check_coherent(protocol: Protocol, visits: Mapping[str, VisitType] | None = None) -> None:
    """Raise Invalid, naming the circle, when no dates at all keep the rules, under some cadence.

    With the `visits`, by code, the limits between doses are among the rules.
    """
    faults, told = [], set()
    optional = [step.key for _, step in protocol.steps() if step.optional]
    cadences: list[str | None] = [each.key for each in protocol.cadences]
    for cadence in cadences or [None]:
        for wanted, counts in product({(), tuple(optional)}, _counts(protocol)):
            circle = contradiction(expand(protocol, cadence, optional=wanted, counts=counts), visits)
            if circle is not None and circle not in told:
                told.add(circle)
                under = f" under '{cadence}'" if cadence else ""
                detail = f"These rules contradict each other{under}: {'; '.join(circle)}."
                faults.append(Fault("/phases", "contradictory_rules", detail))
    refuse(faults)


def _counts(protocol: Protocol) -> list[dict[str, int]]:
    """The protocol's own numbers of sessions, and the least and the most that a course may choose."""
    bounds = {step.key: step.sessions for _, step in protocol.steps() if step.sessions is not None}
    return [{}, *({key: each[end] for key, each in bounds.items()} for end in (0, 1) if bounds)]


def contradiction(
    specs: Sequence[SessionSpec], visits: Mapping[str, VisitType] | None = None
) -> tuple[str, ...] | None:
    """The sentences of a circle of rules that cannot all be kept; None when there is none."""
    chain = [spec for spec in specs if spec.kind == "main"]
    rules = [*_rules(specs, chain), *(_doses(chain, visits) if visits else ())]
    latest, came = [0] * len(chain), [-1] * len(chain)
    changed = -1
    for _ in range(len(chain) + 1):
        changed = -1
        for place, rule in enumerate(rules):
            if latest[rule.sooner] + rule.days < latest[rule.later]:
                latest[rule.later], came[rule.later], changed = latest[rule.sooner] + rule.days, place, rule.later
        if changed < 0:
            return None
    for _ in chain:  # whoever still changes is on the circle, or led to it
        changed = rules[came[changed]].sooner
    circle: list[str] = []
    at = changed
    while not circle or at != changed:
        rule = rules[came[at]]
        circle.append(rule.text)
        at = rule.sooner
    return tuple(dict.fromkeys(reversed(circle)))


def _rules(specs: Sequence[SessionSpec], chain: Sequence[SessionSpec]) -> Iterator[Rule]:
    place_of = {spec.index: place for place, spec in enumerate(chain)}
    held = {spec.anchor for spec in specs if spec.kind == "leaf" and spec.before_next and not spec.same_day}
    for place, (one, other) in enumerate(pairwise(chain)):
        least, most = _gap(one, other, held=one.index in held)
        yield Rule(place + 1, place, -least, f"{_name(other)} is at least {least} day(s) after {_name(one)}")
        if most is not None:
            yield Rule(place, place + 1, most, f"{_name(other)} is at most {most} day(s) after {_name(one)}")
    for place, spec in enumerate(chain):
        for bound in spec.bounds:
            anchor = place_of[bound.anchor]
            since = f"day(s) after {_name(chain[anchor])}"
            yield Rule(place, anchor, -bound.least, f"{_name(spec)} is at least {bound.least} {since}")
            if bound.most is not None:
                yield Rule(anchor, place, bound.most, f"{_name(spec)} is at most {bound.most} {since}")
        if spec.span is not None and spec.span[0] != spec.index:
            text = f"the phase '{spec.phase}' takes at most {spec.span[1]} day(s)"
            yield Rule(place_of[spec.span[0]], place, spec.span[1], text)
        yield from _limits(chain, place)


def _gap(one: SessionSpec, other: SessionSpec, *, held: bool) -> tuple[int, int | None]:
    least, _, most = other.gap or (1, 1, None)
    if other.rest is not None:  # a local day may have 25 hours
        least = max(least, (other.rest.minimum - 60) // _DAY_MINUTES)
    least = max(least, 2) if held and one.kind == "main" else least
    return least, None if other.clinic_days else most


def _limits(chain: Sequence[SessionSpec], place: int) -> Iterator[Rule]:
    spec = chain[place]
    for limit in spec.limits:
        past = place + limit.most
        if past < len(chain) and chain[past].phase == spec.phase:
            days = 1 if limit.days is None else limit.days
            within = "a week" if limit.days is None else f"{limit.days} days"
            text = f"of '{spec.phase}' at most {limit.most} fall within {within}"
            yield Rule(past, place, -days, text)


def _doses(chain: Sequence[SessionSpec], visits: Mapping[str, VisitType]) -> Iterator[Rule]:
    """What the visit types want between the course's own doses."""
    kinds = [visits[spec.visit_type] for spec in chain]
    for place, least in too_close(kinds):
        since = f"{_name(chain[place])} starts at least {least / 60:g} hour(s) after {_name(chain[place - 1])}"
        text = f"{since} by the limits of '{kinds[place].code}' and '{kinds[place - 1].code}'"
        yield Rule(place, place - 1, -max(0, (least - 60) // _DAY_MINUTES), text)  # a local day may have 25 hours
    for sooner, later in too_many(kinds):
        limits = kinds[later].limits
        text = f"{_name(chain[later])} is at least {limits.days} day(s) after {_name(chain[sooner])}"
        why = f"since '{kinds[later].code}' allows {limits.most} dose(s) in {limits.days} days"
        yield Rule(later, sooner, -(limits.days or 0), f"{text}, {why}")


def _name(spec: SessionSpec) -> str:
    return f"{spec.step.replace('_', ' ')} {spec.ordinal}"
