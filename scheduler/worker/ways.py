"""The ways out as one worker finds them: which may be used now, and how often. What a valve does lives in core/valve.

Each worker finds out for itself who is down: what a provider does to one it need not do to another. Of a rate each has
an equal share, by the pulses of those at work (docs/decisions/0027).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from threading import Lock

from scheduler.core.valve import Valve
from scheduler.worker.hands import Clock

log = logging.getLogger(__name__)


class Ways:
    """A valve for each channel. `rates` are messages per second of all workers, none for a channel not named."""

    def __init__(self, rates: Mapping[str, float], clock: Clock) -> None:
        self._rates = self._shares = {name: rate for name, rate in rates.items() if rate}
        self._clock = clock
        self._valves: dict[str, Valve] = {name: Valve(rate) for name, rate in self._rates.items()}
        self._lock = Lock()

    @property
    def has_rates(self) -> bool:
        """Whether anything is to be shared."""
        return bool(self._rates)

    def share_among(self, workers: int) -> None:
        """So many are at work, this one among them: it has its share of each rate."""
        with self._lock:
            self._shares = {name: rate / max(1, workers) for name, rate in self._rates.items()}
            for name, share in self._shares.items():
                self._valves[name] = self._valves[name].at_rate(share, self._clock())

    def rooms(self) -> dict[str, int]:
        """How many may leave now, by channel; a channel that is not there has no bound."""
        now = self._clock()
        with self._lock:
            found = {name: valve.room(now) for name, valve in self._valves.items()}
        return {name: room for name, room in found.items() if room is not None}

    def opens_at(self) -> datetime | None:
        """When the next channel has room that has none now."""
        now = self._clock()
        with self._lock:
            return min(filter(None, (valve.opens_at(now) for valve in self._valves.values())), default=None)

    def leaves(self, channel: str) -> None:
        """A message begins to leave."""
        valve = self._valves.get(channel)
        if valve is not None and not valve.is_idle:
            now = self._clock()
            with self._lock:
                self._valves[channel] = self._valves[channel].left(now)

    def ended(self, channel: str, *, down: bool) -> None:
        """A delivery has ended; `down` means that the provider, and not the message, is at fault."""
        valve = self._valves.get(channel)
        if not down and (valve is None or valve.is_idle):
            return
        with self._lock:
            before = self._valves.get(channel) or Valve(self._shares.get(channel, 0))
            after = self._valves[channel] = before.ended(self._clock(), down=down)
        if before.shut_until is None and after.shut_until is not None:
            log.warning("%s is down: nothing leaves by it until %s", channel, f"{after.shut_until:%H:%M:%S} UTC")
        elif before.shut_until is not None and after.shut_until is None:
            log.warning("%s is back", channel)
