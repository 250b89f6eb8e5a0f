"""The reading of a protocol from its document, with every fault in it.

What the parts mean together (cycles, contradictions, gates) does not live here but in `checks`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, cast

from scheduler.core.document import FaultList, Node
from scheduler.core.protocol.checks import check_protocol
from scheduler.core.protocol.rules import MOST_DAYS, PROVENANCE, read_offsets, read_rule, read_window
from scheduler.core.protocol.values import (
    MOST_SESSIONS,
    Cadence,
    Gate,
    GateKind,
    Limit,
    Missed,
    Phase,
    Protocol,
    Rhythm,
    Step,
)
from scheduler.core.visit import VisitType, read_gates

_LEAF_KEYS = PROVENANCE | {"key", "visit_type", "each", "window", "before_next", "same_day", "dosing", "gates"}
_MAIN_KEYS = PROVENANCE | {
    "key", "visit_type", "count", "block", "sessions", "entry", "gap", "offsets", "optional", "supply", "dosing",
    "gates",
}  # fmt: skip
_PROTOCOL_KEYS = PROVENANCE | {
    "code", "name", "modality", "continuity", "phases", "cadences", "default_cadence", "gates", "enabled",
    "missed_session", "information", "sources", "status", "approved_by",
}  # fmt: skip

#: What may be suggested after a missed dose, by when it was missed.
_MISSED = {"during_induction": "continue_current_schedule", "maintenance_and_worse": "suggest_previous_frequency"}


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
        missed=_read_missed(node),
    )
    check_protocol(protocol, visit_types, known_roles, faults)
    faults.raise_any(f"Protocol '{protocol.code}'")
    return protocol


def _read_missed(node: Node) -> Missed:
    item = node.child("missed_session")
    if item is None:
        return Missed()
    item.allow_only(PROVENANCE | {"auto_apply", *_MISSED})
    if item.flag("auto_apply", default=False):
        item.fault("auto_apply", "never_applied", "What follows a missed session is a clinician's to decide.")
    return Missed(**{key: item.choice(key, (known,)) for key, known in _MISSED.items() if item.has(key)})


def _read_phase(item: Node, visit_types: Mapping[str, VisitType]) -> Phase:
    item.allow_only(PROVENANCE | {"key", "steps", "max_days", "hard_max", "per_week", "limits"})
    per_week = item.optional_whole("per_week", least=1, most=MOST_SESSIONS)
    weekly = () if per_week is None else (Limit(per_week, None),)
    if item.has("hard_max") and not item.has("max_days"):
        item.fault("hard_max", "hard_without_max", "Only a phase with 'max_days' has a limit that could be hard.")
    return Phase(
        key=item.code("key"),
        steps=tuple(_read_step(step, visit_types) for step in item.children("steps")),
        max_days=item.optional_whole("max_days", least=0, most=MOST_DAYS),
        limits=(*weekly, *(_read_limit(limit) for limit in item.children("limits", required=False))),
        hard=item.flag("hard_max", default=False),
    )


def _read_limit(item: Node) -> Limit:
    item.allow_only(PROVENANCE | {"most", "days"})
    most, days = item.whole("most", least=1, most=MOST_SESSIONS), item.whole("days", least=1, most=MOST_DAYS)
    return Limit(most or 1, days or 1)


def _read_step(item: Node, visit_types: Mapping[str, VisitType]) -> Step:
    leaf = item.has("each")
    item.allow_only(_LEAF_KEYS if leaf else _MAIN_KEYS)
    visit_type = item.code("visit_type")
    visit = visit_types.get(visit_type)
    dosing = visit is not None and visit.kind == "dosing"
    if visit is not None and item.flag("dosing", default=dosing) != dosing:
        item.fault("dosing", "dosing_mismatch", f"Visit type '{visit_type}' is {'' if dosing else 'not '}for dosing.")
    key = item.code("key")
    gates = read_gates(item, PROVENANCE, visit.checklist if visit else (), besides=visit.gates if visit else ())
    if leaf:
        return Step(
            key,
            visit_type,
            each=item.code("each"),
            window=read_window(item),
            before_next=item.flag("before_next", default=False),
            same_day=item.flag("same_day", default=False),
            dosing=dosing,
            gates=gates,
        )
    count, block = _read_count(item)
    return Step(
        key,
        visit_type,
        count=count,
        block=block,
        entry=read_rule(item, "entry"),
        gap=read_rule(item, "gap"),
        offsets=read_offsets(item),
        optional=item.flag("optional", default=False),
        dosing=dosing,
        sessions=_read_sessions(item, count),
        use_within_days=_read_supply(item, dosing=dosing),
        gates=gates,
    )


def _read_count(item: Node) -> tuple[int | None, int | None]:
    """The count of a main step, or None and the block by which it goes on; a missing count is 1."""
    if "count" not in item.value or item.value["count"] is not None:
        if item.has("block"):
            item.fault("block", "block_without_end", "Only an open-ended step (count: null) goes on by blocks.")
        return item.whole("count", least=1, most=MOST_SESSIONS, default=1) or 1, None
    return None, item.whole("block", least=1, most=MOST_SESSIONS)


def _read_sessions(item: Node, count: int | None) -> tuple[int, int] | None:
    """How many sessions a course may have of a main step, around its count."""
    bounds = item.child("sessions")
    if bounds is None:
        return None
    bounds.allow_only(PROVENANCE | {"min", "max"})
    least = bounds.whole("min", least=1, most=MOST_SESSIONS)
    most = bounds.whole("max", least=1, most=MOST_SESSIONS)
    if least is None or most is None:
        return None
    if count is None:
        item.fault("sessions", "sessions_without_count", "An open-ended step goes on by blocks; it has no bounds.")
    elif not least <= count <= most:
        item.fault("sessions", "count_outside", f"The count {count} is not between {least} and {most}.")
    return least, most


def _read_supply(item: Node, *, dosing: bool) -> int | None:
    """The days within which what came for one patient is given; None when doses come from the clinic's own stock."""
    supply = item.child("supply")
    if supply is None:
        return None
    supply.allow_only(PROVENANCE | {"mode", "use_within_days"})
    if not dosing:
        item.fault("supply", "supply_without_dose", "Only a step whose visits are for dosing has a supply.")
    if supply.choice("mode", ("patient_specific", "bulk")) == "bulk":
        if supply.has("use_within_days"):
            supply.fault("use_within_days", "bulk_has_no_clock", "Only what is received for one patient has a clock.")
        return None
    return supply.whole("use_within_days", least=1, most=MOST_DAYS)


def _read_cadence(key: str, item: Node) -> Cadence:
    rhythms = []
    for step, holder in ((name, Node.of(value, item.at(name), item.faults)) for name, value in item.value.items()):
        if step not in PROVENANCE:
            holder.allow_only(PROVENANCE | {"entry", "gap"})
            rhythms.append(Rhythm(step, read_rule(holder, "entry", anchored=False), read_rule(holder, "gap")))
    return Cadence(key, tuple(rhythms))


def _read_gate(item: Node) -> Gate:
    item.allow_only(PROVENANCE | {"key", "after", "kind", "blocks", "rule", "deadline_days"})
    after = item.child("after")
    if after is None:
        item.fault("after", "required", "A gate says after which session it stands.")
        after = Node({}, item.at("after"), FaultList())
    after.allow_only(PROVENANCE | {"step", "count"})
    return Gate(
        key=item.code("key"),
        step=after.code("step"),
        count=after.whole("count", least=1, most=MOST_SESSIONS) or 1,
        kind=cast("GateKind", item.choice("kind", ("hard", "soft"))),
        blocks=item.optional_code("blocks"),
        rule=item.text("rule", default=""),
        deadline_days=item.optional_whole("deadline_days", least=1, most=MOST_DAYS),
    )
