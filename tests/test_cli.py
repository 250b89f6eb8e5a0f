"""The operator's commands, run as a process would run them."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
import requests
import yaml
from click.testing import CliRunner, Result
from sqlalchemy import create_engine, insert, select
from sqlalchemy.pool import NullPool

from scheduler import create_app, wall_clock
from scheduler.cli import main
from scheduler.config import Settings
from scheduler.core.civil import TZDATA_VERSION
from scheduler.core.scopes import BUNDLES, SCOPES
from scheduler.database import db
from scheduler.models import ApiKey, AuditEvent, IdempotencyRecord, Organization, WorkerHeartbeat
from scheduler.services.doctor import CHECKS
from tests.house.source import ROOT

if TYPE_CHECKING:
    from pathlib import Path

Run = Callable[..., Result]


@pytest.fixture
def run(empty_database_url: str) -> Run:
    """Run a command on a database of this test's own, empty at first."""

    def invoke(*command: str) -> Result:
        return CliRunner().invoke(main, command, env={"SCHEDULER_DATABASE_URL": empty_database_url})

    return invoke


def status(url: str, token: str) -> int:
    """What the API answers that key when it asks for the keys."""
    app = create_app(Settings(database_url=url))
    try:
        return app.test_client().get("/v1/api-keys", headers={"Authorization": f"Bearer {token}"}).status_code
    finally:
        with app.app_context():
            db.engine.dispose()


def test_an_empty_database_becomes_a_house_with_a_key(run: Run, empty_database_url: str) -> None:
    done = run("init", "--name", "North Clinic")
    assert (done.exit_code, len(done.stdout.strip())) == (0, 97), done.output
    assert status(empty_database_url, done.stdout.strip()) == 200
    engine = create_engine(empty_database_url, poolclass=NullPool)
    with engine.connect() as connection:
        assert connection.scalars(select(Organization.name)).all() == ["North Clinic"]
        assert set(connection.scalars(select(AuditEvent.actor))) == {"command line"}
    again = run("init", "--name", "South Clinic")
    assert again.exit_code == 1
    assert "has an organization already" in again.output


def test_migrating_twice_changes_nothing(run: Run) -> None:
    assert run("migrate").exit_code == 0
    assert run("migrate").exit_code == 0
    assert run("keys", "list").output.startswith("Error: Say which organization")


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_before_migrating_the_operator_is_told_what_to_do(run: Run) -> None:
    done = run("keys", "list")
    assert (done.exit_code, "has `migrate` been run?" in done.output, "Traceback" in done.output) == (1, True, False)


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_keys_are_made_listed_and_ended(run: Run, empty_database_url: str) -> None:
    run("init", "--name", "Clinic")
    token = run("keys", "create", "--name", "board", "--scope", "keys:write", "--days", "3").stdout.strip()
    assert status(empty_database_url, token) == 200
    listed = run("keys", "list").stdout.splitlines()
    assert [line.split()[1:] for line in listed] == [["live", "admin", "admin"], ["live", "board", "keys:write"]]
    assert token[-43:] not in "".join(listed)
    assert run("keys", "revoke", listed[1].split()[0]).exit_code == 0
    assert status(empty_database_url, token) == 401
    assert [line.split()[1] for line in run("keys", "list").stdout.splitlines()] == ["live", "revoked"]
    assert run("keys", "create", "--name", "desk", "--scope", "front_desk").exit_code == 0
    engine = create_engine(empty_database_url, poolclass=NullPool)
    with engine.begin() as connection:
        rows = connection.execute(select(ApiKey.name, ApiKey.scopes, ApiKey.expires_at).order_by(ApiKey.id)).all()
    assert [set(row.scopes) for row in rows] == [SCOPES.keys(), {"keys:write"}, BUNDLES["front_desk"]]
    assert rows[1].expires_at is not None
    assert timedelta(days=2) < rows[1].expires_at - wall_clock() < timedelta(days=3)


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_mistakes_are_said_plainly(run: Run) -> None:
    run("init", "--name", "Clinic")
    for command, says in (
        (("keys", "create", "--name", "x", "--scope", "root"), "There is no scope or bundle 'root'."),
        (("keys", "revoke", str(uuid4())), "There is no such API key."),
        (("keys", "list", "--organization", str(uuid4())), "Say which organization"),
        (("keys", "revoke", "1"), "is not a valid UUID"),
        (("init",), "Missing option '--name'"),
        (("nonsense",), "No such command"),
    ):
        done = run(*command)
        assert done.exit_code != 0
        assert says in done.output
        assert "Traceback" not in done.output


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_faulty_settings_are_all_named(empty_database_url: str) -> None:
    faulty = {"SCHEDULER_LOG_LEVEL": "LOUD", "SCHEDULER_WORKER_BATCH": "0", "SCHEDULER_DATABASE_URL": "oracle://x"}
    done = CliRunner().invoke(main, ["migrate"], env=faulty)
    assert done.exit_code == 2
    assert all(name in done.output for name in faulty)


def test_the_contract_needs_no_database(tmp_path: Path) -> None:
    faulty = {"SCHEDULER_DATABASE_URL": "oracle://x"}
    printed = CliRunner().invoke(main, ["openapi"], env=faulty)
    assert (printed.exit_code, yaml.safe_load(printed.stdout)["openapi"]) == (0, "3.1.0")
    written = CliRunner().invoke(main, ["openapi", "--output", str(tmp_path / "o.yaml")], env=faulty)
    assert (written.exit_code, (tmp_path / "o.yaml").read_text()) == (0, printed.stdout)


def test_the_module_runs() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "scheduler", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for command in ("init", "keys", "migrate", "openapi", "serve", "worker"):
        assert f"\n  {command} " in done.stdout


@contextmanager
def process(url: str, *command: str) -> Iterator[subprocess.Popen[str]]:
    """A command as a process of its own; told to stop at the end, and seen to end well."""
    started = subprocess.Popen(
        [sys.executable, "-m", "scheduler", *command],
        cwd=ROOT,
        env={**os.environ, "SCHEDULER_DATABASE_URL": url, "SCHEDULER_WORKER_TICK_SECONDS": "1"},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield started
        started.terminate()
        _, said = started.communicate(timeout=60)
        assert started.returncode == 0, said
        assert "Traceback" not in said
    finally:
        started.kill()
        started.communicate()


def until(look: Callable[[], Any]) -> Any:
    """What `look` finds at last."""
    for _ in range(600):
        found = look()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError("waited in vain")


def ready(port: int) -> Any:
    try:
        return requests.get(f"http://127.0.0.1:{port}/readyz", timeout=60).json()
    except requests.ConnectionError:
        return None


@pytest.mark.slow
@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_one_process_serves_and_works(run: Run, empty_database_url: str) -> None:
    run("migrate")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with process(empty_database_url, "serve", "--port", str(port)):
        assert until(lambda: ready(port))["status"] == "ready"
        assert until(lambda: ready(port)["worker"]["last_tick_at"])
        answer = requests.get(f"http://127.0.0.1:{port}/healthz", timeout=60)
        assert "Server" not in answer.headers


@pytest.mark.slow
def test_a_worker_works_until_it_is_told_to_stop(run: Run, empty_database_url: str) -> None:
    run("migrate")
    engine = create_engine(empty_database_url, poolclass=NullPool)
    with process(empty_database_url, "worker"):

        def ticked() -> list[Any]:
            with engine.connect() as connection:
                return list(connection.scalars(select(WorkerHeartbeat.ticked_at)))

        assert until(ticked)


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
@pytest.mark.parametrize("command", ["serve", "worker"])
def test_nothing_starts_on_another_schema(run: Run, command: str) -> None:
    done = run(command)
    assert done.exit_code == 1
    assert "run `python -m scheduler migrate`" in done.output


def test_the_doctor_tells_well_from_broken(run: Run, empty_database_url: str) -> None:
    assert run("doctor").exit_code == 1, "there is no schema yet"
    run("init", "--name", "North Clinic")
    well = run("doctor")
    lines = well.stdout.splitlines()
    assert (well.exit_code, len(lines)) == (0, len(CHECKS)), well.output
    assert all(" ok " in line for line in lines)
    engine = create_engine(empty_database_url, poolclass=NullPool)
    with engine.begin() as connection:
        [key] = connection.execute(select(Organization.id)).scalars()
        taken = {"organization_id": key, "key_id": uuid4(), "key": "half", "fingerprint": ""}
        now = dict.fromkeys(("created_at", "expires_at"), wall_clock())
        connection.execute(insert(IdempotencyRecord).values(taken | now))
    ill = run("doctor", "--json", "--organization", str(key))
    said = {each["key"]: each for each in map(json.loads, ill.stdout.splitlines())}
    assert ill.exit_code == 1, ill.output
    assert [name for name, each in said.items() if each["count"]] == ["replays"]
    assert (said["replays"]["organization_id"], said["replays"]["shown"]) == (str(key), ["half"])
    assert "BROKEN 1" in run("doctor").stdout
    assert "no such organization" in run("doctor", "--organization", str(uuid4())).output


def test_the_zone_rules_are_told(run: Run) -> None:
    run("init", "--name", "North Clinic")
    done = run("zone-rules")
    assert (done.exit_code, done.stdout) == (0, f"In force: {TZDATA_VERSION}\n"), done.output
