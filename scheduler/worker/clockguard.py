"""Whether the time can be believed: a clock that leaps ahead would have everything sent that is not due yet.

A step back sends nothing again, for what was sent is sent, whatever the time: it is said, and what is due comes late.
Watches only; who is held lives in `delivering`.
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

#: A step ahead of this machine's clock, against the time that has passed, beyond which what is in hand waits until the
#: database's clock was looked at; and beyond which nothing is sent, whatever that says.
#: Whoever errs by a whole hour is not beyond.
DOUBT, STEP = timedelta(minutes=1), timedelta(hours=1, minutes=1)

#: Where no database has a clock of its own, a leap up to `STEP` is believed when the clock has stood by it for so long,
#: and a step back as well: who set it wrong has time to see that, and a virtual machine may have been asleep.
STOOD_BY = timedelta(minutes=10)

#: A step back that is worth a word.
BACK = timedelta(minutes=1)

#: How far this machine's clock may be from the database's, in seconds. Ahead, it sends too early; behind, others take
#: its leases for run out.
APART = 60.0


_SINCE_BOOT = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def seconds_since_boot() -> float:
    """A clock that nobody sets, and that goes on while the machine sleeps where the system has one."""
    return time.clock_gettime(_SINCE_BOOT)


class ClockGuard:
    """Compares the clock with the time that has passed since the last look, and with the database's own.

    A leap holds until the clock is back where it should be, or the worker is started anew; of less than `STEP`, until
    it is borne out. `has_gone_back` says that moments were written by a clock that was ahead, for a worker to mend.
    """

    def __init__(
        self, sessions: Sessions, clock: Clock, *, stopwatch: Callable[[], float] = seconds_since_boot
    ) -> None:
        self._sessions, self._clock, self._stopwatch = sessions, clock, stopwatch
        self._seen: tuple[datetime, float] | None = None
        self._is_back = False
        self._doubted: tuple[datetime, float] | None = None
        self.has_gone_back = False

    def holds(self) -> bool:
        """Whether nothing may be sent for the time being. Says so in the log, each time."""
        with self._sessions() as session:
            if self._seen is None:
                self._remember(session)
            read = self._read()
            leap = self._ahead(read)
            skew = self._skew(session)
            why = _leapt(leap) if leap > STEP else _apart(skew)
            # Who began by a wrong clock would take what that is ahead for no leap, once it is set right.
            if why is None and (leap > DOUBT or self._is_back):
                if skew is not None or self._stands_by(read):
                    self._believe(read)
                elif leap > DOUBT:
                    why = _doubtful(leap)
        if why is not None:
            log.critical("no message leaves: %s", why)
        return why is not None

    def has_leapt(self) -> bool:
        """Whether the clock has leapt ahead since it was last believed. Asks nobody, so it may be called often."""
        return self._ahead(self._read()) > DOUBT

    def believed(self) -> datetime:
        """The time; after a leap, as it would be without it: so what is on its way meanwhile is written down."""
        read = now, elapsed = self._read()
        if self._seen is None or self._ahead(read) <= DOUBT:
            return now
        then, was = self._seen
        return then + timedelta(seconds=elapsed - was)

    def _read(self) -> tuple[datetime, float]:
        return self._clock(), self._stopwatch()

    def _remember(self, session: Session) -> None:
        """The pulses are the high-water mark of all clocks, which outlives every process."""
        mark = health.last_tick_at(session)
        if mark is not None and self._clock() < mark - BACK:
            self._note_back(mark - self._clock(), "since a worker last ticked, or that one's was ahead")

    def _ahead(self, read: tuple[datetime, float]) -> timedelta:
        """By how much the clock has leapt ahead since it was last believed. Set back and right again, it has not."""
        leap = timedelta()
        if self._seen is not None:
            leap = _between(self._seen, read)
            if leap < -BACK:
                if not self._is_back:
                    self._note_back(-leap, "while at work")
                self._is_back = True
                return timedelta()
        if leap <= DOUBT:
            self._believe(read)
        return leap

    def _believe(self, read: tuple[datetime, float]) -> None:
        self._seen, self._is_back, self._doubted = read, False, None

    def _stands_by(self, read: tuple[datetime, float]) -> bool:
        """Whether the clock has gone evenly for long enough since it was first found a little off."""
        if self._seen is not None and abs(_between(self._seen, read)) > STEP:
            return False
        if self._doubted is None or abs(_between(self._doubted, read)) > DOUBT:
            self._doubted = read
        return read[1] - self._doubted[1] >= STOOD_BY.total_seconds()

    def _note_back(self, step: timedelta, when: str) -> None:
        self.has_gone_back = True
        _say_back(step, when)

    def _skew(self, session: Session) -> float | None:
        return health.skew(session, self._clock)


def _between(one: tuple[datetime, float], other: tuple[datetime, float]) -> timedelta:
    """By how much more the clock went on between two readings than the time did."""
    return other[0] - one[0] - timedelta(seconds=other[1] - one[1])


def _apart(skew: float | None) -> str | None:
    if skew is not None and abs(skew) > APART:
        return f"the clock is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} the database's"
    return None


def _leapt(ahead: timedelta) -> str:
    return f"the clock has leapt ahead by {ahead.total_seconds():.0f} s; set it, or start the worker anew"


def _doubtful(ahead: timedelta) -> str:
    return f"the clock has leapt ahead by {ahead.total_seconds():.0f} s; it is believed when it has stood by that"


def _say_back(step: timedelta, when: str) -> None:
    log.error("the clock has gone back by %.0f s %s: what falls due meanwhile comes late", step.total_seconds(), when)
