"""Facts for rendering: an ordinary visit, and the longest and strangest that are still real. No test lives here."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import cycle, product
from typing import Any
from zoneinfo import ZoneInfo

from scheduler.messaging.facts import Facts, Line, Moved

NEW_YORK = ZoneInfo("America/New_York")
ZONES = ("America/New_York", "America/Argentina/Buenos_Aires", "Australia/Lord_Howe", "Asia/Kathmandu")
SENDERS = (
    "The Northgate and Riverside Valley Wellness Partners of",
    "Cl\u00ednica \u201c\u00d1and\u00fa\u201d \u2013 Dr. O\u2019Brien",
    "\u533b",
)
START = datetime(2027, 1, 13, 9, 0, tzinfo=NEW_YORK)


def facts(start: datetime = START, **changes: Any) -> Facts:
    plain: dict[str, Any] = {
        "now": start - timedelta(hours=15),
        "sender_name": "Northgate Clinic",
        "phone": "+1 212-555-0142",
        "recipient_zone": "America/New_York",
        "starts_at": start,
        "visit": "Clinic visit",
        "location": "Northgate",
        "address": "12 Main Street",
        "arrive_at": start - timedelta(minutes=15),
        "food_until": start - timedelta(hours=6),
        "liquids_until": start - timedelta(hours=2),
        "ride": True,
        "link": "https://visits.example.org/p/abc",
        "sheet_from": start - timedelta(hours=1),
        "no_driving": "until_next_day",
        "moved": (Moved(start - timedelta(days=1), start, "Clinic visit"),),
        "visits": (Line(start, "Clinic visit"), Line(start + timedelta(days=3), "Clinic visit")),
    }
    return Facts(**(plain | changes))


def hard_cases() -> Iterator[Facts]:
    """Long names, far zones, two-day fasts, a late message, an odd alphabet."""
    ahead = cycle(
        [timedelta(days=10), timedelta(days=-1), timedelta(hours=5), timedelta(minutes=40), timedelta(days=1)]
    )
    for zone, sender, fast in product(ZONES, SENDERS, (None, 6, 26)):
        start = datetime(2027, 9, 29, 11, 30, tzinfo=ZoneInfo(zone))
        food = start - timedelta(hours=fast) if fast else None
        yield facts(
            start,
            now=start - next(ahead),
            sender_name=sender,
            phone="+44 20 7946 0958 1",
            food_until=food,
            liquids_until=food and start - timedelta(minutes=150),
            alcohol_until=food and start - timedelta(hours=24),
            previous_starts_at=start - timedelta(days=1),
            location="Wednesday's House " * 5,
            address="1200 Long Avenue, Suite 14, Springfield " * 4,
            link="https://visits.example.org/p/" + "x" * 22,
            moved=tuple(Moved(start + day, start + 2 * day, "Clinic visit") for day in map(timedelta, range(12))),
        )
