"""The reading of the rules of time in a protocol: gaps in days, hours or clinic days, offsets, windows.

What rules mean together does not live here but in `checks` and `spacing`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from scheduler.core.document import Node
from scheduler.core.protocol.values import Edge, GapRule, Offsets, Rest, Window

MOST_DAYS = 366
PROVENANCE = {"grade", "source", "note"}
_DAY_HOURS = 24
_MINUTES = {"hours": 60, "days": 24 * 60}
_RULE_KEYS = PROVENANCE | {"unit", "min", "target", "max", "hard_max"}
_GAP_KEYS = _RULE_KEYS | {"edge", "min_hours"}


def read_rule(item: Node, key: str, *, anchored: bool = True) -> GapRule | None:
    """A rule in days, clinic days or hours: `entry` may name its anchor, and be 0 days; a `gap` has neither."""
    rule = item.child(key)
    if rule is None:
        return None
    entry = key == "entry"
    rule.allow_only(_GAP_KEYS | {"anchor"} if entry and anchored else _GAP_KEYS)
    unit = rule.choice("unit", ("days", "hours", "clinic_days"), default="days")
    most = MOST_DAYS * _DAY_HOURS if unit == "hours" else MOST_DAYS
    least = 0 if entry else 1
    minimum = rule.whole("min", least=least, most=most)
    maximum = rule.whole("max", least=least, most=most)
    targets = _read_targets(rule, minimum, maximum)
    anchor = rule.optional_code("anchor") if entry and anchored else None
    edge = cast("Edge", rule.choice("edge", ("start", "end"), default="start"))
    hard = rule.flag("hard_max", default=False)
    hours = rule.optional_whole("min_hours", least=1, most=MOST_DAYS * _DAY_HOURS)
    if minimum is None or maximum is None or not targets:
        return GapRule(1, (1,), MOST_DAYS, anchor)  # stands in, so that nobody also calls it missing
    _check_order(rule, minimum, maximum)
    if unit == "hours":
        if hours is not None:
            rule.fault("min_hours", "unknown_key", "A rule in hours has its hours in 'min'.")
        return replace(_in_hours(minimum, targets, maximum, anchor, edge), hard=hard)
    _check_hours(rule, hours, maximum)
    rest = None if hours is None else Rest(edge, hours * 60, None)
    return GapRule(minimum, targets, maximum, anchor, clinic_days=unit == "clinic_days", rest=rest, hard=hard)


def read_offsets(item: Node) -> Offsets | None:
    """The days of a step's sessions counted from an anchor, with the days of grace."""
    rule = item.child("offsets")
    if rule is None:
        return None
    rule.allow_only(PROVENANCE | {"anchor", "days", "early", "late"})
    early = rule.whole("early", least=0, most=MOST_DAYS, default=0)
    late = rule.whole("late", least=0, most=MOST_DAYS, default=0)
    days = rule.value.get("days")
    if not isinstance(days, list) or not days:
        rule.fault("days", "wrong_type", "A list of whole numbers is expected here, one for each session.")
        return None
    for index, day in enumerate(days):
        if isinstance(day, bool) or not isinstance(day, int) or not 0 <= day <= MOST_DAYS:
            rule.fault(("days", index), "wrong_type", f"A whole number from 0 to {MOST_DAYS} is expected here.")
            return None
        if index and day <= days[index - 1]:
            rule.fault(("days", index), "not_ascending", "Each session is on a later day than the one before.")
            return None
    return Offsets(rule.code("anchor"), tuple(days), early or 0, late or 0)


def _in_hours(minimum: int, targets: tuple[int, ...], maximum: int, anchor: str | None, edge: Edge) -> GapRule:
    """Hours as the days that they may span, with the hours themselves on top: a day may have 23 or 25 of them."""
    days = tuple((target + _DAY_HOURS // 2) // _DAY_HOURS for target in targets)
    first, last = max(minimum - 1, 0) // _DAY_HOURS, -(-(maximum + 1) // _DAY_HOURS) + (edge == "end")
    rest = Rest(edge, minimum * 60, maximum * 60)
    return GapRule(first, tuple(min(max(day, first), last) for day in days), last, anchor, rest=rest)


def _check_hours(rule: Node, hours: int | None, days: int) -> None:
    if hours is not None and hours >= (days + 1) * _DAY_HOURS:
        rule.fault("min_hours", "hours_above_days", f"{hours} hours never fit into {days} day(s).")


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


def read_window(item: Node) -> Window | None:
    """When the sessions of a leaf may start."""
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
    hard = rule.flag("hard_max", default=False)
    return Window(edge, minimum * scale, target * scale, maximum * scale, hard)
