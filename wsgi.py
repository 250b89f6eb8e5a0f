"""Entry point for WSGI servers: `gunicorn wsgi:app`. Logs go to standard error, where the server's own go."""

import logging

from scheduler import create_app, settle_down
from scheduler.api.rehearsal import rehearse

app = create_app()
logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s %(message)s")
logging.getLogger("scheduler").setLevel(app.extensions["settings"].log_level)
rehearse(app)
settle_down()
