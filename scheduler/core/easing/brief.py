"""The reasons of a refusal in one sentence: what is alike said once, the three that matter most, the rest counted.

How each reads by itself is `words`'.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from uuid import UUID

from scheduler.core.easing.rules import LIMITS, WHO, Rule
from scheduler.core.easing.words import Spoken, listed, one_of, said

#: So many reasons are said.
MOST = 3
#: So many people are named for one reason.
_NAMED = 2
#: Of more days than that a number tells nothing.
_MANY_DAYS = 31
#: What the patient wants, and may want otherwise.
WISHES = ("weekdays", "hours", "blackout")
_AWAY = "the patient is away "

#: For a pool: on how many of how many days it leaves the session no start.
Lacking = Callable[[str], tuple[int, int]]


def brief(rules: Sequence[Rule], spoken: Spoken, lacking: Lacking, before: Collection[Rule] = ()) -> str:
    """The reasons, first those that are easiest to do something about, in their own order, and how many more.

    Those that are `before` are in the way of the sessions before the one that cannot be placed, and not of that.
    """
    groups: dict[Hashable, list[Rule]] = {}
    for rule in rules:
        groups.setdefault(_alike(rule), []).append(rule)
    some = list(groups.values())
    matter = sorted(sorted(range(len(some)), key=lambda place: _ease(some[place]))[:MOST])
    texts = [_together(some[place], spoken, lacking, before) for place in matter]
    more = len(some) - len(texts)
    return " ⇄ ".join(texts) + (f" ⇄ {more} more" if more else "")


def _alike(rule: Rule) -> Hashable:
    """What is said in one breath: all about one pool, all wishes, and limits of one kind."""
    if rule.selector is not None or rule.code in WISHES:
        return rule.selector
    return (rule.code, rule.hard) if rule.code in LIMITS else rule


def _ease(rules: Sequence[Rule]) -> int:
    """How hard it is to find somebody who can grant it; another nurse is a manager's to find."""
    found = [WHO.index("manager" if rule.selector else rule.who) for rule in rules if rule.who or rule.selector]
    return min(found, default=len(WHO))


def _together(rules: Sequence[Rule], spoken: Spoken, lacking: Lacking, before: Collection[Rule]) -> str:
    first, *others = rules
    if first.selector is not None:
        return _pool([rule for rule in rules if rule not in before], spoken, lacking, _earlier(rules, before))
    if first.code in WISHES:
        return _wishes([said(rule, spoken)[0] for rule in rules])
    more = f" and {len(others)} like it" if others else ""
    return said(first, spoken)[0] + more


def _wishes(texts: Sequence[str]) -> str:
    """All of them, with what is the same of several times away said once."""
    away = [text.removeprefix(_AWAY) for text in texts if text.startswith(_AWAY)]
    others = [text for text in texts if not text.startswith(_AWAY)]
    return listed([*others, _AWAY + listed(away)] if away else others)


def _pool(rules: Sequence[Rule], spoken: Spoken, lacking: Lacking, earlier: tuple[str, str]) -> str:
    """Who of the pool is away, and why nobody else of it can: they are off duty, or others have them."""
    subject, then = earlier
    if not rules:
        return subject + then
    selector = rules[0].selector or ""
    one, codes = one_of(selector), {rule.code for rule in rules}
    away = [rule for rule in rules if rule.code == "resource_absent"]
    if len(rules) == 1 and codes & {"resource_absent", "not_qualified"}:
        return said(rules[0], spoken)[0] + (f" and {subject}{then}" if then else "")
    why = [word for code, word in _state(selector).items() if code in codes]
    other = "other " * bool(away)
    parts = [_absent(away, spoken.names, one)] if away else []
    parts += [f"every {other}{one} is {' or '.join(why)}"] if why else []
    more = (f" and {then.lstrip()}" if why else f" and {subject}{then}") if then else ""
    return (" and ".join(parts) or f"no {one} is free") + _on_days(*lacking(selector)) + more


def _earlier(rules: Sequence[Rule], before: Collection[Rule]) -> tuple[str, str]:
    """What of a pool is in the way of the sessions before alone: of whom, and what; nothing where nothing is."""
    selector, codes = rules[0].selector or "", {rule.code for rule in rules if rule in before}
    why = [word for code, word in _state(selector).items() if code in codes]
    return f"every {one_of(selector)} is", f" {' or '.join(why)} at the sessions before it" if why else ""


def _state(selector: str) -> Mapping[str, str]:
    off = "off duty" if selector.startswith("role:") else "closed"
    return {"off_duty": off, "resource_busy": "taken by other visits"}


def _absent(rules: Sequence[Rule], names: Mapping[UUID, str], one: str) -> str:
    who = list(dict.fromkeys(names.get(rule.resource_id, one) if rule.resource_id else one for rule in rules))
    more = len(who) - _NAMED
    shown = listed([*who[:_NAMED], f"{more} more"] if more > 0 else who)
    return f"{shown} {'is' if len(who) == 1 else 'are'} absent"


def _on_days(some: int, every: int) -> str:
    """On how many of the days on which the session might be."""
    if not some or every == 1 or every > _MANY_DAYS:
        return ""
    return f" on each of the {every} days" if some == every else f" on {some} of the {every} days"
