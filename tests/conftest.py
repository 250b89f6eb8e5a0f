"""The fixtures: every test that asks for `engine`, `app` or `client` runs on SQLite and on a real PostgreSQL.

The schema is built once per process by the migrations, on a template; each test has a copy to itself, as good as new.
To run one on one of the two only, and to say so: `@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)`.
"""

from __future__ import annotations

import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import URL, Engine, create_engine, event, make_url
from werkzeug.serving import make_server

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


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long tests first: at the end nobody waits for one of them alone."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@event.listens_for(Engine, "connect")
def _spare_the_disk(connection: Any, _record: Any) -> None:
    """A power cut would lose nothing that anybody wants, as in `postgres.OPTIONS`. Processes of their own do wait."""
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA synchronous=OFF")


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


@pytest.fixture(scope="session")
def sqlite_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the SQLite database of the present test lies: always the same place, so that its engine serves again."""
    return tmp_path_factory.mktemp("sqlite") / "present"


@pytest.fixture
def database_url(dialect: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """A migrated, empty database of this test's own."""
    if dialect == "sqlite":
        folder, template = map(request.getfixturevalue, ("sqlite_folder", "sqlite_template"))
        shutil.rmtree(folder, ignore_errors=True)  # with the log of whoever has not closed it
        folder.mkdir()
        yield f"sqlite:///{shutil.copy(template, folder / 'test.db')}"
    else:
        with request.getfixturevalue("postgres_stock").lent() as url:
            yield url.render_as_string(hide_password=False)


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """The settings of an installation whose every file lies in this test's own folder."""
    return Settings(
        database_url=database_url, outbox_dir=str(tmp_path / "outbox"), database_pool_size=20, staff_notices=("json",)
    )


@pytest.fixture(scope="session")
def engines() -> dict[str, Engine]:
    """The engines of this process by address. They keep what they have compiled: half the cost of most tests."""
    return {}


@pytest.fixture
def engine(settings: Settings, engines: dict[str, Engine]) -> Iterator[Engine]:
    """An engine as the product builds it, on a migrated database of this test's own."""
    from scheduler.database import engine_options
    from scheduler.services import busy

    url = settings.database_url
    if url not in engines:
        options = engine_options(url, pool_size=settings.database_pool_size)
        engines[url] = create_engine(url, query_cache_size=5000, **options)
    yield engines[url]
    out = engines[url].pool.checkedout()  # type: ignore[attr-defined]
    engines[url].dispose()
    assert out == 0, "whoever still has a connection closes it too late, in somebody else's test"
    busy._memories.pop(engines[url], None)


@pytest.fixture
def clock() -> Clock:
    """The time that `app` sees; it stands still until `clock.move(...)`."""
    return Clock()


@pytest.fixture
def app(settings: Settings, clock: Clock, engine: Engine) -> Iterator[Flask]:
    """The whole application, with a standing clock and without a worker, on the test's own engine."""
    from scheduler import create_app
    from scheduler.database import db

    made = create_app(settings, clock=clock)
    with made.app_context():
        db.engines[None] = engine
    yield made
    with made.app_context():
        db.session.remove()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A front desk's HTTP client, without a key."""
    return app.test_client()


@pytest.fixture
def address(app: Flask) -> Iterator[str]:
    """The application behind a socket, on this test's database and clock."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()
