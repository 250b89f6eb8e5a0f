"""The checklist of a visit: what answers are in form, what they settle, and what stays open at a point of the visit.

Whose override counts is not decided here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Literal

from scheduler.core.civil import day_bounds, to_local
from scheduler.core.document import escape
from scheduler.core.errors import Fault, refuse
from scheduler.core.visit import CheckItem, CheckPoint

Why = Literal["missing", "failed", "out_of_range", "outdated"]

#: A value that names something is at most this long.
LONGEST = 500
#: Who says what a visit's page asks.
PATIENT = "patient"


@dataclass(frozen=True)
class Open:
    """An item that stands in the way, or gives a warning, and why."""

    item: CheckItem
    why: Why

    @property
    def detail(self) -> str:
        """One plain sentence."""
        return f"{self.item.label}: {_SAYS[self.why].format(range=_range(self.item))}."


_SAYS = {
    "missing": "not answered",
    "failed": "answered with no",
    "out_of_range": "not {range}",
    "outdated": "not answered on the day of the visit",
}


def merged(
    items: Iterable[CheckItem],
    kept: Mapping[str, Mapping[str, Any]],
    given: Mapping[str, Mapping[str, Any]],
    *,
    at: datetime,
    by: str,
) -> dict[str, dict[str, Any]]:
    """The answers kept, with those given at `at` (aware) by `by` laid over them, each as {ok, value, by, note, at}.

    Raises Invalid naming every answer to no item, and every value that is not of its item's kind.
    """
    known = {item.key: item for item in items}
    faults: list[Fault] = []
    found = {key: dict(answer) for key, answer in kept.items()}
    for key, answer in given.items():
        pointer = f"/checklist/{escape(key)}"
        if key not in known:
            faults.append(Fault(pointer, "unknown_item", f"The checklist has no item '{key}'."))
            continue
        value = answer.get("value")
        if value is not None and not _is_of_kind(known[key], value):
            faults.append(Fault(f"{pointer}/value", "wrong_type", f"A {known[key].value or 'plain yes'} is asked for."))
        found[key] = {
            "ok": answer["ok"],
            "value": value,
            "by": answer.get("by") or by,
            "note": answer.get("note"),
            "at": at.isoformat(),
        }
    refuse(faults)
    return found


def unsettled(
    items: Iterable[CheckItem], answers: Mapping[str, Mapping[str, Any]], point: CheckPoint, day: date, time_zone: Any
) -> tuple[Open, ...]:
    """The items of that point that are not settled, in the checklist's order. An item that was waived is settled.

    `day` is the visit's local day, `time_zone` its tzinfo.
    """
    found = []
    for item in items:
        if item.at == point:
            why = _why(item, answers.get(item.key), day, time_zone)
            if why is not None:
                found.append(Open(item, why))
    return tuple(found)


def waived(
    answers: Mapping[str, Mapping[str, Any]], keys: Collection[str], *, by: str, reason: str, at: datetime
) -> dict[str, dict[str, Any]]:
    """The answers with these items waived by a named person; an item without an answer gets one that says no."""
    found = {key: dict(answer) for key, answer in answers.items()}
    for key in keys:
        blank = {"ok": False, "value": None, "by": by, "note": None, "at": at.isoformat()}
        found[key] = found.get(key, blank) | {"waived": {"by": by, "reason": reason, "at": at.isoformat()}}
    return found


def too_early(starts_at: datetime, time_zone: str, at: datetime, minutes: int | None) -> str | None:
    """Why nobody is received for the visit at that moment: its window (its local day without one) is still ahead."""
    day = to_local(starts_at, time_zone).date()
    opens = day_bounds(day, time_zone)[0] if minutes is None else starts_at - timedelta(minutes=minutes)
    if at >= opens:
        return None
    return f"The visit is on {day}: nobody is received for it before {to_local(opens, time_zone):%Y-%m-%d %H:%M}."


def of_any_time(answers: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The answers without the patient's own: who drives, and what was understood, was said of the time of the visit."""
    return {key: dict(answer) for key, answer in answers.items() if answer["by"] != PATIENT}


def unwaived(answers: Mapping[str, Mapping[str, Any]], items: Sequence[CheckItem]) -> dict[str, dict[str, Any]]:
    """The answers without the waivers of these items: a waiver goes with the move that it allowed."""
    keys = {item.key for item in items}
    return {
        key: {name: part for name, part in answer.items() if name != "waived" or key not in keys}
        for key, answer in answers.items()
    }


def _why(item: CheckItem, answer: Mapping[str, Any] | None, day: date, time_zone: Any) -> Why | None:
    if answer is not None and answer.get("waived"):
        return None
    if answer is not None and not answer["ok"]:
        return "failed"
    if answer is None or (item.value is not None and answer.get("value") in (None, "")):
        return "missing"
    if item.value == "number" and not _is_in_range(item, answer["value"]):
        return "out_of_range"
    if item.same_day and datetime.fromisoformat(answer["at"]).astimezone(time_zone).date() != day:
        return "outdated"
    return None


def _is_of_kind(item: CheckItem, value: Any) -> bool:
    if item.value == "number":
        return isinstance(value, int | float) and not isinstance(value, bool)
    return item.value == "text" and isinstance(value, str) and len(value) <= LONGEST


def _is_in_range(item: CheckItem, value: float) -> bool:
    return (item.least is None or item.least <= value) and (item.most is None or value <= item.most)


def _range(item: CheckItem) -> str:
    bounds = []
    if item.least is not None:
        bounds.append(f"at least {item.least}")
    if item.most is not None:
        bounds.append(f"at most {item.most}")
    return " and ".join(bounds) + (f" {item.unit}" if item.unit else "")
