"""Rules that are lifted on some days alone: what is granted is then what the words say, and no more."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import date

from scheduler.core.easing.brief import WISHES
from scheduler.core.easing.rules import DATED, Rule
from scheduler.core.easing.words import MANY


def limited(rules: Iterable[Rule], some: Collection[tuple[Rule, date]]) -> tuple[Rule, ...]:
    """The rules, lifted on the days that some of them have here; wishes on all, where the words could not name so many.

    What can be lifted day by day and has no day is not lifted.
    """
    found = []
    for rule in rules:
        dates = frozenset(day for each, day in some if each == rule)
        if rule.code not in DATED or (rule.code in WISHES and len(dates) > MANY):
            found.append(rule)
        elif dates:
            found.append(replace(rule, dates=dates))
    return tuple(found)
