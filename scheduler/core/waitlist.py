"""When somebody on the waitlist could come: windows in wall time as starts on a timeline. Who is asked is not here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import reduce
from operator import or_
from typing import Any

from scheduler.core.bitmap import Timeline
from scheduler.core.errors import Fault
from scheduler.core.hours import WEEKDAYS
from scheduler.core.localgrid import Wish, wished_starts
from scheduler.core.policies import Policies
from scheduler.core.site import valid_days

#: An offer that would stand for less is not made: nobody could answer it.
SHORTEST_OFFER = timedelta(minutes=5)


def wanted_starts(windows: Sequence[Mapping[str, Any]], time_zone: str, timeline: Timeline) -> int:
    """The starts inside some window of [{weekdays?, earliest?, latest?, from?, to?}]; every start without any.

    `earliest` and `latest` are times of day that bound the start, `from` and `to` local days, all inclusive. Hours that
    the clocks skip or repeat are left out.
    """
    return reduce(or_, (_inside(window, time_zone, timeline) for window in windows or ({},)), 0)


def window_faults(windows: Sequence[Mapping[str, Any]], pointer: str = "/windows") -> list[Fault]:
    """Every window that nothing can lie in."""
    detail = "The end comes before the beginning."
    return [
        Fault(f"{pointer}/{place}/{last}", "ends_before_start", detail)
        for place, window in enumerate(windows)
        for first, last in (("earliest", "latest"), ("from", "to"))
        if window.get(first) and window.get(last) and window[last] < window[first]
    ]


def past_faults(windows: Sequence[Mapping[str, Any]], local_now: datetime) -> list[Fault]:
    """Every window, when the last start of each is over by the location's clock: nobody could be offered anything."""
    now = local_now.isoformat(timespec="minutes")[:16]
    past = [
        window.get("to") is not None and f"{window['to']}T{window.get('latest') or '23:59'}" < now for window in windows
    ]
    if not windows or not all(past):
        return []
    return [Fault(f"/windows/{place}/to", "in_the_past", "The window is over.") for place in range(len(windows))]


def offer_until(policies: Policies, starts_at: datetime, notice: timedelta, now: datetime) -> datetime | None:
    """Until when a start may be offered; None when the patient would be told too late, or could not answer in time.

    An offer that is accepted in time can always be booked: it ends before the lead time begins.
    """
    earliest, _ = policies.starts(now, "patient")
    if starts_at < max(earliest, now + notice):
        return None
    until = min(now + timedelta(minutes=policies.offer_minutes), starts_at - timedelta(minutes=policies.lead_minutes))
    return until if until >= now + SHORTEST_OFFER else None


def _inside(window: Mapping[str, Any], time_zone: str, timeline: Timeline) -> int:
    days = window.get("weekdays")
    usual = Wish()
    wish = Wish(
        weekdays=frozenset(WEEKDAYS.index(day) for day in days) if days else None,
        earliest=_minutes(window.get("earliest"), usual.earliest),
        latest=_minutes(window.get("latest"), usual.latest),
    )
    bounds = {key: window[name] for key, name in (("valid_from", "from"), ("valid_to", "to")) if window.get(name)}
    return wished_starts(wish, time_zone, timeline) & valid_days([bounds], time_zone, timeline)


def _minutes(text: str | None, default: int) -> int:
    return default if text is None else int(text[:2]) * 60 + int(text[3:5])
