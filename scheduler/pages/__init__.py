"""Pages for patients, under /p: plain HTML that works without scripts. The way in is a link; rules live below.

GET shows and changes nothing; POST acts and sends the browser back to look.
"""

from __future__ import annotations

from flask import Flask

from scheduler.pages import limits, views

views.blp.before_request(limits.spend)
views.blp.after_request(limits.tell)


def register(app: Flask) -> None:
    """Hang the pages on the application."""
    limits.init_app(app)
    app.register_blueprint(views.blp)
