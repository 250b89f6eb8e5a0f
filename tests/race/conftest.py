"""A clinic that is fought over, and a real server in front of it, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.plumbing.servers import Server, serving
from tests.race.arena import Arena
from tests.race.caller import Caller


@pytest.fixture
def arena(engine: Engine) -> Arena:
    """Two of everyone and everything, twelve patients."""
    return Arena(engine)


@pytest.fixture
def server(database_url: str, tmp_path: Path) -> Iterator[Server]:
    """A gunicorn of two workers with four threads each."""
    with serving(database_url, tmp_path) as running:
        yield running


@pytest.fixture
def desk(arena: Arena, server: Server) -> Caller:
    """Somebody with a key who can reach the server."""
    return arena.caller(server)
