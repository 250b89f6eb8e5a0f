"""/healthz, /readyz and /metrics: for orchestrators and operators, without a key. They tell ages and counts only."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import accumulate
from pathlib import Path
from typing import Any

from flask import Blueprint, Flask, Response, current_app, g, jsonify
from flask.globals import request_ctx
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from scheduler.core.civil import TZDATA_VERSION
from scheduler.database import db, look
from scheduler.services import health

blp = Blueprint("health", __name__)
#: Seconds between this machine's clock and the database's: from the one on somebody should look, past the other
#: nothing here can be relied upon.
SKEW_WARNS, SKEW_WRONG = 5.0, 60.0
_log = logging.getLogger("scheduler.health")


@blp.get("/healthz")
def healthz() -> Response:
    """The process answers."""
    return jsonify(status="ok")


@blp.get("/readyz")
def readyz() -> tuple[Response, int]:
    """Whether requests can be served: 503 when the database is away, its schema not this code's, or a clock wrong."""
    now = current_app.extensions["clock"]()
    found = _pulse(now)
    wanted = current_app.extensions["schema_head"]
    ready = found is not None and found.schema == wanted and abs(found.skew or 0) <= SKEW_WRONG
    document: dict[str, Any] = {
        "status": "ready" if ready else "not_ready",
        "database": {"reachable": found is not None},
        "migrations": {"current": found.schema if found else None, "wanted": wanted},
        "worker": _aged("last_tick_at", found.last_tick_at if found else None, now),
        "messages": _aged("oldest_unsent_due_at", found.oldest_unsent_due_at if found else None, now),
        "clock": _clock(found.skew if found else None),
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
        self._known: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
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
        self.skew = Gauge(
            "scheduler_clock_skew_seconds",
            "This process's clock minus the database's; NaN: there is only one",
            registry=self.registry,
        )
        self.tallies = Tallies()
        self.registry.register(self.tallies)
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
        skew = found.skew if found is not None else None
        self.skew.set(skew if skew is not None else float("nan"))
        self.tallies.told = found.tallies if found is not None else {}

    def count(self, response: Response) -> Response:
        """Count one answer."""
        came = request_ctx.request  # `request` looks for it anew at every word
        rule = came.url_rule.rule if came.url_rule is not None else "none"
        requests, seconds = self._meant(came.method, rule, response.status_code)
        requests.inc()
        seconds.observe(time.perf_counter() - g.get("began", time.perf_counter()))
        return response

    def _meant(self, method: str, rule: str, status: int) -> tuple[Counter, Histogram]:
        """The two of these labels; the library looks for them with more care than they need."""
        known = self._known.get((method, rule, status))
        if known is None:
            known = self.requests.labels(method, rule, status), self.seconds.labels(method, rule)
            self._known[method, rule, status] = known
        return known


class Tallies(Collector):
    """What the workers have counted, as they told it with their pulse: each has series of its own, which only grow."""

    def __init__(self) -> None:
        self.told: Mapping[str, Mapping[str, Any]] = {}

    def collect(self) -> Iterable[Metric]:
        """Prometheus's own protocol."""
        late = HistogramMetricFamily(
            "scheduler_messages_lateness_seconds", "From due to accepted by the provider", labels=["worker"]
        )
        ends = CounterMetricFamily(
            "scheduler_messages_deliveries", "Deliveries that ended", labels=["worker", "channel", "end"]
        )
        for worker, told in self.told.items():
            bounds = [*(str(bound) for bound in told["late"]["bounds"]), "+Inf"]
            counts = accumulate(told["late"]["counts"])
            late.add_metric([worker], list(zip(bounds, counts, strict=True)), told["late"]["sum"])
            for channel, end, count in told["ends"]:
                ends.add_metric([worker, channel, end], count)
        return (late, ends)


def init_app(app: Flask) -> None:
    """Hang the three routes on `app` and count its answers."""
    meters = app.extensions["meters"] = Meters()
    directory = Path(app.extensions["migrate"].directory)
    app.extensions["schema_head"] = (directory / ".head").read_text().strip()
    app.after_request(meters.count)
    app.register_blueprint(blp)


def _pulse(now: datetime) -> health.Pulse | None:
    try:
        known, session = current_app.extensions, db.session()
        look(session)
        return health.pulse(session, now, schema=known["schema_head"], wall=known["wall_clock"])
    except Exception as error:  # noqa: BLE001 - whatever keeps the database from answering, the answer is the same
        _log.error("the database does not answer: %s", type(error).__name__)
        db.session.remove()
        return None


def _clock(skew: float | None) -> dict[str, Any]:
    if skew is None:
        return {"skew_seconds": None, "status": "unknown"}
    status = "wrong" if abs(skew) > SKEW_WRONG else "warning" if abs(skew) > SKEW_WARNS else "right"
    return {"skew_seconds": round(skew, 1), "status": status}


def _aged(name: str, moment: datetime | None, now: datetime) -> dict[str, Any]:
    if moment is None:
        return {name: None, "age_seconds": None}
    return {name: moment.isoformat(), "age_seconds": round(_age(moment, now))}


def _age(moment: datetime, now: datetime) -> float:
    return (now - moment).total_seconds()
