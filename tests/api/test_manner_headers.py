"""What every answer carries, and who may read it from where."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.api.conftest import Person
from tests.api.problem import assert_problem

if TYPE_CHECKING:
    from flask import Flask

    from scheduler.config import Settings
    from tests.plumbing.clock import Clock

pytestmark = pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)

DESK = "https://desk.example.org"


@pytest.fixture
def settings(settings: Settings, request: pytest.FixtureRequest) -> Settings:
    """The settings, with what a test asks for by `@pytest.mark.parametrize("wish", ...)`."""
    wish = request.getfixturevalue("wish") if "wish" in request.fixturenames else {}
    return replace(settings, **wish)


def test_every_answer_carries_the_headers_of_caution(alice: Person, app: Flask) -> None:
    client = app.test_client()
    for answer in (
        alice.get("/v1/api-keys"),
        client.get("/v1/api-keys"),
        client.get("/nowhere"),
        client.get("/healthz"),
        client.get("/docs"),
        client.delete("/v1/api-keys"),
        client.options("/v1/api-keys"),
    ):
        assert answer.headers["X-Request-Id"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize("mine", ["a", "A-1_b.c:d", "x" * 64])
def test_a_sane_request_id_is_kept(alice: Person, mine: str) -> None:
    assert alice.get("/v1/api-keys", headers={"X-Request-Id": mine}).headers["X-Request-Id"] == mine


@pytest.mark.parametrize("mine", ["", " ", "a b", "x" * 65, "a\tb", "é", "<script>", "a;b", "a,b"])
def test_another_is_replaced(alice: Person, mine: str) -> None:
    first, second = (alice.get("/v1/api-keys", headers={"X-Request-Id": mine}) for _ in range(2))
    assert len(first.headers["X-Request-Id"]) == 32
    assert first.headers["X-Request-Id"] != second.headers["X-Request-Id"]


def test_the_log_tells_rules_and_never_paths(alice: Person, probed: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        alice.get(f"/v1/probes/{probed['id']}", headers={"X-Request-Id": "mine"})
        alice.get("/v1/secret-path?name=Jane")
    logged = caplog.text
    assert "GET /v1/probes/<uuid:probe_id> 200" in logged
    assert "mine" in logged
    for secret in (probed["id"], alice.token[-43:], "secret-path", "Jane"):
        assert secret not in logged


@pytest.mark.parametrize("wish", [{"rate_limit_per_minute": 3}])
def test_a_key_has_its_share_and_no_more(wish: Any, alice: Person, charlie: Person, clock: Clock) -> None:
    left = []
    for _ in range(3):
        answer = alice.get("/v1/api-keys")
        assert answer.status_code == 200
        assert answer.headers["RateLimit-Policy"] == '"key";q=3;w=60'
        left.append(answer.headers["RateLimit"])
    assert left == ['"key";r=2;t=20', '"key";r=1;t=40', '"key";r=0;t=60']
    refused = alice.get("/v1/api-keys")
    assert_problem(refused, 429, "too_many_requests")
    assert refused.headers["Retry-After"] == "20"
    assert refused.headers["RateLimit"] == '"key";r=0;t=20'
    assert charlie.get("/v1/api-keys").status_code == 200
    clock.move(timedelta(seconds=19))
    assert alice.get("/v1/api-keys").status_code == 429
    clock.move(timedelta(seconds=1))
    assert alice.get("/v1/api-keys").status_code == 200
    assert alice.get("/v1/api-keys").status_code == 429
    clock.move(timedelta(hours=-1))
    assert alice.get("/v1/api-keys").status_code == 429
    clock.move(timedelta(seconds=20))
    assert alice.get("/v1/api-keys").status_code == 200
    clock.move(timedelta(hours=9))
    assert [alice.get("/v1/api-keys").status_code for _ in range(4)] == [200, 200, 200, 429]


def test_without_a_limit_nothing_is_said_of_one(alice: Person) -> None:
    answer = alice.get("/v1/api-keys")
    assert not {"RateLimit", "RateLimit-Policy"} & set(answer.headers.keys())


@pytest.mark.parametrize("wish", [{"cors_origins": (DESK, "http://localhost:5173")}])
def test_a_trusted_page_may_call(wish: Any, alice: Person, app: Flask) -> None:
    asked = app.test_client().options(
        "/v1/api-keys", headers={"Origin": DESK, "Access-Control-Request-Method": "PATCH"}
    )
    assert asked.status_code == 200
    assert asked.headers["Access-Control-Allow-Origin"] == DESK
    assert "PATCH" in asked.headers["Access-Control-Allow-Methods"]
    for name in ("Authorization", "Idempotency-Key", "If-Match", "X-Actor"):
        assert name in asked.headers["Access-Control-Allow-Headers"]
    answer = alice.get("/v1/api-keys", headers={"Origin": DESK})
    assert answer.headers["Access-Control-Allow-Origin"] == DESK
    assert "ETag" in answer.headers["Access-Control-Expose-Headers"]
    assert "Origin" in answer.headers["Vary"]
    refused = app.test_client().get("/v1/api-keys", headers={"Origin": DESK})
    assert (refused.status_code, refused.headers["Access-Control-Allow-Origin"]) == (401, DESK)
    for other in ("https://desk.example.org.evil.example", "http://desk.example.org", "null", ""):
        answer = alice.get("/v1/api-keys", headers={"Origin": other})
        assert "Access-Control-Allow-Origin" not in answer.headers
        assert "Origin" in answer.headers["Vary"]
    assert "Access-Control-Allow-Credentials" not in asked.headers


def test_by_default_no_page_may(alice: Person) -> None:
    answer = alice.get("/v1/api-keys", headers={"Origin": DESK})
    assert not [name for name, _ in answer.headers if name.startswith("Access-Control")]


@pytest.mark.parametrize("wish", [{"trusted_proxies": 1}, {}])
def test_proxies_are_believed_when_trusted(wish: dict[str, int], app: Flask) -> None:
    from flask import request

    with_proxy = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.7"}
    seen = {}
    app.add_url_rule("/seen", view_func=lambda: seen.update(at=(request.scheme, request.remote_addr)) or "")
    app.test_client().get("/seen", headers=with_proxy)
    secured = app.test_client().get("/healthz", headers=with_proxy).headers
    assert ("Strict-Transport-Security" in secured) == bool(wish)
    assert seen["at"] == (("https", "192.0.2.7") if wish else ("http", "127.0.0.1"))
