"""Every free time of four weeks can be reached from the page, a screen at a time, and an old link says whom to call."""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING

import pytest
from sqlalchemy.orm import Session

from scheduler.models import Organization
from tests.pages.conftest import Sent
from tests.pages.test_pages import follow, text

if TYPE_CHECKING:
    from flask.testing import FlaskClient

pytestmark = pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
#: Three weeks ahead, after the clocks have changed.
WANTED = "2030-03-25T14:00:00+00:00"


def starts(page: str) -> list[str]:
    return re.findall(r'name="start" value="([^"]+)"', page)


def link(page: str, words: str) -> str | None:
    """Where the link with these words leads."""
    found = re.search(rf'href="([^"]+)"[^>]*>{words}</a>', page)
    return unescape(found[1]) if found else None


def test_a_day_three_weeks_ahead_is_reached_and_booked(client: FlaskClient, sent: Sent) -> None:
    page = client.get(f"{sent.path}/times").text
    assert link(page, "Soonest times") is None
    seen, pages = starts(page), 1
    while further := link(page, "Later times"):
        page = client.get(further).text
        seen, pages = seen + starts(page), pages + 1
        assert link(page, "Soonest times"), "and back again"
    assert pages > 4
    assert (len(set(seen)), sorted(seen)) == (len(seen), seen), "each once, in order"
    assert seen[-1] == "2030-03-29T21:00:00+00:00", "the last of four weeks, in whole working days"
    assert sum(each.startswith("2030-03-25") for each in seen) == sum(each.startswith("2030-03-06") for each in seen)
    assert WANTED in seen
    follow(client, f"{sent.path}/times", start=WANTED)
    assert sent.shown()["start"] == "2030-03-25T10:00:00-04:00"


def test_weeks_are_skipped_in_the_readers_language(client: FlaskClient, sent: Sent) -> None:
    page = client.get(f"{sent.path}/times?lang=es").text
    for day in ("lunes, 11 de marzo de 2030", "lunes, 18 de marzo de 2030", "lunes, 25 de marzo de 2030"):
        skipped = link(page, f"Desde el {day}")
        assert skipped is not None, text(client.get(f"{sent.path}/times?lang=es"))
        page = client.get(skipped).text
        assert day in page
    assert WANTED in starts(page)
    assert link(page, "English") == "?lang=en&from=2030-03-25T04%3A00%3A00%2B00%3A00", "the language keeps the place"


def test_past_the_last_of_four_weeks_there_is_none_and_a_way_back(client: FlaskClient, sent: Sent) -> None:
    answer = client.get(f"{sent.path}/times?from=2030-06-01T00:00:00Z")
    assert (answer.status_code, starts(answer.text)) == (200, [])
    assert "There is no later time in the next four weeks." in text(answer)
    back = link(answer.text, "Soonest times")
    assert back is not None
    soonest = starts(client.get(back).text)
    assert soonest
    assert starts(client.get(f"{sent.path}/times?from=2001-01-01T00:00:00Z").text) == soonest, "the past is over"
    for nonsense in ("later", "2030-03-25T10:00:00", "9999-12-31T00:00:00Z"):
        assert client.get(f"{sent.path}/times", query_string={"from": nonsense}).status_code == 400


def test_an_old_link_says_whom_to_call_in_the_patients_language(client: FlaskClient, sent: Sent) -> None:
    with Session(sent.engine) as session, session.begin():
        session.get_one(Organization, sent.person.organization_id).phone = "+12125550142"
    follow(client, f"{sent.path}/times", start=WANTED)
    old = client.get(f"{sent.path}?lang=es")
    assert old.status_code == 410
    assert "Este enlace es de una hora anterior." in text(old)
    assert 'href="tel:+12125550142"' in old.text
    assert "Llámenos: +1 212-555-0142" in text(old)
    acted = client.post(f"{sent.path}/confirm")
    assert (acted.status_code, "Call us: +1 212-555-0142" in text(acted)) == (410, True)
    assert "?lang=" not in acted.text, "there is nothing to look at where one only acts"
    for secret in ("March", "marzo", "Elm", "Robin", sent.visit["id"]):
        assert secret not in old.text + acted.text
