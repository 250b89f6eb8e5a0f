"""Which web pages of other origins may call the API: those in the settings, by default none. No cookies, ever."""

from __future__ import annotations

from flask import Flask, Response, current_app, request

_METHODS = "GET, POST, PUT, PATCH, DELETE"
_SENT = "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, X-Actor, X-Request-Id"
_SHOWN = (
    "Dry-Run, ETag, Idempotency-Replayed, Location, RateLimit, RateLimit-Policy, Retry-After, WWW-Authenticate, "
    "X-Request-Id"
)


def init_app(app: Flask) -> None:
    """Have `app` tell browsers which origins it trusts."""
    if app.extensions["settings"].cors_origins:
        app.after_request(_permit)


def _permit(response: Response) -> Response:
    response.headers.add("Vary", "Origin")
    origin = request.headers.get("Origin", "")
    if origin not in current_app.extensions["settings"].cors_origins:
        return response
    response.headers["Access-Control-Allow-Origin"] = origin
    response.headers["Access-Control-Expose-Headers"] = _SHOWN
    if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
        response.headers["Access-Control-Allow-Methods"] = _METHODS
        response.headers["Access-Control-Allow-Headers"] = _SENT
        response.headers["Access-Control-Max-Age"] = "600"
    return response
