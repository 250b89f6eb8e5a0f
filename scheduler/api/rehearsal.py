"""What a process does before it serves, so that who asks first waits no longer than others. No routes."""

from __future__ import annotations

import logging
import os
from functools import partial

from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from scheduler.database import db, look
from scheduler.services import rehearsal

_log = logging.getLogger(__name__)


def rehearse(app: Flask) -> None:
    """Ask the database once what most requests ask it, for nobody. A database that does not answer is no reason to end.

    The connection stays open for the first request, but not across a fork: two processes would speak on it.
    """
    with app.app_context():
        os.register_at_fork(after_in_child=partial(db.engine.dispose, close=False))
        try:
            look(db.session())
            rehearsal.rehearse(db.session(), app.extensions["clock"]())
        except SQLAlchemyError as error:
            _log.info("There was no rehearsal: %s", type(error).__name__)
