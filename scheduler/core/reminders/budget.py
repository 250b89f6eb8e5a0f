"""How many texts and calls a patient gets: by their consent, or by the exemption for health care messages.

Under the exemption only a last reminder is a text (47 CFR 64.1200(a)(9)(iv); clinical.md T2): at most one a day and
three a week, texts and calls together, each of one SMS or a minute. The rest goes by e-mail. A clinic's own cap gives
way to what a patient must know; the law's gives way to nothing. What must be done before a visit of the coming days has
the first claim on the week's texts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import date, timedelta
from itertools import chain
from typing import NamedTuple

from scheduler.core.policies import Basis, Caps
from scheduler.core.reminders.values import VOICE, Class

#: What counts: it reaches a telephone.
COUNTED = frozenset({"sms", VOICE})


class Sendable(NamedTuple):
    """What the choice of a channel goes by: `channels` in the order of wish, of which `open_` reach the patient."""

    channels: Sequence[str]
    cls: Class
    urgent: bool
    exempt: bool


class Route(NamedTuple):
    """The channel that is taken, or none for the `reason`. `note` says what another would have been against."""

    channel: str | None
    reason: str | None = None
    note: str = ""


#: A week is seven days, whichever it begins with.
_WEEK = timedelta(days=6)


def below(caps: Caps, days: Iterable[date], today: date) -> bool:
    """Whether one more text today keeps the caps, with those of `days`: sent before, or to be sent on days to come."""
    if not caps.are_set:
        return True
    known = list(days)
    ends = {today, *(day for day in known if today < day <= today + _WEEK)}

    def fits(cap: int | None, back: timedelta) -> bool:
        weeks = (sum(end - back <= day <= end for day in known) for end in ends if end - back <= today)
        return cap is None or all(number < cap for number in weeks)

    return fits(caps.per_day, timedelta()) and fits(caps.per_week, _WEEK)


def route(
    one: Sendable,
    reach: Collection[str],
    basis: Basis,
    caps: Caps,
    days: Iterable[date],
    today: date,
    kept: Iterable[date] = (),
) -> Route:
    """By which channel a message goes now. What a patient must know may use the texts that are `kept` for such."""
    order = [name for name in one.channels if name in reach]
    if not order:
        return Route(None, "no_channel")
    if order[0] not in COUNTED:
        return Route(order[0])
    other = next((name for name in order if name not in COUNTED), None) if len(order) > 1 else None
    must = one.urgent or one.cls == "instruction"
    # Without an address for mail, what a patient must know is still a health care message.
    if basis == "exemption" and not one.exempt and (other is not None or not must):
        return Route(other, None if other else "exemption", "no consent to texts")
    # Without another way a clinic's own cap stops no instruction, and none is kept for it.
    spared = () if must or (basis == "consent" and other is None) else kept
    if below(caps, chain(days, spared), today) or (basis == "consent" and must and other is None):
        return Route(order[0])
    return Route(other, None if other else "over_cap", "over the cap for texts")
