"""How often a key may ask: a token bucket per key, in this process only. Off unless the settings say otherwise."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from flask import Flask, Response, current_app, g
from werkzeug.exceptions import TooManyRequests

from scheduler.core.call import Call

_WINDOW = 60


@dataclass
class _Bucket:
    left: float
    at: datetime


class Limiter:
    """Buckets that hold `per_minute` requests and refill evenly. One key costs one small object."""

    def __init__(self, per_minute: int) -> None:
        self.per_minute = per_minute
        self._buckets: dict[UUID, _Bucket] = {}
        self._lock = threading.Lock()

    def spend(self, key_id: UUID, now: datetime) -> tuple[int, int] | None:
        """Take one request; returns (left, seconds until full), or None when the bucket is empty."""
        with self._lock:
            bucket = self._buckets.setdefault(key_id, _Bucket(self.per_minute, now))
            passed = max(0.0, (now - bucket.at).total_seconds())
            bucket.left = min(self.per_minute, bucket.left + passed * self.per_minute / _WINDOW)
            bucket.at = now
            if bucket.left < 1:
                return None
            bucket.left -= 1
            full_in = (self.per_minute - bucket.left) * _WINDOW / self.per_minute
            return int(bucket.left), round(full_in)


def init_app(app: Flask) -> None:
    """Give `app` its limiter, if it wants one, and have its answers tell how much is left."""
    per_minute = app.extensions["settings"].rate_limit_per_minute
    app.extensions["limiter"] = Limiter(per_minute) if per_minute else None
    if per_minute:
        app.after_request(_tell)


def spend(call: Call) -> None:
    """Count this request. Raises `TooManyRequests` when the key has used up its share."""
    limiter: Limiter | None = current_app.extensions["limiter"]
    if limiter is None or call.key_id is None:
        return
    found = limiter.spend(call.key_id, call.now)
    wait = -(-_WINDOW // limiter.per_minute)
    left, reset = found or (0, wait)
    g.rate_limit = {
        "RateLimit": f'"key";r={left};t={reset}',
        "RateLimit-Policy": f'"key";q={limiter.per_minute};w={_WINDOW}',
    }
    if found is None:
        raise TooManyRequests(retry_after=wait)


def _tell(response: Response) -> Response:
    response.headers.update(g.get("rate_limit", {}))
    return response
