"""How often a key may ask, in this process. Off unless the settings say otherwise. The counting is core's."""

from __future__ import annotations

from flask import Flask, Response, current_app, g
from werkzeug.exceptions import TooManyRequests

from scheduler.core.call import Call
from scheduler.core.limiter import Limiter


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
    g.rate_limit = limiter.headers("key", found)
    if found is None:
        raise TooManyRequests(retry_after=limiter.wait)


def _tell(response: Response) -> Response:
    response.headers.update(g.get("rate_limit", {}))
    return response
