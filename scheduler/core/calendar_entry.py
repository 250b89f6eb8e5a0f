"""A visit as calendars know it: one value for feeds, pages and invitations. How it is written lives in ics."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol, Self

Status = Literal["CONFIRMED", "TENTATIVE", "CANCELLED"]
#: How a calendar takes what it is sent (RFC 5546): new or changed, called off, or merely for keeping.
Method = Literal["REQUEST", "CANCEL", "PUBLISH"]

#: Statuses of a visit that will not take place, or did not, and of one that may not.
OFF: Collection[str] = frozenset({"cancelled", "noshow", "entered-in-error"})
_UNSURE = frozenset({"pending", "proposed"})


class Visit(Protocol):
    """As much of an appointment, or of its row, as calendars speak of."""

    id: Any
    sequence: Any
    starts_at: Any
    ends_at: Any
    time_zone: Any
    status: Any


@dataclass(frozen=True)
class Entry:
    """One visit in a calendar. Instants are aware UTC; `stamp` is its last change, `title` what anyone may read."""

    visit_id: str
    sequence: int
    start: datetime
    end: datetime
    time_zone: str
    title: str
    status: Status
    stamp: datetime
    place: str = ""

    @classmethod
    def of(
        cls, visit: Visit, *, title: str, place: str, stamp: datetime, part: tuple[datetime, datetime] | None = None
    ) -> Self:
        """The entry of a visit; with `part` only of that time of it."""
        start, end = part or (visit.starts_at, visit.ends_at)
        return cls(
            visit_id=str(visit.id),
            sequence=visit.sequence,
            start=start,
            end=end,
            time_zone=visit.time_zone,
            title=title,
            status="CANCELLED" if visit.status in OFF else "TENTATIVE" if visit.status in _UNSURE else "CONFIRMED",
            stamp=stamp,
            place=place,
        )
