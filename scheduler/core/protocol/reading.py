"""The reading of a protocol from its document, with every fault in it.

What the parts mean together (cycles, contradictions, gates) does not live here but in `checks`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, cast

from scheduler.core.document import FaultList, Node
from scheduler.core.protocol.checks import check_protocol
from scheduler.core.protocol.values import (
    MOST_SESSIONS,
    Cadence,
    Edge,
    GapRule,
    Gate,
    GateKind,
    Phase,
    Protocol,
    Rhythm,
    Step,
    Window,
)
from scheduler.core.visit import VisitType

MOST_DAYS = 366
_MINUTES = {"hours": 60, "days": 24 * 60}
_PROVENANCE = {"grade", "source", "note"}
_RULE_KEYS = _PROVENANCE | {"unit", "min", "target", "max"}
_LEAF_KEYS = _PROVENANCE | {"key", "visit_type", "each", "window", "before_next", "dosing"}
_MAIN_KEYS = _PROVENANCE | {"key", "visit_type", "count", "block", "entry", "gap", "dosing"}
_PROTOCOL_KEYS = _PROVENANCE | {
    "code", "name", "modality", "continuity", "phases", "cadences", "default_cadence", "gates", "enabled",
    "missed_session", "information", "sources", "status", "approved_by",
}  # fmt: skip


def parse_protocol(
    doc: Mapping[str, Any], visit_types: Mapping[str, VisitType], known_roles: Collection[str] | None = None
) -> Protocol:
    """The protocol of a document, or `Invalid` with every fault in it.

    `visit_types` are the organization's, by code; `known_roles` its practitioners' roles (None checks none).
    """
    faults = FaultList()
    node = Node.root(doc, faults)
    node.allow_only(_PROTOCOL_KEYS)
    protocol = Protocol(
        code=node.code("code"),
        name=node.text("name"),
        modality=None if node.value.get("modality") == "none" else node.optional_code("modality"),
        continuity=node.codes("continuity"),
        phases=tuple(_read_phase(item, visit_types) for item in node.children("phases")),
        cadences=tuple(_read_cadence(key, item) for key, item in node.named_children("cadences").items()),
        default_cadence=node.optional_code("default_cadence"),
        gates=tuple(_read_gate(item) for item in node.children("gates", required=False)),
        enabled=node.flag("enabled", default=True),
    )
    check_protocol(protocol, visit_types, known_roles, faults)
    faults.raise_any(f"Protocol '{protocol.code}'")
    return protocol


def _read_phase(item: Node, visit_types: Mapping[str, VisitType]) -> Phase:
    item.allow_only(_PROVENANCE | {"key", "steps", "max_days"})
    return Phase(
        key=item.code("key"),
        steps=tuple(_read_step(step, visit_types) for step in item.children("steps")),
        max_days=item.optional_whole("max_days", least=0, most=MOST_DAYS),
    )


def _read_step(item: Node, visit_types: Mapping[str, VisitType]) -> Step:
    leaf = item.has("each")
    item.allow_only(_LEAF_KEYS if leaf else _MAIN_KEYS)
    visit_type = item.code("visit_type")
    visit = visit_types.get(visit_type)
    dosing = visit is not None and visit.kind == "dosing"
    if visit is not None and item.flag("dosing", default=dosing) != dosing:
        item.fault("dosing", "dosing_mismatch", f"Visit type '{visit_type}' is {'' if dosing else 'not '}for dosing.")
    key = item.code("key")
    if leaf:
        window = _read_window(item)
        before_next = item.flag("before_next", default=False)
        return Step(key, visit_type, each=item.code("each"), window=window, before_next=before_next, dosing=dosing)
    count, block = _read_count(item)
    entry, gap = _read_rule(item, "entry"), _read_rule(item, "gap")
    return Step(key, visit_type, count=count, block=block, entry=entry, gap=gap, dosing=dosing)


def _read_count(item: Node) -> tuple[int | None, int | None]:
    """The count of a main step, or None and the block by which it goes on; a missing count is 1."""
    if "count" not in item.value or item.value["count"] is not None:
        if item.has("block"):
            item.fault("block", "block_without_end", "Only an open-ended step (count: null) goes on by blocks.")
        return item.whole("count", least=1, most=MOST_SESSIONS, default=1) or 1, None
    return None, item.whole("block", least=1, most=MOST_SESSIONS)


def _read_rule(item: Node, key: str, *, anchored: bool = True) -> GapRule | None:
    """A rule in days: `entry` may name its anchor, and be 0 days; a `gap` has neither."""
    rule = item.child(key)
    if rule is None:
        return None
    entry = key == "entry"
    rule.allow_only(_RULE_KEYS | {"anchor"} if entry and anchored else _RULE_KEYS)
    if rule.choice("unit", ("days", "hours"), default="days") == "hours":
        rule.fault("unit", "unsupported_unit", "Main sessions are spaced in local calendar days.")
    least = 0 if entry else 1
    minimum = rule.whole("min", least=least, most=MOST_DAYS)
    maximum = rule.whole("max", least=least, most=MOST_DAYS)
    targets = _read_targets(rule, minimum, maximum)
    anchor = rule.optional_code("anchor") if entry and anchored else None
    if minimum is None or maximum is None or not targets:
        return GapRule(1, (1,), MOST_DAYS, anchor)  # stands in, so that nobody also calls it missing
    _check_order(rule, minimum, maximum)
    return GapRule(minimum, targets, maximum, anchor)


def _read_targets(rule: Node, minimum: int | None, maximum: int | None) -> tuple[int, ...]:
    """The target, one number or one for each gap, each inside [min, max]; empty when it cannot be read."""
    value = rule.value.get("target")
    if not isinstance(value, list):
        one = rule.whole("target", least=0, most=MOST_DAYS)
        if one is not None:
            _check_inside(rule, ("target",), one, minimum, maximum)
        return () if one is None else (one,)
    if not value:
        rule.fault("target", "empty", "The list is empty.")
    for index, one in enumerate(value):
        if isinstance(one, bool) or not isinstance(one, int):
            rule.fault(("target", index), "wrong_type", "A whole number is expected here.")
            return ()
        _check_inside(rule, ("target", index), one, minimum, maximum)
    return tuple(value)


def _check_order(rule: Node, minimum: int, maximum: int) -> None:
    if minimum > maximum:
        rule.fault("min", "min_above_max", f"The minimum {minimum} is above the maximum {maximum}.")


def _check_inside(rule: Node, where: tuple[str | int, ...], one: int, minimum: int | None, maximum: int | None) -> None:
    if minimum is not None and maximum is not None and minimum <= maximum and not minimum <= one <= maximum:
        rule.fault(where, "target_outside", f"The target {one} is not between {minimum} and {maximum}.")


def _read_window(item: Node) -> Window | None:
    rule = item.child("window")
    if rule is None:
        item.fault("window", "required", "A step with 'each' says in a window when its sessions may start.")
        return None
    rule.allow_only(_RULE_KEYS | {"edge"})
    unit = rule.choice("unit", tuple(_MINUTES), default="hours")
    edge = cast("Edge", rule.choice("edge", ("end", "start"), default="end"))
    most = MOST_DAYS * _MINUTES["days"] // _MINUTES[unit]
    minimum, target, maximum = (rule.whole(key, least=0, most=most) for key in ("min", "target", "max"))
    if minimum is None or target is None or maximum is None:
        return None
    _check_order(rule, minimum, maximum)
    _check_inside(rule, ("target",), target, minimum, maximum)
    scale = _MINUTES[unit]
    return Window(edge, minimum * scale, target * scale, maximum * scale)


def _read_cadence(key: str, item: Node) -> Cadence:
    rhythms = []
    for step, holder in ((name, Node.of(value, item.at(name), item.faults)) for name, value in item.value.items()):
        if step not in _PROVENANCE:
            holder.allow_only(_PROVENANCE | {"entry", "gap"})
            rhythms.append(Rhythm(step, _read_rule(holder, "entry", anchored=False), _read_rule(holder, "gap")))
    return Cadence(key, tuple(rhythms))


def _read_gate(item: Node) -> Gate:
    item.allow_only(_PROVENANCE | {"key", "after", "kind", "blocks", "rule", "deadline_days"})
    after = item.child("after")
    if after is None:
        item.fault("after", "required", "A gate says after which session it stands.")
        after = Node({}, item.at("after"), FaultList())
    after.allow_only(_PROVENANCE | {"step", "count"})
    return Gate(
        key=item.code("key"),
        step=after.code("step"),
        count=after.whole("count", least=1, most=MOST_SESSIONS) or 1,
        kind=cast("GateKind", item.choice("kind", ("hard", "soft"))),
        blocks=item.optional_code("blocks"),
        rule=item.text("rule", default=""),
        deadline_days=item.optional_whole("deadline_days", least=1, most=MOST_DAYS),
    )
