"""How a clinic's own text looks with the longest values that are real. Nothing here is anybody's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from scheduler.messaging.facts import Facts, Line, Moved
from scheduler.messaging.gsm7 import segments, septets
from scheduler.messaging.render import render

_SITE = ZoneInfo("America/Argentina/Buenos_Aires")
_START = datetime(2027, 9, 29, 11, 30, tzinfo=_SITE)
_VISIT = "Follow-up appointment at the clinic"


@dataclass(frozen=True)
class Seen:
    """A part as it would be read. `septets` and `segments` are an SMS's: its length, and how many it takes."""

    text: str
    septets: int | None = None
    segments: int | None = None


def seen(kind: str, locale: str, parts: Mapping[str, str], sender_name: str) -> dict[str, Seen]:
    """The parts that there are, with the longest values filled in."""
    found: dict[str, Seen] = {}
    facts = longest(sender_name)
    if "sms" in parts:
        text = render(kind, "sms", facts, [locale], {locale: parts}).body
        found["sms"] = Seen(text, septets(text), segments(text))
    if {"subject", "body"} <= parts.keys():
        mail = render(kind, "email", facts, [locale], {locale: parts})
        found |= {"subject": Seen(mail.subject), "body": Seen(mail.body)}
    return found


def longest(sender_name: str) -> Facts:
    """A visit of which everything is to be said, in a zone whose name is long, for a reader elsewhere."""
    day = timedelta(days=1)
    return Facts(
        now=_START - timedelta(days=10),
        sender_name=sender_name,
        phone="+44 20 7946 0958",
        recipient_zone="Pacific/Honolulu",
        starts_at=_START,
        visit=_VISIT,
        location="Northgate and Riverside Valley",
        address="1200 Long Avenue, Suite 14, Springfield",
        arrive_at=_START - timedelta(minutes=15),
        food_until=_START - timedelta(hours=14),
        liquids_until=_START - timedelta(hours=13),
        alcohol_until=_START - day,
        sheet_from=_START - timedelta(hours=1),
        ride=True,
        no_driving="until_next_day",
        link="https://visits.example.org/p/" + "x" * 22,
        previous_starts_at=_START - 7 * day,
        visits=tuple(Line(_START + week * 7 * day, _VISIT) for week in range(12)),
        also=(Line(_START + day, _VISIT),),
        moved=(Moved(_START - day, _START, _VISIT), Moved(_START + day, None, _VISIT)),
    )
