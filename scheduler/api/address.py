"""Where this installation is reached from outside: by its settings, or else as the caller has reached it."""

from __future__ import annotations

from flask import current_app, request


def base() -> str:
    """Scheme and host, without a slash at the end. What a caller says of the host counts only where nothing is set."""
    public: str = current_app.extensions["settings"].public_url
    return (public or request.host_url).rstrip("/")
