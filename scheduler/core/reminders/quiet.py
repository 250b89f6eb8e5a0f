"""Quiet hours, by the recipient's own clock. What is done about them is decided in `plan`."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, time, timedelta
from functools import lru_cache

from scheduler.core.civil import to_instant, to_local
from scheduler.core.reminders.values import Recipient

#: Between these nobody may be rung or texted to sell them something: 47 CFR 64.1200(c)(1), "before the hour of 8 a.m.
#: or after 9 p.m. (local time at the called party's location)". Kept for every message (clinical.md T8, grade L): no
#: organization may leave its patients less peace, and many should leave more (T9).
LAW_FROM, LAW_TO = time(21), time(8)
_DAY = 24 * 60


def is_too_little(quiet_from: time, quiet_to: time) -> bool:
    """Whether quiet hours from one time of day to another leave out a minute of those that the law demands."""
    into = (_minutes(LAW_FROM) - _minutes(quiet_from)) % _DAY
    lasts = (_minutes(quiet_to) - _minutes(quiet_from)) % _DAY
    return into + (_minutes(LAW_TO) - _minutes(LAW_FROM)) % _DAY > lasts


def is_night(recipient: Recipient, instant: datetime) -> bool:
    """Whether it is between those hours where the recipient is, whatever the organization's own are."""
    return resting(replace(recipient, quiet_from=LAW_FROM, quiet_to=LAW_TO), instant)


def resting(recipient: Recipient, instant: datetime) -> bool:
    """Whether the recipient must not be disturbed at that instant. The edges of quiet hours do not belong to them."""
    clock = to_local(instant, recipient.time_zone).time()
    start, end = recipient.quiet_from, recipient.quiet_to
    if start < end:
        return start < clock < end
    return start != end and (clock > start or clock < end)


def previous_close(recipient: Recipient, instant: datetime) -> datetime:
    """The instant itself outside quiet hours, else the end of the open time before it."""
    if recipient.quiet_from == recipient.quiet_to:
        return instant
    for day in reversed(_days_around(recipient, instant)):
        opens, closes = _open_time(day, recipient.quiet_from, recipient.quiet_to, recipient.time_zone)
        if opens <= instant:
            return min(instant, closes)
    raise AssertionError  # pragma: no cover - three days before, it had opened


def next_open(recipient: Recipient, instant: datetime) -> datetime:
    """The instant itself outside quiet hours, else the beginning of the open time after it."""
    if recipient.quiet_from == recipient.quiet_to:
        return instant
    for day in _days_around(recipient, instant):
        opens, closes = _open_time(day, recipient.quiet_from, recipient.quiet_to, recipient.time_zone)
        if instant <= closes:
            return max(instant, opens)
    raise AssertionError  # pragma: no cover - three days after, it closes


def _minutes(clock: time) -> int:
    return clock.hour * 60 + clock.minute


def _days_around(recipient: Recipient, instant: datetime) -> list[date]:
    today = to_local(instant, recipient.time_zone).date()
    return [today + timedelta(days=days) for days in range(-3, 4)]


@lru_cache(maxsize=4096)
def _open_time(day: date, quiet_from: time, quiet_to: time, time_zone: str) -> tuple[datetime, datetime]:
    """When the open time that begins on that local day begins and ends; both ends belong to it."""
    closing_day = day + timedelta(days=1) if quiet_from <= quiet_to else day  # open past midnight
    opens = to_instant(datetime.combine(day, quiet_to), time_zone, "compatible")
    return opens, to_instant(datetime.combine(closing_day, quiet_from), time_zone, "compatible")


def parse_clock(text: str) -> time:
    """A time of day from "HH:MM". Raises ValueError for anything else."""
    found = time.fromisoformat(text)
    if found.isoformat("minutes") != text:
        msg = f"{text!r} is not HH:MM"
        raise ValueError(msg)
    return found
