"""The HTTP surface, under /v1. A view parses, calls one service in one transaction, and dumps; rules live below."""

from __future__ import annotations

from flask import Flask


def register(app: Flask) -> None:
    """Hang every blueprint on the application."""
