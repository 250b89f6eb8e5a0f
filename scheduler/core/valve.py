"""How a way out is spared: it shuts while its provider is down, opens by one probe, and keeps a rate. Knows no channel.

A valve is a value: what happens gives the next one. Times are aware and handed in.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from scheduler.core.pauses import Pauses

#: So many deliveries in a row must say that the provider is down, lest one bad message speak for all.
FAILURES = 5
#: For so long a valve is shut at first; twice that after each probe that fails, up to the longest.
RESTS = Pauses(timedelta(seconds=30), timedelta(minutes=10))


@dataclass(frozen=True)
class Valve:
    """One way out. `rate` is how many messages may leave in a second, 0 as many as like.

    `failures` are those in a row, `shut_until` is set from the last of them until a delivery says otherwise, `rests`
    counts how often it was shut in a row, `probing` that the one which is to find out has left. `spent` of the rate
    were used up at `counted_at`.
    """

    rate: float = 0
    failures: int = 0
    shut_until: datetime | None = None
    rests: int = 0
    probing: bool = False
    spent: float = 0
    counted_at: datetime | None = None

    @property
    def is_idle(self) -> bool:
        """Whether nothing holds it back: neither what leaves nor what comes to a good end changes it."""
        return not (self.rate or self.failures or self.shut_until or self.rests or self.probing or self.spent)

    def room(self, now: datetime) -> int | None:
        """How many may leave now; None is any number."""
        if self.shut_until is not None and (self.probing or now < self.shut_until):
            return 0
        within_rate = None if not self.rate else max(0, int(self._most - self._spent(now) + 1e-9))
        if self.shut_until is None:
            return within_rate
        return 1 if within_rate is None else min(1, within_rate)

    def opens_at(self, now: datetime) -> datetime | None:
        """When there will be room that is not there now, as far as time alone decides; None when there is some."""
        if self.room(now) != 0 or (self.shut_until is not None and self.probing):
            return None
        if self.shut_until is not None and now < self.shut_until:
            return self.shut_until
        wanted = max(1.0, self.rate / 4)  # a few at a time: to wake up for each is dear
        return now + timedelta(seconds=max(0.0, (self._spent(now) - self._most + wanted) / self.rate))

    def at_rate(self, rate: float, now: datetime) -> Valve:
        """The same with another rate from now on."""
        return self if rate == self.rate else replace(self, rate=rate, spent=self._spent(now), counted_at=now)

    def left(self, now: datetime) -> Valve:
        """One has left."""
        if not self.rate and self.shut_until is None and not (self.spent or self.probing):
            return self
        spent = self._spent(now) + 1 if self.rate else 0.0
        return replace(self, spent=spent, counted_at=now, probing=self.shut_until is not None)

    def ended(self, now: datetime, *, down: bool) -> Valve:
        """One has come to its end: whoever took or refused it is there, who is `down` is not."""
        if not down:
            if not (self.failures or self.shut_until or self.rests or self.probing):
                return self
            return replace(self, failures=0, shut_until=None, rests=0, probing=False)
        if self.shut_until is None and self.failures + 1 < FAILURES:
            return replace(self, failures=self.failures + 1)
        if self.shut_until is not None and not self.probing:
            return self  # it had left before
        rest = RESTS.after(self.rests)
        return replace(self, failures=0, shut_until=now + rest, rests=self.rests + 1, probing=False)

    @property
    def _most(self) -> float:
        """What may leave at once after a quiet second."""
        return max(1.0, self.rate)

    def _spent(self, now: datetime) -> float:
        if self.counted_at is None:
            return 0.0
        return max(0.0, self.spent - self.rate * max(0.0, (now - self.counted_at).total_seconds()))
