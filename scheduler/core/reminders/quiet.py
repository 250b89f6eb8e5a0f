"""Quiet hours, by the recipient's own clock. What is done about them is decided in `plan`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, time, timedelta

from scheduler.core.civil import to_instant, to_local
from scheduler.core.reminders.values import Recipient


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
    opened = [pair for pair in _open_times(recipient, instant) if pair[0] <= instant]
    return min(instant, opened[-1][1])


def next_open(recipient: Recipient, instant: datetime) -> datetime:
    """The instant itself outside quiet hours, else the beginning of the open time after it."""
    if recipient.quiet_from == recipient.quiet_to:
        return instant
    following = [pair for pair in _open_times(recipient, instant) if instant <= pair[1]]
    return max(instant, following[0][0])


def _open_times(recipient: Recipient, instant: datetime) -> Iterator[tuple[datetime, datetime]]:
    """The open times around the instant, in order; both ends belong to them."""
    today = to_local(instant, recipient.time_zone).date()
    overnight = recipient.quiet_from <= recipient.quiet_to  # open past midnight
    for days in range(-3, 4):
        day = today + timedelta(days=days)
        closing_day = day + timedelta(days=1) if overnight else day
        opens = _at(recipient, datetime.combine(day, recipient.quiet_to))
        yield opens, _at(recipient, datetime.combine(closing_day, recipient.quiet_from))


def _at(recipient: Recipient, local: datetime) -> datetime:
    return to_instant(local, recipient.time_zone, "compatible")


def parse_clock(text: str) -> time:
    """A time of day from "HH:MM". Raises ValueError for anything else."""
    found = time.fromisoformat(text)
    if found.isoformat("minutes") != text:
        msg = f"{text!r} is not HH:MM"
        raise ValueError(msg)
    return found
