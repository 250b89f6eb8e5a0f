"""How often somebody may ask: a bucket of tokens for each, in this process only. Knows no HTTP."""

from __future__ import annotations

import ipaddress
import threading
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from datetime import datetime

WINDOW = 60
#: Who has one address of the sixth version has all that begin alike.
_ONE_HOUSE = 64
#: Buckets of so many are kept; then those go first that are full again, for they say nothing, and else the oldest.
MOST = 20_000


@dataclass
class _Bucket:
    left: float
    at: datetime


class Limiter:
    """Buckets that hold `per_minute` requests and refill evenly. Whoever asks costs one small object.

    Who is refused has spent nothing: however often they ask, there is room again after `wait` seconds.
    """

    def __init__(self, per_minute: int, most: int = MOST) -> None:
        self.per_minute, self.most = per_minute, most
        self._buckets: dict[Hashable, _Bucket] = {}
        self._lock = threading.Lock()

    @property
    def wait(self) -> int:
        """So many seconds after a refusal there is room for one more."""
        return -(-WINDOW // self.per_minute)

    def spend(self, who: Hashable, now: datetime) -> tuple[int, int] | None:
        """Take one request; returns (left, seconds until full), or None when the bucket is empty."""
        with self._lock:
            bucket = self._buckets.get(who)
            if bucket is None:
                self._make_room(now)
                bucket = self._buckets[who] = _Bucket(self.per_minute, now)
            bucket.left, bucket.at = self._left(bucket, now), now
            if bucket.left < 1:
                return None
            bucket.left -= 1
            full_in = (self.per_minute - bucket.left) * WINDOW / self.per_minute
            return int(bucket.left), round(full_in)

    def headers(self, name: str, found: tuple[int, int] | None) -> dict[str, str]:
        """What an answer tells of it, by the name of the policy."""
        left, reset = found or (0, self.wait)
        return {
            "RateLimit": f'"{name}";r={left};t={reset}',
            "RateLimit-Policy": f'"{name}";q={self.per_minute};w={WINDOW}',
        }

    def _left(self, bucket: _Bucket, now: datetime) -> float:
        passed = max(0.0, (now - bucket.at).total_seconds())
        return min(self.per_minute, bucket.left + passed * self.per_minute / WINDOW)

    def _make_room(self, now: datetime) -> None:
        if len(self._buckets) < self.most:
            return
        spent = {who: one for who, one in self._buckets.items() if self._left(one, now) < self.per_minute}
        self._buckets = dict(list(spent.items())[-(self.most // 2) :])


def spend_each(
    limiters: Mapping[str, Limiter], askers: Mapping[str, Hashable], now: datetime
) -> tuple[dict[str, str], int | None]:
    """Count one request against each: what its answer tells of the last, and the wait when it is one too many."""
    told: dict[str, str] = {}
    for name, who in askers.items():
        if name in limiters:
            found = limiters[name].spend(who, now)
            told = limiters[name].headers(name, found)
            if found is None:
                return told, limiters[name].wait
    return told, None


def house_of(address: str) -> bytes | None:
    """Whose address it is; None for nobody's: behind a proxy that is not believed, all come from one."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    if found.is_loopback:
        return None
    return found.packed[: _ONE_HOUSE // 8] if found.version == 6 else found.packed  # noqa: PLR2004 - the version
