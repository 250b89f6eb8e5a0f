"""What was planned and what really happened on the day of a visit, side by side. Judges nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from scheduler.core.visit import VisitType


@dataclass(frozen=True)
class Times:
    """The plan of a visit (aware UTC) and its real times; None has not happened, or nobody wrote it down."""

    starts_at: datetime
    ends_at: datetime
    arrived_at: datetime | None = None
    checked_in_at: datetime | None = None
    dosed_at: datetime | None = None
    last_device_at: datetime | None = None
    fulfilled_at: datetime | None = None

    @property
    def came_at(self) -> datetime | None:
        """When the patient was first seen."""
        seen = [each for each in (self.arrived_at, self.checked_in_at) if each is not None]
        return min(seen, default=None)

    def planned_dose(self, visit: VisitType) -> tuple[datetime, datetime]:
        """The planned start and end of the dose: the segment before the watch, or the one that is called `dose`.

        A visit type with neither has its dose at its start.
        """
        dose, _ = visit.watched()
        for segment, start, end in visit.offsets():
            if segment is dose or (dose is None and segment.patient and segment.name == "dose"):
                return self.starts_at + timedelta(minutes=start), self.starts_at + timedelta(minutes=end)
        return self.starts_at, self.starts_at
