"""The reading of a visit's safety gates: what must be in order before the visit, how strongly, and from when on."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import cast

from scheduler.core.document import Node
from scheduler.core.visit.values import CheckItem, GateEffect, SessionGate

MOST_HOURS = 366 * 24

_EFFECTS = ("blocks_booking", "blocks_checkin", "warns")


def read_gates(
    node: Node,
    provenance: AbstractSet[str],
    checklist: Sequence[CheckItem],
    *,
    besides: Sequence[SessionGate] | None = None,
) -> tuple[SessionGate, ...]:
    """The items of `gates`, in their order; none when it is not there.

    In a step of a protocol they stand `besides` those of its visit type.
    """
    found: list[SessionGate] = []
    items = {item.key: item for item in checklist}
    keys = {"key", "label", "effect", "clearance", "item", "due_hours", "remind_hours", "release_hours"}
    keys |= {"first_only"} if besides is not None else set()
    for each in node.children("gates", required=False):
        each.allow_only(provenance | keys)
        gate = SessionGate(
            key=each.code("key"),
            label=each.text("label"),
            effect=cast("GateEffect", each.choice("effect", _EFFECTS)),
            due_hours=each.whole("due_hours", least=0, most=MOST_HOURS) or 0,
            clearance=each.optional_code("clearance"),
            item=each.optional_code("item"),
            remind_hours=each.wholes("remind_hours", least=0, most=MOST_HOURS),
            release_hours=each.optional_whole("release_hours", least=0, most=MOST_HOURS),
            first_only=each.flag("first_only", default=False),
        )
        if each.has("clearance") == each.has("item"):
            each.fault((), "needs_one_proof", "A gate is passed either by a clearance or by an item of the checklist.")
        elif gate.item is not None:
            _check_item(each, gate, items.get(gate.item))
        if any(hours >= gate.due_hours for hours in gate.remind_hours):
            each.fault("remind_hours", "not_after_due", "A gate is urged on after it is due, closer to the visit.")
        if gate.release_hours is not None and (gate.release_hours > gate.due_hours or gate.effect == "warns"):
            each.fault(
                "release_hours", "cannot_release", "A visit is let go once its gate is due, and for one that blocks."
            )
        if gate.key and any(gate.key == earlier.key for earlier in besides or ()):
            each.fault("key", "duplicate_gate", f"The visit type has a gate '{gate.key}' already.")
        if gate.key and any(gate.key == earlier.key for earlier in found):
            each.fault("key", "duplicate_gate", f"Two gates have the key '{gate.key}'.")
        found.append(gate)
    return tuple(found)


def _check_item(node: Node, gate: SessionGate, item: CheckItem | None) -> None:
    """An item can speak for a gate when it can be answered before the day, and blocks as much as the gate does."""
    if item is None:
        node.fault("item", "unknown_item", f"The checklist has no item '{gate.item}'.")
    elif item.same_day:
        node.fault(
            "item", "same_day_item", f"'{item.key}' counts only on the day itself: nobody can ask for it before."
        )
    elif gate.effect == "blocks_booking":
        node.fault(
            "effect", "asked_after_booking", "The checklist is answered after booking: only a clearance bars it."
        )
    elif gate.effect == "blocks_checkin" and (item.effect, item.at) != ("blocks", "check_in"):
        node.fault("item", "does_not_block", f"'{item.key}' does not block check-in.")
