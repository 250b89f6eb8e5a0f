"""The HTTP surface, under /v1. A view parses, calls one service in one transaction, and dumps; rules live below."""

from __future__ import annotations

from copy import deepcopy
from threading import Lock

import flask_smorest
from apispec import APISpec
from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from scheduler.api import (
    absences,
    api_keys,
    appointments,
    audit_events,
    availability,
    board,
    calendar_feeds,
    clinical_holds,
    cors,
    course_bookings,
    course_terms,
    courses,
    disruptions,
    docs,
    document,
    errors,
    extra_hours,
    groups,
    health,
    holds,
    inbound,
    incoming_bytes,
    jobs,
    limits,
    link_ends,
    load,
    locations,
    message_rules,
    message_texts,
    messages,
    organization,
    patients,
    plan_batches,
    protocols,
    replans,
    resources,
    series,
    staff_addresses,
    supplies,
    tasks,
    timelines,
    trace,
    visit_day,
    visit_types,
    waitlist,
    webhooks,
)

#: One module per noun, each with its blueprint `blp`, in the order in which the documentation shows them.
NOUNS = (
    organization,
    locations,
    resources,
    absences,
    extra_hours,
    visit_types,
    protocols,
    patients,
    clinical_holds,
    availability,
    appointments,
    visit_day,
    board,
    tasks,
    load,
    groups,
    holds,
    waitlist,
    series,
    courses,
    course_bookings,
    course_terms,
    replans,
    timelines,
    plan_batches,
    disruptions,
    supplies,
    jobs,
    messages,
    message_rules,
    message_texts,
    link_ends,
    calendar_feeds,
    staff_addresses,
    webhooks,
    api_keys,
    audit_events,
)


class _Api(flask_smorest.Api):  # type: ignore[misc] # flask-smorest ships no types
    """flask-smorest writes openapi.yaml; its own manner of errors is not ours."""

    DEFAULT_ERROR_RESPONSE_NAME = None
    spec: APISpec

    def __init__(self, app: Flask) -> None:
        self._undescribed: list[flask_smorest.Blueprint] = []
        self._writing = Lock()
        super().__init__(app, spec_kwargs=document.INFO | {"webhooks": webhooks.TOLD})
        document.describe_shared(self.spec)

    def register_blueprint(self, blp: flask_smorest.Blueprint) -> None:
        """Serve it from now on. It is described when somebody asks: that takes longer than all else of a start."""
        self._app.register_blueprint(blp)
        self._undescribed.append(blp)

    def described(self) -> APISpec:
        """What is served, as an OpenAPI document."""
        with self._writing:
            for blp in self._undescribed:
                blp.register_views_in_doc(self, self._app, self.spec, name=blp.name, parameters=None)
                self.spec.tag({"name": blp.name, "description": blp.description})
            rules = {rule.endpoint: rule for rule in self._app.url_map.iter_rules()}
            for name, operations in inbound.DESCRIBED.items() if self._undescribed else ():
                self.spec.path(rule=rules[name], operations=deepcopy(operations))
            self._undescribed.clear()
        return self.spec

    def _register_error_handlers(self) -> None:
        """Leave them to errors.py."""

    def _register_responses(self) -> None:
        """Leave them, and the headers below, to document.py."""

    _register_etag_headers = _register_pagination_header = _register_responses


def register(app: Flask) -> None:
    """Hang every blueprint on the application."""
    _believe_proxies(app)
    for manner in (incoming_bytes, trace, cors, limits, errors, health):
        manner.init_app(app)
    app.register_blueprint(docs.blp)
    app.register_blueprint(calendar_feeds.public)
    app.register_blueprint(inbound.public)
    api = _Api(app)
    for noun in NOUNS:
        api.register_blueprint(noun.blp)
    _deny_by_default(app)


def _believe_proxies(app: Flask) -> None:
    """Take the caller's address and scheme from as many proxies as the settings trust, and from no more."""
    hops = app.extensions["settings"].trusted_proxies
    if hops:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]


def _deny_by_default(app: Flask) -> None:
    """Refuse to start with a route under /v1 that nobody guards."""
    for rule in app.url_map.iter_rules():
        view = app.view_functions[rule.endpoint]
        if rule.rule.startswith("/v1") and not (hasattr(view, "manner") or hasattr(view, "unkeyed")):
            msg = f"{rule.rule} goes through neither @endpoint nor @unkeyed"
            raise RuntimeError(msg)
