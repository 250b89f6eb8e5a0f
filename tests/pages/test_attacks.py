"""The patient's page as somebody sees it who wants more from it than it should give."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.pages.conftest import Sent
from tests.pages.test_pages import answer_of, text

if TYPE_CHECKING:
    from flask.testing import FlaskClient

#: One line and no instruction to a browser, a terminal or a reader's eye.
WRITTEN = {
    "Sam\x00 555": "Sam 555",
    "Sam\r\nBcc: x@example.org": "Sam Bcc: x@example.org",
    "\u202emaS \u2066x\u2069": "maS x",
    "\x1b[31mSam\x07": "[31mSam",
    "Sam \U0001f600 Nuñez": "Sam \U0001f600 Nuñez",
    "e\u0301" * 300: "é" * 200,
}


def test_what_is_written_becomes_one_line_of_text(client: FlaskClient, sent: Sent) -> None:
    for given, kept in WRITTEN.items():
        answer = client.post(f"{sent.path}/answers", data={"ride": given})
        assert answer.status_code == 303, (given, text(answer))
        assert answer_of(sent, "ride")["value"] == kept


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_no_answer_of_any_status_is_kept_or_tells_where_it_was_read(client: FlaskClient, sent: Sent) -> None:
    old = sent.again()
    asked = [
        ("GET", sent.path, 200), ("HEAD", sent.path, 200), ("GET", f"{sent.path}/visit.ics", 200),
        ("POST", f"{sent.path}/confirm", 303), ("POST", f"{sent.path}/times", 400), ("PUT", sent.path, 405),
        ("GET", f"{sent.path}/confirm", 303), ("GET", f"{sent.path}/nothing", 404), ("GET", "/p/", 404),
        ("GET", "/p/x", 404), ("POST", f"{sent.path}/answers", 409), ("OPTIONS", sent.path, 200),
    ]  # fmt: skip
    for method, path, status in asked:
        answer = client.open(path, method=method)
        assert answer.status_code == status, (method, path)
        assert answer.headers["Cache-Control"] == "no-store", (method, path)
        assert answer.headers["Referrer-Policy"] == "no-referrer", (method, path)
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"], (method, path)
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["X-Robots-Tag"] == "noindex, nofollow", (method, path)
        assert "Set-Cookie" not in answer.headers
        assert sent.token not in answer.text.replace(f"/p/{sent.token}", ""), (method, path)
    assert client.post(f"{old}/cancel").status_code == 303
    assert client.post(f"{sent.path}/confirm").headers["Cache-Control"] == "no-store", "over"


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_nothing_but_a_post_acts(client: FlaskClient, sent: Sent) -> None:
    before = sent.shown()
    for name in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"):
        client.get(f"{sent.path}/cancel", headers={name: "POST"})
        client.get(f"{sent.path}/cancel?_method=POST", headers={name: "POST"})
    for method in ("HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"):
        client.open(f"{sent.path}/cancel", method=method)
    assert sent.shown() == before


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_a_browser_is_sent_nowhere_else(client: FlaskClient, sent: Sent) -> None:
    answer = client.post(
        f"{sent.path}/confirm",
        data={"lang": "es\r\nLocation: https://evil.example"},
        headers={"X-Forwarded-Host": "evil.example"},
    )
    assert (answer.status_code, answer.headers["Location"]) == (303, f"{sent.path}?done=confirm")
    page = client.get(f"{sent.path}?lang=<script>&done=<script>", headers={"Host": "evil.example"})
    assert ("script" in page.text, "evil" in page.text) == (False, False)


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_names_that_are_markup_or_turn_the_text_are_only_names(client: FlaskClient, sent: Sent) -> None:
    site = f"/v1/locations/{sent.visit['location_id']}"
    nasty = "\"><img src=x onerror=alert(1)>' style='x"
    tag = {"If-Match": sent.person.get(site).headers["ETag"]}
    assert sent.person.patch(site, json={"address": nasty}, headers=tag).status_code == 200
    shown = client.get(sent.path).text
    assert "<img" not in shown
    assert "&lt;img src=x" in shown
    calendar = client.get(f"{sent.path}/visit.ics").text
    assert calendar.count("BEGIN:VEVENT") == 1


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_a_guess_and_an_ended_link_cost_the_same_and_open_nothing(client: FlaskClient, sent: Sent) -> None:
    code, secret = sent.token[:5], sent.token[5:]
    guesses = [
        code + secret.swapcase(),
        "AAAAA" + secret,
        sent.token.lower(),
        f"{sent.token}%00",
        f"{sent.token}\u200b",
    ]
    for guess in guesses:
        if guess != sent.token:
            assert client.get(f"/p/{guess}").status_code == 404, guess
            assert client.post(f"/p/{guess}/cancel").status_code == 404, guess
    sent.clock.move(timedelta(days=40))
    assert client.post(f"{sent.path}/cancel").status_code == 404
    assert sent.shown()["status"] == "booked"
