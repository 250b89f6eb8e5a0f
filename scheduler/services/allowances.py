"""By how much a plan may go beyond longest times where none keeps all of them: by the least, limit by limit.

No least time between sessions is ever shortened, and what a protocol makes hard is never exceeded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import reduce
from typing import TYPE_CHECKING, Any

from scheduler.core.easing import Rule, Scene, finer, lifted
from scheduler.core.planner.explain import correction, least

if TYPE_CHECKING:
    from scheduler.services.planning import Desk

#: Limits that are exceeded, each with its amount: days, or hours for rests and windows.
Allowances = tuple[Rule, ...]
#: Whether there is a plan once these limits are exceeded.
Enough = Callable[[Allowances], bool]

#: By how many days limits may be exceeded when nothing else is left: such sessions are shown as broken.
LATE = (1, 2, 3, 5, 7, 10, 14, 21, 28, 42)
_DAY_HOURS = 24


def widened(desk: Desk, allowed: Allowances) -> Desk:
    """The desk with these longest times longer."""
    if not allowed:
        return desk
    return replace(desk, specs=lifted(_scene(desk), allowed).specs)


def all_alike(desk: Desk, days: int, *, windows: bool) -> Allowances:
    """Every longest time that many days longer, where it is not hard; windows of talks only when they may be."""
    scene = _scene(desk)
    coarse = [Rule("gap_max", amount=days), Rule("bound_max", amount=days), Rule("rest_max", amount=days * _DAY_HOURS)]
    found = [each for rule in coarse for each in finer(scene, rule, ())]
    phases = {spec.span[0] for spec in desk.specs if spec.span is not None and not spec.span_hard}
    found += [Rule("phase_max", index=first, amount=days) for first in phases]
    found.sort(key=lambda rule: rule.index or 0)
    return (*found, *(finer(scene, Rule("window_max", amount=days * _DAY_HOURS), ()) if windows else ()))


def enough(desk: Desk, possible: Enough) -> Iterator[Allowances]:
    """What leaves a plan, as far as anybody can tell without asking for people: the least first.

    Of the least days that all limits together must give, first only the limits that must give any, each its own least.
    Where something has to give, it is an early limit rather than a late one, and a window only where gaps do not help.
    """
    for windows in (False, True):
        days = least(LATE, lambda more: possible(all_alike(desk, more, windows=windows)))  # noqa: B023 - called at once
        if days is not None:
            alike = all_alike(desk, days, windows=windows)
            needed = correction(alike, lambda some: possible(tuple(some))) or alike
            yield reduce(lambda known, place: _with_least(known, place, possible), range(len(needed)), needed)
            yield alike


def _with_least(allowed: Allowances, place: int, possible: Enough) -> Allowances:
    """The same limits, one exceeded by no more than it must while the others are exceeded as they are."""

    def with_amount(amount: int) -> Allowances:
        return (*allowed[:place], replace(allowed[place], amount=amount), *allowed[place + 1 :])

    amount = least(range(1, allowed[place].amount), lambda more: possible(with_amount(more)))
    return allowed if amount is None else with_amount(amount)


def stored(allowed: Allowances) -> list[list[Any]]:
    """As a plan keeps them."""
    return [[rule.code, rule.index, rule.amount] for rule in allowed]


def read(body: Mapping[str, Any]) -> Allowances:
    """Those of a stored plan."""
    kept: Sequence[Sequence[Any]] = body.get("beyond", ())
    return tuple(Rule(code, index=index, amount=amount) for code, index, amount in kept)


def _scene(desk: Desk) -> Scene:
    return Scene(desk.specs, {}, desk.loaded.site, desk.preferences)
