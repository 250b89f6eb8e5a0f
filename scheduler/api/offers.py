"""How offers look: the starts that can be booked, with who would serve. Finding them is the service's, no routes.

A page names some six hundred participants, and offers mostly differ only in their instants. So the people of an offer
are written once, with gaps, and an instant once for all whom it concerns.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from operator import itemgetter
from typing import Any

from scheduler.api.fields import Id, Instant, List, Nested, Text, Whole
from scheduler.api.schema import Schema
from scheduler.api.visits import ParticipantSchema, who_text
from scheduler.api.writing import Written, instant_text
from scheduler.core.civil import zone
from scheduler.services.availability import Offer, Party

JOINED = {"description": "For a visit of several patients: the group that is joined, null for a new one"}
_EPOCH, _MINUTE = datetime(1970, 1, 1, tzinfo=UTC), timedelta(minutes=1)


class OpenGroupSchema(Schema):
    """A group that has room; booking at its start joins it."""

    id = Id(required=True)
    free = Whole(required=True, metadata={"description": "Places left"})
    maximum = Whole(required=True)


class OfferSchema(Schema):
    """A start that can be booked at once."""

    start = Instant(required=True)
    end = Instant(required=True)
    time_zone = Text(64, required=True)
    participants = List(Nested(ParticipantSchema), max=1000, required=True)
    group = Nested(OpenGroupSchema, allow_none=True, metadata=JOINED)


def offer_document(offer: Offer) -> dict[str, Any]:
    """An offer as clients see it: instants in the location's offset."""
    where = zone(offer.time_zone)
    return {
        "start": offer.start.astimezone(where),
        "end": offer.end.astimezone(where),
        "time_zone": offer.time_zone,
        "participants": _written(offer.party)((offer.start - _EPOCH) // _MINUTE, offer.time_zone),
        "group": offer.group,
    }


@lru_cache(maxsize=8192)
def _written(party: Party) -> Callable[[int, str], Written]:
    """From the minute of the start, and the zone: these people as JSON, as ParticipantSchema has them."""
    whole = f"[{','.join(_gapped(who_text(who, *what)) for who, (what, _, _) in party.shares)}]"
    edges = [edge // _MINUTE for _, (_, first, past) in party.shares for edge in (first, past)]
    offsets = sorted(set(edges))
    each = itemgetter(*[offsets.index(edge) for edge in edges]) if edges else lambda _: ()

    def fill(start: int, where: str) -> Written:
        return Written(whole % each([_instant(start + offset, where) for offset in offsets]))

    return fill


@lru_cache(maxsize=16_384)
def _instant(minute: int, where: str) -> str:
    return instant_text((_EPOCH + minute * _MINUTE).astimezone(zone(where)))


def _gapped(who: str) -> str:
    """One of them, with gaps for start and end."""
    return who.replace("%", "%%") + '%s,"end":%s}'
