"""How often a page may be asked for, by link and by address, in this process. The counting is core's."""

from __future__ import annotations

from hashlib import sha256

from flask import Flask, Response, current_app, g, render_template, request

from scheduler.core.limiter import Limiter, house_of, spend_each
from scheduler.pages.words import Words

#: Whoever wants no more messages may always say so, and mail programs say it for many from one address.
_NEVER_BY_ADDRESS = frozenset({"pages.stop", "pages.style"})


def init_app(app: Flask) -> None:
    """Give `app` the limiters that its settings want."""
    settings = app.extensions["settings"]
    wanted = {"link": settings.page_limit_per_minute, "address": settings.page_address_limit_per_minute}
    app.extensions["link_limiters"] = {name: Limiter(most) for name, most in wanted.items() if most}


def spend() -> Response | None:
    """Count this request; the answer when it is one too many, and None to go on."""
    now = current_app.extensions["clock"]()
    g.page_limit, wait = spend_each(current_app.extensions["link_limiters"], _askers(), now)
    return None if wait is None else _one_too_many(wait)


def tell(response: Response) -> Response:
    """Of every page how much is left: of its link, which is told last, or else of the address."""
    response.headers.update(g.get("page_limit", {}))
    return response


def _askers() -> dict[str, bytes]:
    """Who asks: by address, where one is known, and by link."""
    found: dict[str, bytes] = {}
    house = None if request.endpoint in _NEVER_BY_ADDRESS else house_of(request.remote_addr or "")
    if house is not None:
        found["address"] = house
    if request.view_args and "token" in request.view_args:
        found["link"] = sha256(request.view_args["token"].encode()).digest()  # what opens a page is kept nowhere
    return found


def _one_too_many(wait: int) -> Response:
    words = Words.of([request.args.get("lang", ""), *(tag for tag, _ in request.accept_languages)])
    response = Response(render_template("busy.html", _=words), status=429)
    response.headers["Retry-After"] = str(wait)
    return response
