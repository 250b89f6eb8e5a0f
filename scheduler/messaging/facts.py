"""What a message may speak of, as plain values: no row, no rule. How it is said lives in the templates."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple


@dataclass(frozen=True)
class Line:
    """One visit in a list of visits."""

    starts_at: datetime
    visit: str


@dataclass(frozen=True)
class Moved:
    """One visit that changed: `was` is None for a new one, `now` for one that is cancelled."""

    was: datetime | None
    now: datetime | None
    visit: str


class Facts(NamedTuple):
    """The state of things at the moment of rendering.

    Every datetime but `now` carries the site's own ZoneInfo, since patients are told the site's wall clock;
    `recipient_zone` is the IANA name of theirs. `visit` is the visit type's public name. What does not apply is None.
    `previous_starts_at` is the time that was told before, of a visit that moved. `sheet_from` is when the strictest
    rules of the preparation sheet begin, `no_driving` how long one must not drive (`visit_day`, `until_next_day`,
    `24_hours`). `also` are other visits to be reminded of, `moved` those that changed.
    """

    now: datetime
    sender_name: str
    phone: str
    recipient_zone: str
    starts_at: datetime
    visit: str = ""
    location: str = ""
    address: str = ""
    arrive_at: datetime | None = None
    food_until: datetime | None = None
    liquids_until: datetime | None = None
    alcohol_until: datetime | None = None
    sheet_from: datetime | None = None
    ride: bool = False
    no_driving: str | None = None
    link: str = ""
    previous_starts_at: datetime | None = None
    visits: tuple[Line, ...] = ()
    also: tuple[Line, ...] = ()
    moved: tuple[Moved, ...] = ()
    opt_out: bool = True
