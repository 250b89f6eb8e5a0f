"""`python -m scheduler demo` as somebody runs it, and the walk-through of the README against it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import create_engine, func, select
from sqlalchemy.pool import NullPool

from scheduler.cli import main
from scheduler.models import Organization
from tests.house.source import ROOT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.parametrize("dialect", ["sqlite"], indirect=True),
]


def test_it_can_be_run_twice_and_touches_nothing_else(
    dialect: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("SCHEDULER_")]:
        monkeypatch.delenv(name)
    sizes = []
    for _ in range(2):
        done = CliRunner().invoke(main, ["demo", "--exit", "--today", "2026-03-01"])
        assert done.exit_code == 0, done.output
        assert "13 visits are booked." in done.output
        engine = create_engine("sqlite:///var/demo.db", poolclass=NullPool)
        with engine.connect() as connection:
            sizes.append(connection.execute(select(func.count()).select_from(Organization)).scalar())
    assert sizes == [1, 1]
    assert {path.name for path in Path("var").iterdir()} - {"demo.db-wal", "demo.db-shm"} == {"demo.db", "outbox"}


def test_it_keeps_away_from_real_data(empty_database_url: str) -> None:
    env = {"SCHEDULER_DATABASE_URL": empty_database_url}
    assert CliRunner().invoke(main, ["init", "--name", "North Clinic"], env=env).exit_code == 0
    done = CliRunner().invoke(main, ["demo", "--exit"], env=env)
    assert done.exit_code == 1
    assert "'North Clinic' in this database is no demonstration" in done.output
    engine = create_engine(empty_database_url, poolclass=NullPool)
    with engine.connect() as connection:
        assert connection.scalars(select(Organization.name)).all() == ["North Clinic"]


def test_a_port_that_is_taken_is_said_at_once(empty_database_url: str) -> None:
    with serving_nothing() as port:
        env = {"SCHEDULER_DATABASE_URL": empty_database_url}
        done = CliRunner().invoke(main, ["demo", "--exit", "--port", str(port)], env=env)
    assert done.exit_code == 1
    assert "in use" in done.output
    assert "Traceback" not in done.output


@contextmanager
def serving_nothing() -> Iterator[int]:
    """A port of this machine that is taken."""
    import socket

    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        yield held.getsockname()[1]


def walk_through() -> str:
    """The shell lines of the README that go against the demonstration."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    return next(block for block in blocks if "var/demo.env" in block)


@pytest.mark.skipif(not (shutil.which("curl") and shutil.which("bash")), reason="the walk-through is for bash and curl")
def test_the_readme_tells_the_truth(dialect: str, tmp_path: Path) -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("SCHEDULER_")}
    environ |= {"PYTHONPATH": str(ROOT), "PATH": f"{Path(sys.executable).parent}:{environ['PATH']}"}
    # As a shell starts what is to stay in the background, deaf to Ctrl-C.
    deaf = ["bash", "-c", 'trap "" INT; exec "$@"', "bash"]
    command = [*deaf, sys.executable, "-m", "scheduler", "demo", "--today", "2026-03-01"]
    with subprocess.Popen(command, cwd=tmp_path, env=environ, stdout=subprocess.PIPE, text=True) as demo:
        try:
            variables = tmp_path / "var" / "demo.env"
            while not (variables.exists() and variables.read_text().endswith("\n")):
                assert demo.poll() is None
                time.sleep(0.1)
            walked = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", walk_through()],
                cwd=tmp_path, env=environ, capture_output=True, text=True, check=False, timeout=60,
            )  # fmt: skip
        finally:
            demo.send_signal(signal.SIGINT)
            said = demo.communicate(timeout=60)[0]
    assert demo.returncode == 0, said
    assert "Stopped." in said
    assert not variables.exists()
    assert walked.returncode == 0, walked.stdout + walked.stderr
    assert '"status":"ready"' in walked.stdout.replace(" ", "")
    assert '"status":"booked"' in walked.stdout
    assert '"status":"cancelled"' in walked.stdout
