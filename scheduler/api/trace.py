"""What every answer carries: a request id and the headers of caution. Also one log line per request, ids only."""

from __future__ import annotations

import logging
import re
import secrets
import time

from flask import Flask, Response
from flask.globals import app_ctx, request_ctx

_SANE = re.compile(r"[A-Za-z0-9._:-]{1,64}", flags=re.ASCII)
_log = logging.getLogger("scheduler.requests")

#: What a page of ours may load: its own files only. Answers in JSON need nothing at all.
_NOTHING = "default-src 'none'; frame-ancestors 'none'"
_CARRIED = (
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cache-Control", "no-store"),
    ("Content-Security-Policy", _NOTHING),
)
#: Said of a refusal too: nothing would have been written, and nothing was.
_REHEARSED = ("Dry-Run", "true")
_SECURE = ("Strict-Transport-Security", "max-age=31536000")


def request_id() -> str:
    """The id of the request at hand: the caller's when it is sane, else one of ours."""
    g = app_ctx.g
    known: str | None = g.get("request_id")
    if known is None:
        offered = request_ctx.request.environ.get("HTTP_X_REQUEST_ID", "")
        known = offered if _SANE.fullmatch(offered) else secrets.token_hex(16)
        g.request_id = known
    return known


def init_app(app: Flask) -> None:
    """Have every answer of `app` carry the headers, and every request leave its line."""
    app.before_request(_begin)
    app.after_request(_finish)


def _begin() -> None:
    app_ctx.g.began = time.perf_counter()


def _finish(response: Response) -> Response:
    came, g, headers = request_ctx.request, app_ctx.g, response.headers
    said = {name.lower() for name, _ in headers}
    asked = [*([_SECURE] if came.is_secure else []), *([_REHEARSED] if g.get("dry_run") else [])]
    for name, value in (("X-Request-Id", request_id()), *_CARRIED, *asked):
        if name.lower() not in said:  # what it says itself goes before
            headers.add(name, value)
    if _log.isEnabledFor(logging.INFO):
        # The rule, never the path: paths hold ids and, for patient pages, secrets.
        rule = came.url_rule.rule if came.url_rule is not None else "-"
        spent = (time.perf_counter() - g.get("began", time.perf_counter())) * 1000
        _log.info("%s %s %d %.1fms %s", came.method, rule, response.status_code, spent, request_id())
    return response
