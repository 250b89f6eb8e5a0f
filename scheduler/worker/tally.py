"""What one worker has counted since it began: deliveries by channel and end, and how late they were. Plain numbers."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from datetime import datetime
from threading import Lock
from typing import Any

from scheduler.services.outbox import Outcome

#: Upper bounds of lateness in seconds; whatever was later lies in one more place.
BOUNDS = (0.5, 1, 2, 5, 10, 30, 60, 300, 900, 3600, 14400)


class Tally:
    """Counts the outcomes of one worker. Only ever grows."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._late = [0] * (len(BOUNDS) + 1)
        self._sum = 0.0
        self._ends: Counter[tuple[str, str]] = Counter()

    def add(self, outcome: Outcome, now: datetime) -> None:
        """Count one delivery that has ended."""
        late = max(0.0, (now - outcome.letter.due_at).total_seconds())
        with self._lock:
            self._ends[outcome.letter.channel, outcome.end or "failed"] += 1
            if not outcome.error:
                self._late[bisect_left(BOUNDS, late)] += 1
                self._sum += late

    def document(self) -> dict[str, Any]:
        """What has been counted so far, for the worker's pulse."""
        with self._lock:
            return {
                "late": {"bounds": list(BOUNDS), "counts": list(self._late), "sum": round(self._sum, 3)},
                "ends": [[channel, end, count] for (channel, end), count in sorted(self._ends.items())],
            }
