"""The threads that deliver, how many deliveries may begin together, and how their ends are heard of.

What begins together was looked at just before. So no more may begin than the carriers take up within a moment: one each
where deliveries take long, several where they are over at once. What has waited longer than that is looked at again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from statistics import fmean
from threading import Condition, Lock, Thread, current_thread
from typing import Generic, TypeVar

from scheduler.worker.clockguard import seconds_since_boot
from scheduler.worker.underway import PATIENCE

T = TypeVar("T")

#: Within so many seconds all that begins together is to be taken up, by how long deliveries took of late.
MOMENT = 0.005
#: What no carrier has taken up so many seconds after the look at it does not leave without another.
FRESH = 0.25
#: However quick deliveries are, no more for each carrier.
MOST_EACH = 8


class Carriers:
    """Up to `count` threads, which take up one job after the other in the order in which they were given.

    One whose job hangs is relieved by another, and goes when that job is done.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._threads: list[Thread] = []
        self._since: dict[Thread, float] = {}
        self._lock = Lock()

    def give(self, *jobs: Callable[[], None]) -> None:
        """Have each done by the next that is free. They may not raise."""
        for job in jobs:
            self._jobs.put(job)
            if len(self._threads) < self.count:
                self._hire()
        if len(self._threads) >= self.count:
            self.relieve()

    def relieve(self) -> None:
        """Let others take up what would wait for those whose jobs hang."""
        for _ in range(self._lacking()):
            self._hire()

    def _lacking(self) -> int:
        since = time.monotonic() - PATIENCE
        return self.count + sum(began <= since for began in tuple(self._since.values())) - len(self._threads)

    def _hire(self) -> None:
        with self._lock:
            hand = Thread(target=self._work, name=f"carrier-{len(self._threads)}", daemon=True)
            self._threads.append(hand)
        hand.start()

    def close(self) -> None:
        """Wait until all that was given is done. They take up nothing more."""
        with self._lock:
            threads, self._threads = self._threads, []
        for _ in threads:
            self._jobs.put(None)
        for hand in threads:
            hand.join()

    def _work(self) -> None:
        me = current_thread()
        while (job := self._jobs.get()) is not None:
            self._since[me] = time.monotonic()
            job()
            del self._since[me]
            if len(self._threads) > self.count and self._is_spare(me):
                return

    def _is_spare(self, me: Thread) -> bool:
        """Whether this one is not needed any more: it has been relieved."""
        with self._lock:
            spare = me in self._threads and self._lacking() < 0
            if spare:
                self._threads.remove(me)
        return spare


class Arrivals(Generic[T]):
    """What has ended. Whoever waits for several is woken once, and not by each."""

    def __init__(self) -> None:
        self._here: list[T] = []
        self._wanted = 1
        self._lock = Lock()
        self._changed = Condition(self._lock)

    def put(self, one: T) -> None:
        """One more has ended."""
        with self._lock:  # the condition's own, without its ceremony
            self._here.append(one)
            if len(self._here) >= self._wanted:
                self._changed.notify()

    def take(self, wanted: int, patience: float | None) -> list[T]:
        """All that have ended: waits for so many of them, and no longer than the patience."""
        with self._changed:
            self._wanted = wanted
            self._changed.wait_for(lambda: len(self._here) >= wanted, patience)
            found, self._here = self._here, []
        return found


class Pace:
    """How many deliveries may be on their way, by how long they took of late. At first one for each carrier."""

    def __init__(self, carriers: int) -> None:
        self._carriers, self._takes = carriers, MOMENT

    @property
    def room(self) -> int:
        """So many are taken up within a moment."""
        each = MOMENT / max(self._takes, MOMENT / MOST_EACH)
        return self._carriers * max(1, int(each))

    def note(self, took: Sequence[float], *, smooth: bool) -> None:
        """Those that have ended took so many seconds each; unless all is `smooth`, one each is enough."""
        if took:
            # Slower is believed at once, quicker by and by.
            now = fmean(took) if smooth else MOMENT
            self._takes = max(now, (self._takes + now) / 2)


def is_fresh(looked_at: float) -> bool:
    """Whether what was looked at then, by `seconds_since_boot`, may leave without another look."""
    return seconds_since_boot() - looked_at <= FRESH
