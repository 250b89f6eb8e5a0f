"""Rules that were lifted for one course for good: which can be, how a course keeps them, and how it looks with them.

What else would help (people, rooms, hours, absences) is changed where it is kept, and not for one course.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import date
from typing import Any

from scheduler.core.course import SessionSpec
from scheduler.core.easing.lifting import eased_specs, eased_wishes
from scheduler.core.easing.rules import LIMITS, Rule
from scheduler.core.preferences import CoursePreferences

#: What the patient's own word lifts, by what of the preferences says otherwise.
WISHES = {
    "weekdays": ("weekdays",),
    "hours": ("earliest", "latest"),
    "blackout": ("blackouts",),
    "continuity": ("continuity",),
}
#: What can be granted to one course. No least time is among them.
GRANTABLE = frozenset({*WISHES, *LIMITS, "entry", "phase_max", "cap"})


def grantable(rules: Collection[Rule]) -> bool:
    """Whether a course can keep that change: all of it, or nothing."""
    return all(rule.code in GRANTABLE and rule.who is not None for rule in rules)


def as_said(rule: Rule, exceeded: Mapping[int, int]) -> tuple[Rule, ...]:
    """What a course keeps of a rule lifted for it. `exceeded`: by how much the promised plan goes beyond which limits.

    The words name each of these, and whoever grants them grants nothing else: the other sessions keep their limits.
    """
    if rule.code not in LIMITS or rule.index is not None or not exceeded:
        return (rule,)
    return tuple(replace(rule, index=index, amount=more) for index, more in sorted(exceeded.items()))


def stored(rules: Iterable[Rule]) -> list[dict[str, Any]]:
    """As a course keeps them."""
    return [
        {
            "code": rule.code,
            "who": rule.who,
            "index": rule.index,
            "amount": rule.amount,
            "hard": rule.hard,
            "start": rule.start.isoformat() if rule.start else None,
            "end": rule.end.isoformat() if rule.end else None,
            "dates": [day.isoformat() for day in sorted(rule.dates)],
        }
        for rule in rules
    ]


def read(documents: Iterable[Mapping[str, Any]]) -> tuple[Rule, ...]:
    """Those that a course keeps; grants that are older than days name none."""
    return tuple(
        Rule(
            each["code"],
            each["who"],
            index=each["index"],
            amount=each["amount"],
            hard=each["hard"],
            start=_day(each["start"]),
            end=_day(each["end"]),
            dates=frozenset(date.fromisoformat(day) for day in each.get("dates", ())),
        )
        for each in documents
    )


def specs_with(specs: tuple[SessionSpec, ...], rules: Collection[Rule]) -> tuple[SessionSpec, ...]:
    """The sessions of a course for which these were lifted."""
    return eased_specs(specs, rules) if rules else specs


def wishes_with(wish: CoursePreferences, rules: Collection[Rule]) -> CoursePreferences:
    """What is left of the patient's wishes."""
    return eased_wishes(wish, rules)


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)
