"""Pages for patients, under /p: plain HTML that works without scripts. The way in is a link; rules live below.

GET shows and changes nothing; POST acts and sends the browser back to look.
"""

from __future__ import annotations

from flask import Flask

from scheduler.pages import views


def register(app: Flask) -> None:
    """Hang the pages on the application."""
    app.register_blueprint(views.blp)
