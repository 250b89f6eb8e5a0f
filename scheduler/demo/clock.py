"""The demonstration's clock: stands still while the story is told, moves when it is set, and runs on afterwards."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass
class StoryClock:
    """Call it for the time, aware UTC. The application and the worker read the same one."""

    now: datetime
    _started: float | None = None

    def __call__(self) -> datetime:
        """The story's present moment."""
        if self._started is None:
            return self.now
        return self.now + timedelta(seconds=time.monotonic() - self._started)

    def set(self, to: datetime) -> None:
        """Jump ahead to that instant. Time never runs back: an earlier one is passed over."""
        self.now = max(self.now, to)

    def run(self) -> None:
        """From here on, keep the pace of ordinary clocks."""
        self._started = time.monotonic()
