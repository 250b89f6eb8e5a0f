"""Every refusal has one shape, and none tells what is nobody's business."""

from __future__ import annotations

import logging
import sqlite3
from base64 import urlsafe_b64decode
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError, StatementError
from sqlalchemy.exc import TimeoutError as PoolExhausted

from scheduler.api import docs
from scheduler.api.errors import STATUS, reason
from scheduler.core.errors import LostRace, NotFound, PlanStale, Reason
from tests.api import probe
from tests.api.problem import assert_problem

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient
    from sqlalchemy import Engine

    from tests.api.conftest import Person

pytestmark = pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)


def provoke(alice: Person, name: str, error: Exception | None = None) -> Any:
    if error is not None:
        probe.REFUSALS[name] = error
    return alice.post(f"/v1/probe-refusals/{name}")


def test_a_refused_visit_tells_every_reason_and_the_nearest_starts(probes: Any, alice: Person) -> None:
    document = assert_problem(provoke(alice, "refused"), 409, "resource_busy")
    assert document["reasons"] == [
        {
            "code": "resource_busy",
            "detail": "The chair is taken.",
            "role": "nurse",
            "from": "2030-03-05T09:00:00+00:00",
            "to": "2030-03-05T10:00:00+00:00",
        },
        {"code": "on_hold", "detail": "A clinical hold freezes dosing."},
    ]
    assert document["alternatives"] == ["2030-03-05T09:00:00+00:00"]


def test_a_reason_tells_all_that_it_knows(dialect: str) -> None:
    somebody = uuid4()
    full = Reason("on_hold", "Why.", resource_id=somebody, segment="dosing")
    assert reason(full) == {"code": "on_hold", "detail": "Why.", "resource_id": somebody, "segment": "dosing"}


def test_who_loses_a_race_on_the_last_try_is_told_whom_and_when(probes: Any, alice: Person) -> None:
    taken = Reason("patient_busy", "The patient is taken at this time by another visit.", start=probe.LATER)
    lost = assert_problem(provoke(alice, "race", LostRace("Somebody was faster.", reason=taken)), 409, "patient_busy")
    assert lost["detail"] == "Somebody was faster."
    assert [(each["code"], each["from"]) for each in lost["reasons"]] == [("patient_busy", probe.LATER.isoformat())]
    unknown = assert_problem(provoke(alice, "race", LostRace("Somebody was faster.")), 409, "resource_busy")
    assert "reasons" not in unknown


def test_the_database_guard_is_a_refusal_too(probes: Any, alice: Person) -> None:
    document = assert_problem(provoke(alice, "slot-taken"), 409, "resource_busy")
    assert [one["code"] for one in document["reasons"]] == ["resource_busy"]


def test_a_stale_plan_brings_a_fresh_one(probes: Any, alice: Person) -> None:
    document = assert_problem(provoke(alice, "plan-stale"), 409, "plan_stale")
    assert document["plan"] == {"token": "t", "sessions": []}


def test_no_plan_says_what_is_in_the_way_and_what_would_help(probes: Any, alice: Person) -> None:
    document = assert_problem(provoke(alice, "no-plan"), 422, "no_feasible_plan")
    assert document["blocking"] == [{"code": "horizon"}]
    assert document["relaxations"] == [{"rules": [{"code": "horizon", "call": "PATCH /v1/organization"}]}]


def test_a_fault_of_ours_tells_nothing_and_is_logged(
    probes: Any, alice: Person, caplog: pytest.LogCaptureFixture
) -> None:
    answer = provoke(alice, "own-fault")
    document = assert_problem(answer, 500, "internal_error")
    for secret in ("SELECT", "secret_hash", "Jane", "Traceback", "RuntimeError", ".py"):
        assert secret not in answer.text
    assert f"request {document['request_id']}" in caplog.text
    assert "Traceback" in caplog.text


def _driver(kind: type[DBAPIError], original: BaseException, *, lost: bool = False) -> DBAPIError:
    statement = "SELECT name FROM patients WHERE name = 'Jane Roe'"
    return kind(statement, {}, original, hide_parameters=True, connection_invalidated=lost)


BUSY = (
    _driver(OperationalError, sqlite3.OperationalError("database is locked")),
    _driver(OperationalError, psycopg.OperationalError("connection refused")),
    _driver(OperationalError, psycopg.errors.LockNotAvailable("lock timeout")),
    _driver(OperationalError, psycopg.errors.QueryCanceled("statement timeout")),
    _driver(OperationalError, psycopg.errors.AdminShutdown("going down"), lost=True),
    PoolExhausted("QueuePool limit of size 8 overflow 8 reached"),
)


@pytest.mark.parametrize("error", BUSY, ids=range(len(BUSY)))
def test_a_busy_database_is_a_503_with_a_time_to_come_back(probes: Any, alice: Person, error: Exception) -> None:
    answer = provoke(alice, "busy", error)
    assert_problem(answer, 503, "overloaded")
    assert int(answer.headers["Retry-After"]) > 0
    assert "patients" not in answer.text


def test_what_fails_while_a_refusal_is_answered_is_told_as_anywhere(app: Flask, probes: Any, alice: Person) -> None:
    """A stale plan is answered with a fresh one, which asks the database again."""

    def unable(_: PlanStale) -> str:
        raise failures.pop()

    app.register_error_handler(PlanStale, unable)
    failures = [RuntimeError("Jane Roe"), NotFound("It is gone by now."), BUSY[1]]
    answer = provoke(alice, "plan-stale")
    assert_problem(answer, 503, "overloaded")
    assert int(answer.headers["Retry-After"]) > 0
    assert_problem(provoke(alice, "plan-stale"), 404, "not_found")
    assert_problem(provoke(alice, "plan-stale"), 500, "internal_error")


BROKEN = (
    _driver(OperationalError, sqlite3.OperationalError("no such table: patients")),
    _driver(IntegrityError, sqlite3.IntegrityError("FOREIGN KEY constraint failed")),
    _driver(IntegrityError, psycopg.errors.CheckViolation("violates check constraint")),
    StatementError("naive datetime", "INSERT INTO patients", {}, ValueError("naive datetime")),
)


@pytest.mark.parametrize("error", BROKEN, ids=range(len(BROKEN)))
def test_a_broken_statement_is_a_500_without_its_words(probes: Any, alice: Person, error: Exception) -> None:
    answer = provoke(alice, "broken", error)
    assert_problem(answer, 500, "internal_error")
    assert "patients" not in answer.text
    assert "constraint" not in answer.text


DUPLICATES = (
    _driver(IntegrityError, sqlite3.IntegrityError("UNIQUE constraint failed: visit_types.code")),
    _driver(IntegrityError, psycopg.errors.UniqueViolation("duplicate key value (code)=(ketamine)")),
)


@pytest.mark.parametrize("error", DUPLICATES, ids=["sqlite", "postgresql"])
def test_a_race_for_a_natural_key_is_a_409_without_the_key(probes: Any, alice: Person, error: Exception) -> None:
    answer = provoke(alice, "duplicate", error)
    assert_problem(answer, 409, "already_exists")
    assert "code)" not in answer.text
    assert "visit_types" not in answer.text


def test_an_unknown_address_is_a_problem_too(client: FlaskClient, alice: Person) -> None:
    for path in ("/nowhere", "/v1/nowhere", "/v1/api-keys/1", "/v1/api-keys/", "/docs/../config.py", "/docs/index.css"):
        assert_problem(client.get(path), 404, "not_found")


def test_a_path_with_control_characters_leads_nowhere(probes: Any, alice: Person) -> None:
    assert_problem(alice.post("/v1/probe-refusals/a%00b"), 404, "not_found")


def test_a_wrong_method_says_which_are_right(client: FlaskClient) -> None:
    answer = client.delete("/v1/api-keys")
    assert_problem(answer, 405, "method_not_allowed")
    assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS", "POST"}


def test_a_database_that_is_not_there_is_a_503_for_everybody(app: Flask, alice: Person, tmp_path: Any) -> None:
    from scheduler import create_app
    from scheduler.config import Settings

    away = create_app(Settings(database_url="postgresql://nobody@127.0.0.1:9/none"))
    answer = away.test_client().get("/v1/api-keys", headers={"Authorization": f"Bearer {alice.token}"})
    assert_problem(answer, 503, "overloaded")
    assert "127.0.0.1" not in answer.text


def test_the_engine_hides_parameters_from_its_errors(
    alice: Person, engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE api_keys RENAME TO gone"))
    with caplog.at_level(logging.DEBUG):
        assert_problem(alice.get("/v1/api-keys"), 500, "internal_error")
    assert "no such table" in caplog.text
    key_id = UUID(bytes=urlsafe_b64decode(f"{alice.token[31:53]}=="))
    assert key_id.hex not in caplog.text
    assert str(key_id) not in caplog.text


def test_every_problem_has_its_place_in_the_documentation(client: FlaskClient) -> None:
    page = client.get("/docs/problems").text
    codes = {refusal.code for refusal in STATUS} - {"error"}
    for code in codes | docs.HTTP_PROBLEMS.keys() | docs.REFUSALS.keys() | {"not_found", "unauthorized"}:
        assert page.count(f'id="{code}"') == 1, code
