"""Whether the time can be believed: a clock that leaps ahead would have everything sent that is not due yet.

Backward steps need no guard: what was sent is sent, whatever the time. Watches only; who is held lives in `delivering`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from scheduler.services import health
from scheduler.worker.hands import Clock, Sessions

log = logging.getLogger(__name__)

#: A step of this machine's clock, against the time that has passed, beyond which nothing is sent.
STEP = timedelta(hours=1)

#: How far this machine's clock may be ahead of the database's, in seconds.
AHEAD = 60.0


def seconds_since_boot() -> float:
    """A clock that nobody sets, and that goes on while the machine sleeps where the system has one."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class ClockGuard:
    """Compares the clock with the time that has passed since the last look, and with the database's own.

    A leap holds until the clock is back where it should be, or the worker is started anew.
    """

    def __init__(
        self, sessions: Sessions, clock: Clock, *, stopwatch: Callable[[], float] = seconds_since_boot
    ) -> None:
        self._sessions, self._clock, self._stopwatch = sessions, clock, stopwatch
        self._seen: tuple[datetime, float] | None = None

    def holds(self) -> bool:
        """Whether nothing may be sent for the time being. Says so in the log, each time."""
        with self._sessions() as session:
            why = self._leap() or self._ahead(session)
        if why is not None:
            log.critical("no message leaves: %s", why)
        return why is not None

    def _leap(self) -> str | None:
        now, elapsed = self._clock(), self._stopwatch()
        if self._seen is not None:
            then, was = self._seen
            leap = now - then - timedelta(seconds=elapsed - was)
            if leap > STEP:
                return f"the clock has leapt ahead by {leap.total_seconds():.0f} s; set it, or start the worker anew"
        self._seen = now, elapsed
        return None

    def _ahead(self, session: Session) -> str | None:
        skew = health.skew(session, self._clock)
        if skew is not None and skew > AHEAD:
            return f"the clock is {skew:.0f} s ahead of the database's"
        return None
