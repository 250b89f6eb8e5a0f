"""The reading of message rules from their documents, with every fault in them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import time
from typing import Any, cast

from scheduler.core.document import FaultList, Node
from scheduler.core.reminders.quiet import parse_clock
from scheduler.core.reminders.values import (
    CHANNELS,
    KINDS,
    PASSING,
    SPOKEN_KINDS,
    TASK,
    TASK_KINDS,
    VOICE,
    Anchor,
    Class,
    Event,
    Quiet,
    Rule,
    Side,
    When,
    Window,
)

_CLASSES = ("reminder", "instruction", "change", "check_in", "staff_task")
_EVENTS = ("visit", "booked", "rescheduled", "cancelled", "correction", "course", "course_changed")
_SIDES = ("before", "after", "now")
_QUIET = ("move", "skip", "urgent")
_ANCHORS = ("start", "end", "booked", "fast_start", "next_dose")
_PROVENANCE = {"grade", "source", "note"}
_RULE_KEYS = _PROVENANCE | {
    "key", "kind", "class", "event", "channels", "side", "at", "expires", "quiet", "catch_up", "ahead_of_fast", "only",
    "yields", "must_arrive_by", "merges", "exempt", "enabled", "escalate",
}  # fmt: skip
_ONLY_KEYS = {
    "kinds", "modalities", "visit_types", "steps", "first_of_course", "first_dose", "fast_starts_in_night",
    "least_gap_days", *PASSING,
}  # fmt: skip
#: An organization has at most so many rules.
MOST_RULES = 100
_FARTHEST_MINUTES = 60 * 24 * 60
_FARTHEST_DAYS = 60
#: What is appended to it must find room in a column.
_LONGEST_KEY = 50


def parse_rules(docs: Sequence[Any]) -> tuple[Rule, ...]:
    """The rules of a list of documents, or `Invalid` with every fault in them; pointers begin with the list's index."""
    faults = FaultList()
    if len(docs) > MOST_RULES:
        faults.add("", "too_many", f"There are {len(docs)} rules; {MOST_RULES} at most.")
    nodes = [Node.of(doc, f"/{index}", faults) for index, doc in enumerate(docs)]
    rules = tuple(_read_rule(node) for node in nodes)
    keys = [rule.key for rule in rules]
    for index, (node, rule) in enumerate(zip(nodes, rules, strict=True)):
        if rule.key and rule.key in keys[:index]:
            node.fault("key", "duplicate_key", f"Two rules are named '{rule.key}'.")
        for other in sorted(rule.yields_to - set(keys)):
            node.fault(("yields", "to"), "unknown_rule", f"There is no rule '{other}' to yield to.")
    faults.raise_any("The list of message rules")
    return rules


def _read_rule(node: Node) -> Rule:
    node.allow_only(_RULE_KEYS)
    side = cast("Side", node.choice("side", _SIDES))
    evening, lead = _read_ahead_of_fast(node)
    yields_to, near = _read_yields(node)
    only = node.child("only") or Node({}, node.at("only"), node.faults)
    only.allow_only(_ONLY_KEYS)
    is_task = node.value.get("class") == "staff_task"
    rule = Rule(
        key=node.code("key"),
        kind=node.choice("kind", TASK_KINDS if is_task else KINDS),
        cls=cast("Class", node.choice("class", _CLASSES)),
        event=cast("Event", node.choice("event", _EVENTS, default="visit")),
        channels=_read_task_channel(node) if is_task else _read_channels(node),
        side=side,
        when=_read_when(node, "at", side),
        expires=_read_bound(node, "expires"),
        arrive_by=_read_bound(node, "must_arrive_by") if node.has("must_arrive_by") else None,
        quiet=cast("Quiet", node.choice("quiet", _QUIET, default="move")),
        catch_up=node.flag("catch_up", default=False),
        fast_lead_minutes=lead,
        evening=evening,
        kinds=frozenset(only.codes("kinds")),
        modalities=frozenset(only.codes("modalities")),
        visit_types=frozenset(only.codes("visit_types")),
        steps=frozenset(only.codes("steps")),
        first_of_course=_maybe(only, "first_of_course"),
        first_dose=_maybe(only, "first_dose"),
        fast_starts_in_night=_maybe(only, "fast_starts_in_night"),
        least_gap_days=only.whole("least_gap_days", least=0, most=366, default=0) or 0,
        unless=frozenset(passed for name, passed in PASSING.items() if only.flag(name, default=False)),
        yields_to=yields_to,
        yields_minutes=near,
        merges=node.flag("merges", default=False),
        exempt=node.flag("exempt", default=False),
        **_read_escalate(node),
        enabled=node.flag("enabled", default=True),
    )
    _check_whole(node, rule, evening)
    return rule


def _check_whole(node: Node, rule: Rule, evening: Window | None) -> None:
    """What no key shows by itself."""
    if (rule.side == "now") != (rule.when.anchor == "booked"):
        node.fault("at", "side_and_anchor", "What is sent now is anchored at `booked`, and nothing else is.")
    if rule.event != "visit" and rule.side == "after":
        node.fault("event", "event_and_side", "What follows a visit belongs to the event `visit`.")
    if (rule.cls == "change") != (rule.event != "visit"):
        node.fault("class", "class_and_event", "News of a change has an event of its own, and nothing else has.")
    if rule.cls == "instruction" and (rule.yields_to or rule.merges):
        node.fault("yields" if rule.yields_to else "merges", "instruction_kept", "An instruction is never merged away.")
    if rule.escalate_minutes and not (rule.cls in {"reminder", "instruction"} and rule.side == "before"):
        node.fault("escalate", "escalate_what", "Only what is said before a visit asks for a word, and can miss one.")
    if VOICE in rule.channels and rule.kind not in SPOKEN_KINDS and node.has("channels"):
        node.fault("channels", "not_spoken", f"A call can tell of {', '.join(sorted(SPOKEN_KINDS))} only.")
    if len(rule.key) > _LONGEST_KEY:
        node.fault("key", "too_long", f"The key of a rule has {_LONGEST_KEY} characters at most.")
    if evening is not None and rule.side != "before":
        node.fault("ahead_of_fast", "wrong_side", "Only what comes before a visit can come before its fast.")


def _read_task_channel(node: Node) -> tuple[str, ...]:
    if node.has("channels"):
        node.fault("channels", "task_without_channel", "A task goes to the staff's list, over no channel.")
    return (TASK,)


def _read_channels(node: Node) -> tuple[str, ...]:
    channels = node.codes("channels")
    if not channels:
        node.fault("channels", "empty", "A message needs at least one channel.")
    for index, name in enumerate(channels):
        if name not in CHANNELS:
            node.fault(("channels", index), "unknown_channel", f"'{name}' is none of {', '.join(CHANNELS)}.")
    return channels or CHANNELS


def _read_when(node: Node, key: str, side: Side) -> When:
    item = node.child(key)
    if item is None:
        node.fault(key, "required", f"'{key}' is missing.")
        return When("start")
    item.allow_only({"anchor", "minutes", "days", "from", "to", "gap_minutes"})
    anchor = cast("Anchor", item.choice("anchor", _ANCHORS))
    days = item.optional_whole("days", least=-_FARTHEST_DAYS, most=_FARTHEST_DAYS)
    minutes = item.optional_whole("minutes", least=-_FARTHEST_MINUTES, most=_FARTHEST_MINUTES)
    window = _read_window(item) if item.has("from") or item.has("to") else None
    if minutes is not None and (days is not None or window is not None):
        item.fault((), "two_moments", "A moment is told in minutes, or in days and times of day, not in both.")
    if item.has("gap_minutes") and (window is None or side != "after"):
        item.fault("gap_minutes", "gap_without_window", "A gap is kept by a window after its anchor only.")
    if window is not None and days is None and side != "before":
        item.fault("days", "required", "Only a window before its anchor may leave the day open.")
    forward = (minutes or days or 0) > 0
    backward = (minutes or days or 0) < 0 and anchor != "next_dose"  # which itself comes after the visit
    if (side == "before" and forward) or (side == "after" and backward):
        item.fault((), "wrong_side", f"This moment is not {side} its anchor.")
    return When(anchor, minutes or 0, days, window)


def _read_bound(node: Node, key: str) -> When:
    """A moment from which on it is too late: minutes from an anchor."""
    item = node.child(key)
    if item is None:
        node.fault(key, "required", "Every message says when it is no longer of use.")
        return When("start")
    item.allow_only({"anchor", "minutes"})
    anchor = cast("Anchor", item.choice("anchor", _ANCHORS))
    return When(anchor, item.whole("minutes", least=-_FARTHEST_MINUTES, most=_FARTHEST_MINUTES, default=0) or 0)


def _read_window(item: Node) -> Window:
    window = Window(
        opens=_read_clock(item, "from"),
        closes=_read_clock(item, "to"),
        gap_minutes=item.whole("gap_minutes", least=0, most=24 * 60, default=0) or 0,
    )
    if window.opens > window.closes:
        item.fault("to", "wrong_order", "The window closes before it opens.")
    return window


def _read_clock(item: Node, key: str) -> time:
    try:
        return parse_clock(item.text(key))
    except ValueError:
        if item.has(key):
            item.fault(key, "not_a_time", "A time of day such as 18:00 is expected here.")
        return time()


def _read_ahead_of_fast(node: Node) -> tuple[Window | None, int]:
    item = node.child("ahead_of_fast")
    if item is None:
        return None, 0
    item.allow_only({"minutes", "from", "to"})
    return _read_window(item), item.whole("minutes", least=0, most=48 * 60) or 0


def _read_yields(node: Node) -> tuple[frozenset[str], int]:
    item = node.child("yields")
    if item is None:
        return frozenset(), 0
    item.allow_only({"to", "minutes"})
    return frozenset(item.codes("to")), item.whole("minutes", least=0, most=7 * 24 * 60) or 0


def _read_escalate(node: Node) -> dict[str, Any]:
    item = node.child("escalate")
    if item is None:
        return {}
    item.allow_only({"minutes", "fasting"})
    minutes = item.whole("minutes", least=30, most=7 * 24 * 60) or 0
    return {"escalate_minutes": minutes, "escalate_fasting": item.flag("fasting", default=False)}


def _maybe(node: Node, key: str) -> bool | None:
    return node.flag(key, default=False) if node.has(key) else None
