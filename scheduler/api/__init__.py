"""The HTTP surface, under /v1. A view parses, calls one service in one transaction, and dumps; rules live below."""

from __future__ import annotations

from typing import Any

import flask_smorest
from flask import Flask

from scheduler.api import api_keys, audit_events, errors, limits, trace
from scheduler.api.document import ProblemSchema

#: One module per noun, each with its blueprint `blp`, in the order in which the documentation shows them.
NOUNS = (
    api_keys,
    audit_events,
)

_TITLE = "Regimen"
_VERSION = "1.0"


class _Api(flask_smorest.Api):  # type: ignore[misc] # flask-smorest ships no types
    """flask-smorest writes openapi.yaml; its own manner of errors is not ours."""

    DEFAULT_ERROR_RESPONSE_NAME = None

    def _register_error_handlers(self) -> None:
        """Leave them to errors.py."""


def register(app: Flask) -> None:
    """Hang every blueprint on the application."""
    trace.init_app(app)
    limits.init_app(app)
    errors.init_app(app)
    app.config.update(API_TITLE=_TITLE, API_VERSION=_VERSION, OPENAPI_VERSION="3.1.0")
    api = _Api(app)
    _components(api.spec)
    for noun in NOUNS:
        api.register_blueprint(noun.blp)
    _deny_by_default(app)


def _components(spec: Any) -> None:
    spec.components.security_scheme("api_key", {"type": "http", "scheme": "bearer", "description": "An API key"})
    spec.components.response(
        "Problem",
        {"description": "A problem", "content": {"application/problem+json": {"schema": ProblemSchema}}},
    )


def _deny_by_default(app: Flask) -> None:
    """Refuse to start with a route under /v1 that nobody guards."""
    for rule in app.url_map.iter_rules():
        view = app.view_functions[rule.endpoint]
        if rule.rule.startswith("/v1") and not (hasattr(view, "manner") or hasattr(view, "unkeyed")):
            msg = f"{rule.rule} goes through neither @endpoint nor @unkeyed"
            raise RuntimeError(msg)
