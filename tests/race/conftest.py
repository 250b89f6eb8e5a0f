"""A real server on either database, started once, and for each test a clinic of its own behind it.

The tests share the server and its database: every clinic is an organization, and organizations do not meet.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest
from sqlalchemy import Engine, create_engine

from scheduler.database import engine_options
from tests.plumbing import postgres
from tests.plumbing.servers import Server
from tests.race.arena import Arena
from tests.race.caller import Caller


@dataclass(frozen=True)
class House:
    """A database, and the gunicorn of two workers with four threads each that serves it."""

    engine: Engine
    server: Server


@pytest.fixture(scope="session")
def houses(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Callable[[str], House]]:
    """Gives the house of a dialect, built when it is first asked for."""
    built: dict[str, House] = {}
    with ExitStack() as stack:

        def house(dialect: str) -> House:
            if dialect not in built:
                folder = tmp_path_factory.mktemp(dialect)
                if dialect == "sqlite":
                    copy = shutil.copy(request.getfixturevalue("sqlite_template"), folder / "test.db")
                    url = f"sqlite:///{copy}"
                else:
                    places = map(request.getfixturevalue, ("postgres_server", "postgres_template"))
                    url = stack.enter_context(postgres.database(*places)).render_as_string(hide_password=False)
                engine = create_engine(url, **engine_options(url))
                stack.callback(engine.dispose)
                server = Server(url, folder)
                stack.callback(server.stop)
                built[dialect] = House(engine, server)
            if not built[dialect].server.is_up:
                built[dialect].server.start()
            return built[dialect]

        yield house


@pytest.fixture
def house(houses: Callable[[str], House], dialect: str) -> House:
    """The house of this test's database."""
    return houses(dialect)


@pytest.fixture
def server(house: House) -> Server:
    """The server; a test may kill it."""
    return house.server


@pytest.fixture
def arena(house: House) -> Arena:
    """Two of everyone and everything, twelve patients."""
    return Arena(house.engine)


@pytest.fixture
def desk(arena: Arena, server: Server) -> Caller:
    """Somebody with a key who can reach the server."""
    return arena.caller(server)
