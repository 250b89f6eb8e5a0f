"""/healthz, /readyz and /metrics: for orchestrators and operators, without a key. They tell ages and counts only."""

from __future__ import annotations

import logging
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from flask import Blueprint, Flask, Response, current_app, g, jsonify, request
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from scheduler.core.civil import TZDATA_VERSION
from scheduler.database import db
from scheduler.services import health

blp = Blueprint("health", __name__)
_log = logging.getLogger("scheduler.health")


@blp.get("/healthz")
def healthz() -> Response:
    """The process answers."""
    return jsonify(status="ok")


@blp.get("/readyz")
def readyz() -> tuple[Response, int]:
    """Whether requests can be served: 503 when the database is away or its schema is not this code's."""
    now = current_app.extensions["clock"]()
    found = _pulse(now)
    wanted = current_app.extensions["schema_head"]
    ready = found is not None and found.schema == wanted
    document: dict[str, Any] = {
        "status": "ready" if ready else "not_ready",
        "database": {"reachable": found is not None},
        "migrations": {"current": found.schema if found else None, "wanted": wanted},
        "worker": _aged("last_tick_at", found.last_tick_at if found else None, now),
        "messages": _aged("oldest_unsent_due_at", found.oldest_unsent_due_at if found else None, now),
        "tzdata": TZDATA_VERSION,
    }
    return jsonify(document), 200 if ready else 503


@blp.get("/metrics")
def metrics() -> Response:
    """Prometheus's text form. Counters are this process's own; the ages are looked up now."""
    meters: Meters = current_app.extensions["meters"]
    now = current_app.extensions["clock"]()
    meters.tell(_pulse(now), now)
    return Response(generate_latest(meters.registry), content_type=CONTENT_TYPE_LATEST)


class Meters:
    """What one application counts. Labels are rules and methods, never paths: a path holds somebody's id."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "scheduler_http_requests", "Requests answered", ["method", "rule", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "scheduler_http_request_seconds", "Time to answer", ["method", "rule"], registry=self.registry
        )
        self.reachable = Gauge("scheduler_database_up", "1 when the database answers", registry=self.registry)
        self.tick = Gauge(
            "scheduler_worker_tick_age_seconds",
            "Since a worker ticked; NaN: never",
            registry=self.registry,
        )
        self.unsent = Gauge(
            "scheduler_messages_oldest_unsent_seconds", "How late the oldest due message is", registry=self.registry
        )

    def tell(self, found: health.Pulse | None, now: datetime) -> None:
        """Set the gauges to what was found."""
        self.reachable.set(found is not None)
        last = found.last_tick_at if found is not None else None
        due = found.oldest_unsent_due_at if found is not None else None
        self.tick.set(_age(last, now) if last is not None else float("nan"))
        self.unsent.set(_age(due, now) if due is not None else 0)

    def count(self, response: Response) -> Response:
        """Count one answer."""
        rule = request.url_rule.rule if request.url_rule is not None else "none"
        self.requests.labels(request.method, rule, response.status_code).inc()
        self.seconds.labels(request.method, rule).observe(time.perf_counter() - g.get("began", time.perf_counter()))
        return response


def init_app(app: Flask) -> None:
    """Hang the three routes on `app` and count its answers."""
    meters = app.extensions["meters"] = Meters()
    directory = Path(app.extensions["migrate"].directory)
    app.extensions["schema_head"] = (directory / ".head").read_text().strip()
    app.after_request(meters.count)
    app.register_blueprint(blp)


def _pulse(now: datetime) -> health.Pulse | None:
    try:
        return health.pulse(db.session(), now, schema=current_app.extensions["schema_head"])
    except Exception as error:  # noqa: BLE001 - whatever keeps the database from answering, the answer is the same
        _log.error("the database does not answer: %s", type(error).__name__)
        db.session.remove()
        return None


def _aged(name: str, moment: datetime | None, now: datetime) -> dict[str, Any]:
    if moment is None:
        return {name: None, "age_seconds": None}
    return {name: moment.isoformat(), "age_seconds": round(_age(moment, now))}


def _age(moment: datetime, now: datetime) -> float:
    return (now - moment).total_seconds()
