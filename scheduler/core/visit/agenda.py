"""The reading of what is asked and done on the visit's day: checklist and tasks, with every fault in them.

What an answer is worth, and when a task falls due, does not live here.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import cast

from scheduler.core.document import Node
from scheduler.core.visit.values import AnswerKind, CheckItem, CheckPoint, Effect, TaskAnchor, VisitTask

MOST_MINUTES = 30 * 24 * 60
MOST_DAYS = 366
LARGEST = 1_000_000

_EFFECTS = ("blocks", "warns")
_POINTS = ("check_in", "start", "discharge")
_ANSWERS = ("text", "number")
_ANCHORS = ("start", "dose", "last_device", "discharge")


_ITEM_KEYS = {"key", "label", "effect", "at", "value", "min", "max", "unit", "same_day", "asks"}


def read_checklist(node: Node, provenance: AbstractSet[str]) -> tuple[CheckItem, ...]:
    """The items of `checklist`, in their order; none when it is not there."""
    found: list[CheckItem] = []
    for item in node.children("checklist", required=False):
        item.allow_only(provenance | _ITEM_KEYS)
        least, most = (item.optional_whole(key, least=-LARGEST, most=LARGEST) for key in ("min", "max"))
        value = item.choice("value", _ANSWERS) if item.has("value") else None
        check = CheckItem(
            key=item.code("key"),
            label=item.text("label"),
            effect=cast("Effect", item.choice("effect", _EFFECTS)),
            at=cast("CheckPoint", item.choice("at", _POINTS)),
            value=cast("AnswerKind | None", value),
            least=least,
            most=most,
            unit=item.text("unit") if item.has("unit") else None,
            same_day=item.flag("same_day", default=False),
            asks=read_by_language(item, "asks"),
        )
        if value != "number" and (item.has("min") or item.has("max")):
            item.fault("value", "range_without_number", "Only an answer in numbers has a least and a most.")
        elif least is not None and most is not None and least > most:
            item.fault("max", "empty_range", f"No number is at least {least} and at most {most}.")
        if check.key and any(check.key == earlier.key for earlier in found):
            item.fault("key", "duplicate_item", f"Two items of the checklist have the key '{check.key}'.")
        found.append(check)
    return tuple(found)


def read_by_language(node: Node, key: str) -> tuple[tuple[str, str], ...]:
    """What patients read, by the tag of its language."""
    said = node.child(key)
    return tuple((language, said.text(language)) for language in said.value) if said is not None else ()


def read_tasks(node: Node, provenance: AbstractSet[str]) -> tuple[VisitTask, ...]:
    """The items of `tasks`, in their order; none when it is not there."""
    found: list[VisitTask] = []
    for item in node.children("tasks", required=False):
        item.allow_only(provenance | {"key", "label", "anchor", "offset_minutes", "offset_days", "remind_days"})
        task = VisitTask(
            key=item.code("key"),
            label=item.text("label"),
            anchor=cast("TaskAnchor", item.choice("anchor", _ANCHORS)),
            offset_minutes=item.optional_whole("offset_minutes", least=-MOST_MINUTES, most=MOST_MINUTES),
            offset_days=item.optional_whole("offset_days", least=-MOST_DAYS, most=MOST_DAYS),
            remind_days=item.wholes("remind_days", least=0, most=MOST_DAYS),
        )
        if any(task.offset_days is None or days >= task.offset_days for days in task.remind_days):
            item.fault("remind_days", "not_before_due", "A task is urged on before the day on which it is due.")
        if item.has("offset_minutes") == item.has("offset_days"):
            item.fault((), "needs_one_offset", "A task has either offset_minutes or offset_days.")
        if task.key and any(task.key == earlier.key for earlier in found):
            item.fault("key", "duplicate_task", f"Two tasks have the key '{task.key}'.")
        found.append(task)
    return tuple(found)
