"""Somebody is ill, or a room cannot be used: one repair for every visit that this touches, accepted in stages.

The proposal writes nothing but itself. `proposing` puts it together, `searching` makes it better, `accepting` carries
it out, `lines` is what all speak of.
"""

from __future__ import annotations

from scheduler.services.disruptions.accepting import Accepted, accept
from scheduler.services.disruptions.lines import Line
from scheduler.services.disruptions.offers import Offer, anew, check, expect_ahead, forget, get, keep, offer
from scheduler.services.disruptions.searching import Search, Total, begin, propose

__all__ = [
    "Accepted",
    "Line",
    "Offer",
    "Search",
    "Total",
    "accept",
    "anew",
    "begin",
    "check",
    "expect_ahead",
    "forget",
    "get",
    "keep",
    "offer",
    "propose",
]
