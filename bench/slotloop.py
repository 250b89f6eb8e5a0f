"""The reference for availability: a plain loop that probes each start of the grid against lists of taken intervals.

It reads the same rows, knows the same segments and needs, and stops after as many offers. It knows no late binding of
rooms and no handover by choice: it takes the first who is free.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from bench.clinic import CLOSES, OPENS, TIME_ZONE, Clinic
from scheduler.core.bitmap import SLOT
from scheduler.core.civil import to_instant, to_local
from scheduler.core.demand import Demand
from scheduler.models import Occupancy

_STEP = timedelta(minutes=15)
_WORKDAYS = 5

Interval = tuple[datetime, datetime]


@dataclass
class SlotLoop:
    """One clinic's reference: who there is for each selector, and how many units each has."""

    clinic: Clinic
    pools: dict[str, list[UUID]] = field(init=False)

    def __post_init__(self) -> None:
        people = {f"role:{role}": ids for role, ids in self.clinic.staff.items()}
        self.pools = people | {f"room:{kind}": ids for kind, ids in self.clinic.rooms.items()}

    def search(self, session: Session, demand: Demand, since: datetime, until: datetime, limit: int) -> list[datetime]:
        """Up to `limit` starts from `since` on, earliest first."""
        taken = self._taken(session, since, until)
        found = []
        for start in self._grid(demand, since, until):
            if self._fits(demand, start, taken):
                found.append(start)
                if len(found) == limit:
                    break
        return found

    def _taken(self, session: Session, since: datetime, until: datetime) -> dict[UUID, list[Interval]]:
        ids = [who for pool in self.pools.values() for who in pool]
        found: dict[UUID, list[Interval]] = {who: [] for who in ids}
        rows = session.execute(
            select(Occupancy.resource_id, Occupancy.starts_at, Occupancy.ends_at).where(
                Occupancy.organization_id == self.clinic.call.organization_id,
                Occupancy.resource_id.in_(ids),
                Occupancy.blocking,
                Occupancy.starts_at > since - timedelta(days=1),
                Occupancy.starts_at < until + timedelta(days=1),
            )
        )
        for who, start, end in rows.all():
            found[who].append((start, end))
        return found

    def _grid(self, demand: Demand, since: datetime, until: datetime) -> Iterator[datetime]:
        """Every quarter hour at which the patient can come and go while the site is open."""
        day = to_local(since, TIME_ZONE).date()
        while (opens := to_instant(datetime.fromisoformat(f"{day}T{OPENS}"), TIME_ZONE)) < until:
            closes = to_instant(datetime.fromisoformat(f"{day}T{CLOSES}"), TIME_ZONE)
            first, past = demand.reach
            start = opens
            while day.weekday() < _WORKDAYS and start + past * SLOT <= closes:
                if since <= start < until and start + first * SLOT >= opens:
                    yield start
                start += _STEP
            day += timedelta(days=1)

    def _fits(self, demand: Demand, start: datetime, taken: dict[UUID, list[Interval]]) -> bool:
        chosen: list[tuple[UUID, datetime, datetime, int]] = []
        for thread in demand.threads:
            if thread.present:
                continue  # everybody keeps the site's hours here
            spans = [(start + each.start * SLOT, start + each.end * SLOT, each.units) for each in thread.stretches]
            for who in self.pools[thread.selector]:
                units = 2 if thread.selector == "role:nurse" else 1
                if all(_free(taken[who], chosen, who, span, units) for span in spans):
                    chosen += [(who, first, past, units if wanted is None else wanted) for first, past, wanted in spans]
                    break
            else:
                return False
        return True


def _free(
    taken: list[Interval],
    chosen: list[tuple[UUID, datetime, datetime, int]],
    who: UUID,
    span: tuple[datetime, datetime, int | None],
    units: int,
) -> bool:
    """Whether enough units are free throughout; overlaps are counted as if all met, but for a thing of one unit."""
    first, past, wanted = span
    used = sum(number for key, start, end, number in chosen if key == who and start < past and first < end)
    meeting = [interval for interval in taken if interval[0] < past and first < interval[1]]
    most = max((sum(a <= start < b for a, b in meeting) for start, _ in meeting), default=0)
    return used + most + (units if wanted is None else wanted) <= units
