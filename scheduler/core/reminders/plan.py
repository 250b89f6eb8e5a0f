"""From rules and a visit to the messages owed. Everything is elapsed in UTC but what a rule says by the wall clock.

A message before the visit that falls into quiet hours moves earlier, one after it later. What would come too late is
still returned, as suppressed, with the reason: nothing disappears without a word.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, time, timedelta

from scheduler.core.civil import to_instant, to_local
from scheduler.core.reminders.ladder import escalates, in_order, instructs, reach, rungs, unreached
from scheduler.core.reminders.quiet import next_open, previous_close, resting
from scheduler.core.reminders.values import TASK, Event, Owed, Recipient, Rule, Visit, When, Window

#: A fast that starts in here cannot be announced on the day: it is said the evening before (clinical.md 8.2, grade N).
NIGHT_FROM, NIGHT_TO = time(21), time(9)

#: The last word before a visit: where there is something to prepare, no other message says it.
_LAST_WORDS = frozenset({"remind_24h", "night_before"})

#: What quiet hours move to the evening before is spread over so many minutes (clinical.md 8.2: "minus a jitter").
SPREAD = 10

#: Changes of what was told before, which may be undone until their news leaves.
_UNDONE = frozenset({"rescheduled", "course_changed"})

#: What a clinical hold silences. News of a change is still told, and people still have their tasks.
HELD_CLASSES = frozenset({"reminder", "instruction", "check_in"})


def plan_messages(
    rules: Iterable[Rule], visit: Visit, recipient: Recipient, now: datetime, event: Event = "booked"
) -> tuple[Owed, ...]:
    """What is owed to the recipient when `event` happens to the visit at `now` (aware), by due time.

    `booked`, `rescheduled` and `course_changed` also owe all that the visit itself calls for. Nothing of that leaves
    before the news of a change may: until then it can be undone.
    """
    wanted = [rule for rule in rules if _applies(rule, visit, event)]
    news = [_instant(rule.when, visit, now) for rule in wanted if rule.event in _UNDONE]
    owed = [_owe(rule, visit, recipient, now, max(news, default=now)) for rule in wanted]
    for place, rule in enumerate(wanted):
        owed[place] = _yielded(rule, visit, owed[place], owed)
    firsts = tuple(owed)
    for rule, first in zip(wanted, firsts, strict=True):
        owed += rungs(rule, visit, recipient, first, now)
    owed += unreached(wanted, firsts)
    return tuple(sorted(owed, key=lambda one: (one.due_at, one.rule)))


def _applies(rule: Rule, visit: Visit, event: Event) -> bool:
    if rule.event != event and not (rule.event == "visit" and event in {"booked", *_UNDONE}):
        return False
    if not rule.enabled or (visit.fast_start is None and rule.when.anchor == "fast_start"):
        return False
    if (rule.when.anchor == "next_dose" or rule.least_gap_days) and (visit.gap_days or -1) < rule.least_gap_days:
        return False
    if "forms_complete" in rule.unless and not visit.has_forms:
        return False
    return (
        (not rule.kinds or visit.kind in rule.kinds)
        and (not rule.modalities or visit.modality in rule.modalities)
        and (not rule.visit_types or visit.visit_type in rule.visit_types)
        and (not rule.steps or visit.step in rule.steps)
        and rule.first_of_course in {None, visit.first_of_course}
        and rule.first_dose in {None, visit.first_dose}
        and rule.fast_starts_in_night in {None, _fasts_from_night(visit)}
    )


def _fasts_from_night(visit: Visit) -> bool:
    if visit.fast_start is None:
        return False
    clock = to_local(visit.fast_start, visit.time_zone).time()
    return clock >= NIGHT_FROM or clock < NIGHT_TO


def _owe(rule: Rule, visit: Visit, recipient: Recipient, now: datetime, ready: datetime) -> Owed:
    raw = _ahead_of_fast(rule, visit, _instant(rule.when, visit, now))
    expires = _instant(rule.expires, visit, now)
    arrive_by = None if rule.arrive_by is None else min(_instant(rule.arrive_by, visit, now), expires)
    channel = TASK if TASK in rule.channels else next(iter(reach(rule, recipient)), None)
    if channel == TASK:
        due, note, suppressed = raw, "", "past" if raw < now and not rule.catch_up else None
    else:
        due, note, suppressed = _settled(rule, visit, recipient, raw, now, ready, expires)
    if suppressed is None:
        if visit.held and rule.cls in HELD_CLASSES:
            suppressed = "on_hold"
        elif rule.unless & visit.passed:
            suppressed = min(rule.unless & visit.passed)
        elif channel is None:
            suppressed = "no_channel"
        elif due >= expires:
            suppressed = "too_late"
    return Owed(
        rule=rule.key,
        kind=rule.kind,
        cls=rule.cls,
        channel=channel or rule.channels[0],
        due_at=due,
        expires_at=expires,
        suppressed=suppressed,
        note=note,
        urgent=rule.quiet == "urgent",
        arrive_by=arrive_by,
        merges=rule.merges and (rule.kind not in _LAST_WORDS or not (visit.escort or visit.fast_start)),
        channels=in_order(rule.channels, recipient.prefers),
        unless=rule.unless,
        instructs=rule.cls == "instruction" or instructs(rule, visit),
    )


def _instant(when: When, visit: Visit, now: datetime) -> datetime:
    """The moment that a rule names, before anybody's quiet hours."""
    match when.anchor:
        case "start":
            anchor = visit.starts_at
        case "end":
            anchor = visit.ends_at
        case "booked":
            anchor = now
        case "fast_start":
            anchor = visit.fast_start or visit.starts_at
        case "next_dose":
            anchor = _days_after(visit, visit.gap_days or 0)
    if when.window is not None:
        return _in_window(when.window, when.days, anchor, visit.time_zone)
    if when.days is not None:
        local = to_local(anchor, visit.time_zone) + timedelta(days=when.days)
        return to_instant(local, visit.time_zone, "compatible")
    return anchor + timedelta(minutes=when.minutes)


def _days_after(visit: Visit, days: int) -> datetime:
    """That many calendar days after the visit's start, at the same wall time."""
    local = to_local(visit.starts_at, visit.time_zone) + timedelta(days=days)
    return to_instant(local, visit.time_zone, "compatible")


def _in_window(window: Window, days: int | None, anchor: datetime, zone_name: str) -> datetime:
    local = to_local(anchor, zone_name)
    if days is None:
        over = datetime.combine(local.date(), window.closes) <= local
        days = 0 if over else -1
    opens = datetime.combine(local.date() + timedelta(days=days), window.opens)
    earliest = to_instant(opens, zone_name, "compatible")
    return max(earliest, anchor + timedelta(minutes=window.gap_minutes)) if window.gap_minutes else earliest


def _ahead_of_fast(rule: Rule, visit: Visit, raw: datetime) -> datetime:
    """What must be read well before the fast begins, and would not be, goes out the evening before it."""
    if visit.fast_start is None or rule.evening is None:
        return raw
    if raw <= visit.fast_start - timedelta(minutes=rule.fast_lead_minutes):
        return raw
    return min(raw, _in_window(rule.evening, None, visit.fast_start, visit.time_zone))


def _settled(
    rule: Rule, visit: Visit, recipient: Recipient, raw: datetime, now: datetime, ready: datetime, expires: datetime
) -> tuple[datetime, str, str | None]:
    """When it is due after quiet hours and the present have had their say, a note, and why it is suppressed."""
    if rule.side == "now":
        return (*_at_once(rule, visit, recipient, raw), None)
    due = _before_the_close(visit, recipient, raw) if rule.side == "before" else next_open(recipient, raw)
    if rule.side == "after" and due >= expires and previous_close(recipient, raw) >= visit.ends_at:
        due = _before_the_close(visit, recipient, raw)  # the morning would be too late for it
    if due != raw and rule.quiet == "skip":
        return raw, "", "quiet_hours"
    note = "" if due == raw else f"moved out of quiet hours from {_stamp(raw)}"
    if due >= now:
        return max(due, ready), note, None
    if raw < now and not rule.catch_up:
        return due, note, "past"
    return (*_at_once(rule, visit, recipient, ready, note=f"was due {_stamp(due)}"), None)


def _before_the_close(visit: Visit, recipient: Recipient, raw: datetime) -> datetime:
    """The moment itself, or some minutes before quiet hours: not all are sent in the same, and none too late."""
    close = previous_close(recipient, raw)
    return close if close == raw else close - timedelta(minutes=1 + int(visit.starts_at.timestamp()) // 300 % SPREAD)


def _at_once(rule: Rule, visit: Visit, recipient: Recipient, moment: datetime, note: str = "") -> tuple[datetime, str]:
    """That moment; in quiet hours the morning after, unless an urgent word would then come too late to act on."""
    if not resting(recipient, moment):
        return moment, note
    opens = next_open(recipient, moment)
    mine = None if rule.arrive_by is None else _instant(rule.arrive_by, visit, moment)
    expires = _instant(rule.expires, visit, moment)
    deadlines = (visit.previous_starts_at, visit.fast_start, visit.starts_at, mine, expires)
    first = min((deadline for deadline in deadlines if deadline is not None and deadline > moment), default=None)
    if rule.quiet == "urgent" and first is not None and opens >= first:
        return moment, "sent in quiet hours: the morning would be too late"
    return opens, note or f"moved out of quiet hours from {_stamp(moment)}"


def _yielded(rule: Rule, visit: Visit, one: Owed, owed: Iterable[Owed]) -> Owed:
    """A message is not sent close to another that says the same; what is to be answered is asked all the same."""
    if one.suppressed is not None or escalates(rule, visit):
        return one
    near = timedelta(minutes=rule.yields_minutes)
    for other in owed:
        if other.rule in rule.yields_to and other.suppressed is None and abs(other.due_at - one.due_at) <= near:
            return replace(one, suppressed="merged", note=f"said by {other.rule}")
    return one


def _stamp(instant: datetime) -> str:
    return instant.isoformat(timespec="minutes")
