"""When a worker works. Alone knows APScheduler, which keeps the time and owns nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from functools import partial

from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger

from scheduler.worker.clockguard import seconds_since_boot
from scheduler.worker.delivering import Worker
from scheduler.worker.hands import Clock, complain, wall_clock

#: What is done at each interval.
_LINES = ("tick", "chores", "jobs", "webhooks")

#: Seconds by which the clock may go back unminded, and after which it is looked at again.
_BACK, _LOOK = 1.0, 1.0


class Every(BaseTrigger):  # type: ignore[misc] # it ships no types
    """An interval from now on, whatever was missed: APScheduler's own counts up all times that a leap skips."""

    def __init__(self, interval: timedelta) -> None:
        self._interval = interval

    def get_next_fire_time(self, _previous: datetime | None, now: datetime) -> datetime:
        """One interval from now."""
        return now + self._interval


class Lane:
    """One line of work: never twice at once, and never ended by a fault. `seen` is when it last came to an end.

    Once `is_closed`, which is set under the lock, nothing begins any more: APScheduler may still have some in hand.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.seen = time.monotonic()
        self.is_closed = False

    def run(self, work: Callable[[], object]) -> None:
        """Work under the lock. Whatever becomes of it, APScheduler's thread must live to see the next tick."""
        with self.lock:
            if self.is_closed:
                return
            try:
                work()
            except Exception as error:  # noqa: BLE001
                complain("a tick failed", error)
            self.seen = time.monotonic()


class Ticker:
    """Lets a worker tick at intervals, and once more when the next message falls due; never two ticks at once.

    Chores, jobs and webhooks run beside it in lanes of their own: a long one holds up no message. A thread of its own
    minds the machine's clock, for APScheduler waits by it. `afterwards` is called when the last tick is over.
    """

    def __init__(
        self, worker: Worker, *, seconds: float, clock: Clock = wall_clock, afterwards: Callable[[], None] | None = None
    ) -> None:
        self.worker = worker
        self._afterwards = afterwards
        self._interval, self._clock = timedelta(seconds=seconds), clock
        self._messages, self._chores, self._jobs, self._webhooks = Lane(), Lane(), Lane(), Lane()
        self._scheduler = BackgroundScheduler(timezone=UTC)
        self._skew, self._is_over = _skew(), threading.Event()
        self._minder = threading.Thread(target=self._mind_the_clock, name="clock", daemon=True)

    def start(self) -> None:
        """Tick now, and from now on."""
        lines: tuple[Callable[[], object], ...] = (
            self._run,
            partial(self._chores.run, self.worker.keep_house),
            partial(self._jobs.run, self.worker.jobs.run_due),
            partial(self._webhooks.run, self.worker.tell),
        )
        for name, line in zip(_LINES, lines, strict=True):
            self._add(line, name, Every(self._interval), next_run_time=wall_clock())
        self._scheduler.start()
        self._minder.start()

    def _mind_the_clock(self) -> None:
        """Work on after the machine's clock was set back: APScheduler would wait until it shows the time planned."""
        while not self._is_over.wait(_LOOK):
            skew = _skew()
            if skew < self._skew - _BACK:
                for name in _LINES:
                    self._scheduler.modify_job(name, next_run_time=wall_clock())
            self._skew = skew

    def stop(self) -> None:
        """Finish the work in hand, then end."""
        self.worker.stop()
        self._is_over.set()
        if self._minder.is_alive():
            self._minder.join()
        self._scheduler.shutdown(wait=False)
        lanes = (self._messages, self._chores, self._jobs, self._webhooks)
        with ExitStack() as held:
            for lane in lanes:
                held.enter_context(lane.lock)
                lane.is_closed = True
            self.worker.close()
            if self._afterwards is not None:
                self._afterwards()

    def is_stuck(self, after: float) -> bool:
        """Whether a lane came to no end for `after` seconds, and nothing in it went forward either."""
        lanes = (
            (self._messages.seen, self.worker.moved_at),
            (self._chores.seen, self.worker.house_moved_at),
            (self._jobs.seen, self.worker.jobs.moved_at),
            (self._webhooks.seen, self.worker.webhooks.moved_at),
        )
        return any(time.monotonic() - max(lane) > after for lane in lanes)

    def _run(self) -> None:
        self._messages.run(self.worker.tick)
        self._messages.run(self._sharpen)

    def _sharpen(self) -> None:
        """Add a tick for the next due time if the interval would come later."""
        due = self.worker.next_due()
        ahead = self._interval if due is None else due - self._clock()
        if ahead < self._interval:
            self._add(self._run, "next due", "date", run_date=wall_clock() + ahead)

    def _add(self, work: Callable[[], object], name: str, trigger: str | Every, **when: object) -> None:
        self._scheduler.add_job(
            work,
            trigger,
            id=name,
            replace_existing=True,
            coalesce=True,
            max_instances=1,
            misfire_grace_time=None,
            **when,
        )


def _skew() -> float:
    """Seconds that the machine's clock is ahead of one that nobody sets."""
    return wall_clock().timestamp() - seconds_since_boot()
