"""How often a page may be asked for: by link and by address, and never so that a patient is shut out."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.pages.conftest import Sent
from tests.pages.test_pages import text

if TYPE_CHECKING:
    from flask.testing import FlaskClient

    from scheduler.config import Settings

pytestmark = pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
HERE, THERE = {"REMOTE_ADDR": "203.0.113.9"}, {"REMOTE_ADDR": "203.0.113.10"}
SECOND = timedelta(seconds=1)


@pytest.fixture
def settings(settings: Settings, request: pytest.FixtureRequest) -> Settings:
    """The settings, with what a test asks for by `@pytest.mark.parametrize("wish", ...)`."""
    wish = request.getfixturevalue("wish") if "wish" in request.fixturenames else {}
    return replace(settings, **wish)


@pytest.mark.parametrize("wish", [{"page_limit_per_minute": 3}])
def test_who_loads_a_page_again_and_again_waits_a_moment(wish: Any, client: FlaskClient, sent: Sent) -> None:
    answers = [client.get(sent.path) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert (answers[0].headers["RateLimit"], answers[0].headers["RateLimit-Policy"]) == (
        '"link";r=2;t=20',
        '"link";q=3;w=60',
    )
    refused = answers[-1]
    assert refused.headers["Retry-After"] == "20"
    assert "Please wait a moment" in text(refused)
    assert sent.token not in refused.text
    assert (refused.headers["Cache-Control"], refused.headers["Referrer-Policy"]) == ("no-store", "no-referrer")
    assert "default-src 'none'" in refused.headers["Content-Security-Policy"]
    assert "Espere" in text(client.get(f"{sent.path}?lang=es"))
    assert "Espere" in text(client.get(sent.path, headers={"Accept-Language": "es-MX"}))
    assert client.post(f"{sent.path}/cancel").status_code == 429
    assert sent.shown()["status"] == "booked"
    assert client.get(sent.again()).status_code == 200, "another link has its own share"
    with client.get("/p/style.css") as style:
        assert style.status_code == 200
    sent.clock.move(20 * SECOND)
    assert client.get(sent.path).status_code == 200, "however often it was tried"


@pytest.mark.parametrize("wish", [{"page_address_limit_per_minute": 3}])
def test_who_tries_many_links_waits_too(wish: Any, client: FlaskClient, sent: Sent) -> None:
    tried = [client.get(f"/p/{name}", environ_base=HERE).status_code for name in "abcd"]
    assert tried == [404, 404, 404, 429]
    assert client.get(sent.path, environ_base=HERE).status_code == 429
    assert client.get(sent.path, environ_base=THERE).status_code == 200
    assert client.get(sent.path).status_code == 200, "a proxy that is not believed"
    neighbors = [{"REMOTE_ADDR": f"2001:db8:0:{net}::{host}"} for net in (1, 2) for host in (1, 2, 3, 4)]
    seen = [client.get(sent.path, environ_base=each).status_code for each in neighbors]
    assert seen == [200, 200, 200, 429] * 2
    assert client.post("/p/x/stop", data={"stop": "all"}, environ_base=HERE).status_code == 404, "never for a stop"


@pytest.mark.parametrize("wish", [{"page_limit_per_minute": 0, "page_address_limit_per_minute": 0}])
def test_without_limits_there_are_none(wish: Any, client: FlaskClient, sent: Sent) -> None:
    answer = client.get(sent.path, environ_base=HERE)
    assert (answer.status_code, "RateLimit" in answer.headers) == (200, False)


def test_out_of_the_box_a_patient_is_far_from_any(client: FlaskClient, sent: Sent) -> None:
    answer = client.get(sent.path, environ_base=HERE)
    assert answer.headers["RateLimit-Policy"] == '"link";q=60;w=60'
