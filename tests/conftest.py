"""The fixtures: every test that asks for `engine`, `app` or `client` runs on SQLite and on a real PostgreSQL.

The schema is built once per process by the migrations, on a template; each test gets a copy of its own. To run a test
on one of the two only, and to say so: `@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)`.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import URL, Engine, create_engine, make_url

from scheduler.config import Settings
from tests.plumbing import effort, postgres, sockets  # noqa: F401 - effort registers its profile before it is looked for
from tests.plumbing.clock import Clock
from tests.plumbing.stock import Stock

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

MIGRATIONS = Path(__file__).parents[1] / "migrations"
LENT = pytest.StashKey[ExitStack]()
ADDRESS = pytest.StashKey[str]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """What is too long for every run."""
    parser.addoption("--all-frozen", action="store_true", help="try every frozen course, not a sample")


def pytest_configure(config: pytest.Config) -> None:
    """Close the sockets, and keep a stack of what must be undone when the session ends."""
    config.stash[LENT] = ExitStack()
    config.stash[LENT].enter_context(sockets.closed())


def pytest_unconfigure(config: pytest.Config) -> None:
    """Undo it, whatever happened."""
    config.stash[LENT].close()


def _server(config: pytest.Config) -> str:
    """Start the server when it is first needed. Under xdist the controller owns it, and its workers are told."""
    if hasattr(config, "workerinput"):
        return str(config.workerinput["postgres"])
    if ADDRESS not in config.stash:
        address = config.stash[LENT].enter_context(postgres.server())
        config.stash[ADDRESS] = address.render_as_string(hide_password=False)
    return config.stash[ADDRESS]


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Hand the server's address to an xdist worker."""
    node.workerinput["postgres"] = _server(node.config)


def migrate(url: URL) -> None:
    """Bring an empty database to the newest schema, by the migrations that an installation runs."""
    from flask_migrate import upgrade

    from scheduler import create_app
    from scheduler.database import db

    app = create_app(Settings(database_url=url.render_as_string(hide_password=False)))
    with app.app_context():
        upgrade(str(MIGRATIONS))
        db.engine.dispose()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The migrated SQLite file that each test copies."""
    path = tmp_path_factory.mktemp("template") / "template.db"
    migrate(URL.create("sqlite", database=str(path)))
    assert not path.with_name(f"{path.name}-wal").exists(), "somebody still holds the template"
    return path


@pytest.fixture(scope="session")
def postgres_server(pytestconfig: pytest.Config) -> URL:
    """The address of a database in which others may be created."""
    return make_url(_server(pytestconfig))


@pytest.fixture(scope="session")
def postgres_template(postgres_server: URL) -> Iterator[URL]:
    """The migrated PostgreSQL database that each test copies."""
    with postgres.database(postgres_server) as template:
        migrate(template)
        yield template


@pytest.fixture(scope="session")
def postgres_stock(postgres_server: URL, postgres_template: URL) -> Iterator[Stock]:
    """Copies of it, each for one test at a time."""
    with closing(Stock(postgres_server, postgres_template)) as stock:
        yield stock


@pytest.fixture(params=["sqlite", "postgresql"])
def dialect(request: pytest.FixtureRequest) -> str:
    """Name the database under the test; `engine`, `database_url`, `app` and `client` follow it."""
    return str(request.param)


@pytest.fixture
def empty_database_url(dialect: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """A database of this test's own, without any table."""
    if dialect == "sqlite":
        yield f"sqlite:///{tmp_path}/empty.db"
    else:
        with postgres.database(request.getfixturevalue("postgres_server")) as url:
            yield url.render_as_string(hide_password=False)


@pytest.fixture
def database_url(dialect: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """A migrated, empty database of this test's own."""
    if dialect == "sqlite":
        copy = shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "test.db")
        yield f"sqlite:///{copy}"
    else:
        with request.getfixturevalue("postgres_stock").lent() as url:
            yield url.render_as_string(hide_password=False)


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """The settings of an installation whose every file lies in this test's own folder."""
    return Settings(database_url=database_url, outbox_dir=str(tmp_path / "outbox"), database_pool_size=20)


@pytest.fixture
def engine(settings: Settings) -> Iterator[Engine]:
    """An engine as the product builds it, on a migrated database of this test's own."""
    from scheduler.database import engine_options

    url = settings.database_url
    built = create_engine(url, **engine_options(url, pool_size=settings.database_pool_size))
    yield built
    built.dispose()


@pytest.fixture
def clock() -> Clock:
    """The time that `app` sees; it stands still until `clock.move(...)`."""
    return Clock()


@pytest.fixture
def app(settings: Settings, clock: Clock) -> Iterator[Flask]:
    """The whole application, with a standing clock and without a worker."""
    from scheduler import create_app
    from scheduler.database import db

    made = create_app(settings, clock=clock)
    yield made
    with made.app_context():
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A front desk's HTTP client, without a key."""
    return app.test_client()
