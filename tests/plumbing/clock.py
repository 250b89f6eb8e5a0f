"""A clock that stands still until a test moves it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

NOON = datetime(2030, 3, 4, 12, tzinfo=UTC)
"""A Monday in winter, six days before New York's clocks go forward."""


@dataclass
class Clock:
    """Call it for the time, aware UTC."""

    now: datetime = NOON

    def __call__(self) -> datetime:
        return self.now

    def move(self, by: timedelta) -> datetime:
        """Let time pass (or run back) and return the new time."""
        self.now += by
        return self.now

    def set(self, to: datetime) -> datetime:
        """Jump to an aware instant."""
        self.now = to.astimezone(UTC)
        return self.now
