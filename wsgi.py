"""Entry point for WSGI servers: `gunicorn wsgi:app`."""

from scheduler import create_app

app = create_app()
