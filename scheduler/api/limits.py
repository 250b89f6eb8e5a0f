"""How often a key may ask, off unless the settings say otherwise, and a calendar. The counting is core's."""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256

from flask import Flask, Response, current_app, g, request
from werkzeug.exceptions import TooManyRequests

from scheduler.core.call import Call
from scheduler.core.limiter import Limiter, house_of, spend_each


def init_app(app: Flask) -> None:
    """Give `app` its limiter, if it wants one, and have its answers tell how much is left."""
    per_minute = app.extensions["settings"].rate_limit_per_minute
    app.extensions["limiter"] = Limiter(per_minute) if per_minute else None
    if per_minute:
        app.after_request(tell)


def spend(call: Call) -> None:
    """Count this request. Raises `TooManyRequests` when the key has used up its share."""
    limiter: Limiter | None = current_app.extensions["limiter"]
    if limiter is None or call.key_id is None:
        return
    found = limiter.spend(call.key_id, call.now)
    g.rate_limit = limiter.headers("key", found)
    if found is None:
        raise TooManyRequests(retry_after=limiter.wait)


def spend_link(token: str, now: datetime) -> None:
    """The same for what a link opens to whoever has it: by address and by link, from the pages' own share."""
    askers = {"address": house_of(request.remote_addr or ""), "link": sha256(token.encode()).digest()}
    known = {name: who for name, who in askers.items() if who is not None}
    g.rate_limit, wait = spend_each(current_app.extensions["link_limiters"], known, now)
    if wait is not None:
        raise TooManyRequests(retry_after=wait)


def tell(response: Response) -> Response:
    """How much is left, as far as this request was counted."""
    response.headers.update(g.get("rate_limit", {}))
    return response
