"""Regimen: a scheduler for courses of treatment. `create_app` is the whole wiring on one screen."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flask import Flask
from flask_migrate import Migrate

from scheduler import api, pages
from scheduler.config import Settings
from scheduler.database import db, engine_options, ensure_directory

Clock = Callable[[], datetime]

#: How many more objects made than given up there are before garbage is looked for: a request makes some thousand.
_SELDOM = 20_000

#: Seconds that one thread may compute while others wait. Requests wait for the database long before; 5 ms as usual
#: only take from a thread that another program has displaced, which then has to hand over as well.
_AT_A_STRETCH = 0.02

MIGRATIONS = Path(__file__).parent.parent / "migrations"


class _App(Flask):
    """Flask, told once that no view waits: it would ask each function at each request."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """As it is."""
        return func


def wall_clock() -> datetime:
    """The present moment, aware UTC. Everything below the edges is handed a clock instead of calling this."""
    return datetime.now(UTC)


def create_app(settings: Settings | None = None, *, clock: Clock = wall_clock) -> Flask:
    """The WSGI application. Without `settings`, they come from the environment; `clock` tells the time."""
    settings = settings or Settings.from_environ()
    app = _App(__name__, static_folder=None)
    app.config.update(
        SQLALCHEMY_DATABASE_URI=settings.database_url,
        SQLALCHEMY_ENGINE_OPTIONS=engine_options(
            settings.database_url,
            pool_size=settings.database_pool_size,
            connect_seconds=settings.database_connect_seconds,
        ),
        MAX_CONTENT_LENGTH=settings.max_body_bytes,
    )
    app.extensions["settings"] = settings
    app.extensions["clock"] = clock
    app.extensions["wall_clock"] = wall_clock  # the machine's own, to be compared with the database's
    ensure_directory(settings.database_url)
    db.init_app(app)
    Migrate(app, db, directory=str(MIGRATIONS))
    api.register(app)
    pages.register(app)
    return app


def settle_down() -> None:
    """Call once, before serving: what is there by now stays, and no later collection of garbage looks at it again.

    A full one would take a tenth of a second, in the middle of somebody's request. Small ones come seldom from then on,
    and threads make way for one another less often.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_SELDOM, 20, 20)
    sys.setswitchinterval(_AT_A_STRETCH)
