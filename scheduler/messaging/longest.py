"""How a clinic's own text looks with the longest values that are real: the clinic's own, where they are longer.

No name of a patient, practitioner or room is among them, for no message names one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from scheduler.core.civil import zone
from scheduler.messaging.facts import Facts, Line, Moved
from scheduler.messaging.gsm7 import segments, septets
from scheduler.messaging.render import Text, render

_ZONE = "America/Argentina/Buenos_Aires"
_START = datetime(2027, 9, 29, 11, 30)  # noqa: DTZ001 - by the clock of whichever site is the longest


@dataclass(frozen=True)
class Seen:
    """A part as it would be read. `septets` and `segments` are an SMS's: its length, and how many it takes."""

    text: str
    septets: int | None = None
    segments: int | None = None


@dataclass(frozen=True)
class Real:
    """A clinic's own values: names of visits, pairs of a site's name and address, zones, and the address of a page."""

    sender_name: str
    phone: str = ""
    visits: tuple[str, ...] = ()
    places: tuple[tuple[str, str], ...] = ()
    zones: tuple[str, ...] = ()
    link: str = ""


def seen(kind: str, locale: str, parts: Mapping[str, str], real: Real) -> dict[str, Seen]:
    """The parts that there are, with the longest values filled in."""
    found: dict[str, Seen] = {}
    facts = [longest(real, name) for name in dict.fromkeys((_ZONE, *real.zones))]

    def read(channel: str) -> Iterable[Text]:
        return (render(kind, channel, each, [locale], {locale: parts}) for each in facts)

    if "sms" in parts:
        text = max((each.body for each in read("sms")), key=septets)
        found["sms"] = Seen(text, septets(text), segments(text))
    if {"subject", "body"} <= parts.keys():
        mail = max(read("email"), key=lambda each: len(each.subject) + len(each.body))
        found |= {"subject": Seen(mail.subject), "body": Seen(mail.body)}
    return found


def longest(real: Real, zone_name: str = _ZONE) -> Facts:
    """A visit of which everything is to be said, by the clock of that zone, for a reader elsewhere."""
    day, start = timedelta(days=1), _START.replace(tzinfo=zone(zone_name))
    visit = max(("Follow-up appointment at the clinic", *real.visits), key=len)
    place = ("Northgate and Riverside Valley", "1200 Long Avenue, Suite 14, Springfield")
    location, address = max((place, *real.places), key=lambda pair: len(pair[0]) + len(pair[1]))
    return Facts(
        now=start - timedelta(days=10),
        sender_name=real.sender_name,
        phone=max("+44 20 7946 0958", real.phone, key=len),
        recipient_zone="Pacific/Honolulu",
        starts_at=start,
        visit=visit,
        location=location,
        address=address,
        arrive_at=start - timedelta(minutes=15),
        food_until=start - timedelta(hours=14),
        liquids_until=start - timedelta(hours=13),
        alcohol_until=start - day,
        sheet_from=start - timedelta(hours=1),
        ride=True,
        no_driving="until_next_day",
        link=max("https://visits.example.org/p/" + "x" * 22, real.link, key=len),
        previous_starts_at=start - 7 * day,
        visits=tuple(Line(start + week * 7 * day, visit) for week in range(12)),
        also=(Line(start + day, visit),),
        moved=(Moved(start - day, start, visit), Moved(start + day, None, visit)),
    )
