"""A cadence of one patient's own: other gaps of some steps, within what the protocol declares for any cadence.

What the gaps mean together with the rest is judged as for a protocol; a course's dates do not live here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from scheduler.core.document import FaultList, Node
from scheduler.core.protocol.rules import read_rule
from scheduler.core.protocol.spacing import check_spacing
from scheduler.core.protocol.values import GapRule, Protocol, Rhythm, Step
from scheduler.core.visit import VisitType

#: A gap in its protocol's unit, by `gap` and `entry`, by step.
OwnGaps = Mapping[str, Mapping[str, Mapping[str, int]]]

_HOUR = 60


def with_own(protocol: Protocol, cadence: str | None, steps: OwnGaps) -> Protocol:
    """The protocol with the gaps of one patient, that were read before."""
    return protocol.with_rhythms(_read(protocol, cadence, steps, FaultList())) if steps else protocol


def read_own(
    protocol: Protocol, cadence: str | None, steps: OwnGaps, visit_types: Mapping[str, VisitType], faults: FaultList
) -> Protocol:
    """The same of gaps that somebody wants, with every fault in them, below `/steps`.

    Least times stay the protocol's own: none is shorter than the shortest that it declares for the step, none longer
    than the longest.
    """
    own = _read(protocol, cadence, steps, faults)
    contradictions = FaultList()
    if not faults.any():
        check_spacing(protocol.with_rhythms(own).under(cadence), visit_types, contradictions)
    for fault in contradictions:
        faults.add("/steps", fault.code, fault.detail)
    return protocol.with_rhythms(own)


def _read(protocol: Protocol, cadence: str | None, steps: OwnGaps, faults: FaultList) -> tuple[Rhythm, ...]:
    known = {step.key: step for _, step in protocol.main_steps()}
    found = []
    for key, rules in steps.items():
        node = Node.of(rules, f"/steps/{key}", faults)
        if key not in known:
            faults.add(node.pointer, "unknown_step", f"The course has no step '{key}' with gaps of its own.")
            continue
        rhythm = protocol.rhythm(known[key], cadence)
        entry, gap = (_own_rule(protocol, known[key], getattr(rhythm, kind), kind, node) for kind in ("entry", "gap"))
        found.append(Rhythm(key, entry=entry, gap=gap))
    return tuple(found)


def _own_rule(protocol: Protocol, step: Step, base: GapRule | None, kind: str, node: Node) -> GapRule | None:
    """The rule with the patient's numbers in place of the protocol's, in its unit, with all else that it says."""
    own = node.value.get(kind)
    if own is None:
        return None
    if base is None:
        node.fault(kind, "unknown_gap", f"The protocol has no such gap of '{step.key}' that could be another.")
        return None
    wrong = FaultList()
    rule = read_rule(Node({kind: {**own, **_unit(base)}}, node.pointer, wrong), kind)
    for fault in wrong:
        node.faults.add(fault.pointer, fault.code, fault.detail)
    if rule is None or wrong.any():
        return None
    declared = [each for each in _declared(protocol, step, kind) if _unit(each)["unit"] == _unit(base)["unit"]]
    least, most = min(_number(each, 0) for each in declared), max(_number(each, 1) for each in declared)
    unit = str(_unit(base)["unit"]).replace("_", " ")
    for name, place in (("min", 0), ("max", 1)):
        if not least <= _number(rule, place) <= most:
            detail = f"{_number(rule, place)} is not between {least} and {most} {unit}, the protocol's bounds."
            node.fault((kind, name), "out_of_range", detail)
    return replace(rule, anchor=base.anchor, rest=rule.rest or base.rest, hard=base.hard)


def _declared(protocol: Protocol, step: Step, kind: str) -> Iterator[GapRule]:
    """That gap of the step as the protocol has it, under each cadence."""
    for cadence in (None, *(each.key for each in protocol.cadences)):
        rule: GapRule | None = getattr(protocol.rhythm(step, cadence), kind)
        if rule is not None:
            yield rule


def _unit(rule: GapRule) -> dict[str, Any]:
    """What the rule counts, as its document says it."""
    if rule.clinic_days:
        return {"unit": "clinic_days"}
    if rule.rest is not None and rule.rest.maximum is not None:
        return {"unit": "hours", "edge": rule.rest.edge}
    return {"unit": "days"}


def _number(rule: GapRule, place: int) -> int:
    """The least (0) or the most (1) of a rule in its own unit."""
    if _unit(rule)["unit"] == "hours" and rule.rest is not None:
        return (rule.rest.minimum, rule.rest.maximum or 0)[place] // _HOUR
    return (rule.minimum, rule.maximum)[place]
