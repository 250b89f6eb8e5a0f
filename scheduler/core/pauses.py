"""How long to rest after failures in a row: twice as long each time, up to a longest. What failed lives elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class Pauses:
    """The pauses between tries: `first`, then each twice the one before, none beyond `longest`."""

    first: timedelta
    longest: timedelta

    def after(self, pauses: int) -> timedelta:
        """The next pause, when there have been so many already."""
        return min(self.first * (1 << min(pauses, 20)), self.longest)


#: Between the tries to deliver something, to patients or to staff.
DELIVERIES = Pauses(timedelta(minutes=1), timedelta(hours=6))
