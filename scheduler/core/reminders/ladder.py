"""By which channels a patient is told, in which order, and what follows a message that nobody answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final

from scheduler.core.reminders.quiet import next_open
from scheduler.core.reminders.values import TASK, Owed, Recipient, Rule, Visit

#: What a person is asked to do when every channel has been tried, and where there is none to try.
CALL: Final = "confirm_by_call"
UNREACHABLE: Final = "patient_unreachable"
#: What a person is asked to do in place of a message that it is too late for.
UNTOLD: Final = "patient_untold"
#: What a person is asked to do after a visit: to ask how its patient is, and to say whether it took place at all.
FOLLOW_UP: Final = "follow_up_by_call"
UNRECORDED: Final = "visit_unrecorded"

#: Of these a patient must hear in some way. News of a change sees to that by itself.
_HEARD = frozenset({"reminder", "instruction", "change"})
_OWED_AHEAD = frozenset({"visit", "booked", "course"})


@lru_cache(maxsize=256)
def in_order(channels: tuple[str, ...], preferred: str | None) -> tuple[str, ...]:
    """The channels of a rule, the one that the patient prefers first if it is among them."""
    return channels if preferred is None else tuple(sorted(channels, key=lambda name: name != preferred))


def reach(rule: Rule, recipient: Recipient) -> tuple[str, ...]:
    """The channels by which this rule can tell this patient, in order."""
    return tuple([name for name in in_order(rule.channels, recipient.prefers) if name in recipient.channels])


def escalates(rule: Rule, visit: Visit) -> bool:
    """Whether the message is followed by others until somebody confirms."""
    return bool(rule.escalate_minutes) and not (rule.escalate_fasting and visit.fast_start is None)


def instructs(rule: Rule, visit: Visit) -> bool:
    """Whether it says what is to be done before the visit: the shipped word on eating by day is a reminder's."""
    return rule.side == "before" and (rule.cls == "instruction" or (rule.escalate_fasting and escalates(rule, visit)))


def rungs(rule: Rule, visit: Visit, recipient: Recipient, first: Owed, now: datetime) -> Iterator[Owed]:
    """What follows `first` unless somebody confirms: the same over each further channel, and then a call.

    Of an instruction a yes that came before it is no answer: who says yes afterwards ends it, whoever hears that. Where
    it is too late for a message, a person calls at once.
    """
    must_do = instructs(rule, visit)
    if first.suppressed == "too_late" and now < visit.starts_at and (must_do or rule.unless):
        due = _call_at(visit, recipient, first, max(now, min(first.due_at, first.expires_at)))
        yield replace(
            first, rule=f"{rule.key}+call", of=rule.key, kind=CALL if must_do else UNTOLD, cls="staff_task",
            channel=TASK, channels=(TASK,), due_at=due, expires_at=visit.starts_at, merges=False, urgent=False,
            arrive_by=None, suppressed=None, note="too late for a message",
        )  # fmt: skip
    if not escalates(rule, visit) or first.suppressed not in {None, "no_channel"}:
        return
    step, channels = timedelta(minutes=rule.escalate_minutes), reach(rule, recipient)
    unless = frozenset() if must_do else frozenset({"confirmed"})
    rung = replace(
        first, of=rule.key, unless=first.unless | unless, merges=False, urgent=False, arrive_by=None,
        suppressed=min(unless & visit.passed, default=None),
        note=f"unless somebody has confirmed{' since' if must_do else ''}",
    )  # fmt: skip
    told = first.due_at
    for channel in channels[1:]:
        due = next_open(recipient, told + step)
        late = "too_late" if due >= first.expires_at else None
        told = told if late else due
        yield replace(
            rung, rule=f"{rule.key}+{channel}", channel=channel, channels=(channel,), due_at=due,
            suppressed=rung.suppressed or late,
        )  # fmt: skip
    due = _call_at(visit, recipient, first, told + step if channels else told)
    # What a message is too late to say, a person can still ask.
    until = visit.starts_at if must_do else first.expires_at
    yield replace(
        rung, rule=f"{rule.key}+call", kind=CALL, cls="staff_task", channel=TASK, channels=(TASK,), due_at=due,
        expires_at=until, suppressed=rung.suppressed or ("too_late" if due >= until else None),
    )  # fmt: skip


def _call_at(visit: Visit, recipient: Recipient, first: Owed, moment: datetime) -> datetime:
    """That moment; in quiet hours the morning after, unless the fast would have begun or the visit be near by then."""
    opens = next_open(recipient, moment)
    ends = [end for end in (first.arrive_by, visit.fast_start, first.expires_at) if end is not None and end > moment]
    return opens if opens < min(ends, default=moment) else moment


def unreached(rules: Sequence[Rule], owed: Sequence[Owed]) -> Iterator[Owed]:
    """One task in place of all that no channel brings to this patient, when the first of it would have been due."""
    lost = [
        one
        for rule, one in zip(rules, owed, strict=True)
        if one.suppressed == "no_channel" and one.cls in _HEARD and rule.event in _OWED_AHEAD
    ]
    if lost:
        first = min(lost, key=lambda one: one.due_at)
        yield replace(
            first, rule="staff+no_channel", of=first.rule, kind=UNREACHABLE, cls="staff_task", channel=TASK,
            channels=(TASK,), expires_at=max(one.expires_at for one in lost), suppressed=None, note="",
            unless=frozenset(), merges=False, urgent=False, arrive_by=None,
        )  # fmt: skip
