"""A shipped SMS from its form says what it says when it is said anew."""

from __future__ import annotations

from datetime import timedelta

import pytest

from scheduler.messaging.facts import Line
from scheduler.messaging.render import TEMPLATES, _Saying, render, shipped_locales
from tests.messaging.sample_facts import START, facts, hard_cases

KINDS = sorted(entry.name for entry in (TEMPLATES / "en").iterdir() if entry.is_dir())
LINK = "https://visits.example.org/p/" + "Ab3dE7kLmN" * 2 + "x9"


@pytest.mark.parametrize("locale", sorted(shipped_locales()))
def test_what_is_filled_into_a_form_is_what_is_said_anew(locale: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = {"food_until": None, "liquids_until": None, "alcohol_until": None, "moved": ()}
    cases = [facts(**plain, link=link, ride=ride) for link in ("", LINK) for ride in (True, False)]
    cases += [case._replace(moved=()) for case in hard_cases()]
    cases.append(facts(**plain, also=(Line(START + timedelta(hours=2), "Clinic visit"),)))
    cases.append(facts(**plain, sender_name="\x04 Harbor \x01", phone="\x02 +1 212"))
    filled: list[str] = []
    by_form = _Saying._by_form
    monkeypatch.setattr(_Saying, "_by_form", lambda *of: filled.append(by_form(*of)) or filled[-1])
    texts = [render(kind, "sms", case, [locale]) for kind in KINDS for case in cases]
    assert len(list(filter(None, filled))) > len(cases)
    monkeypatch.setattr(_Saying, "_by_form", lambda *_: "")
    assert texts == [render(kind, "sms", case, [locale]) for kind in KINDS for case in cases]


@pytest.mark.parametrize("locale", sorted(shipped_locales()))
@pytest.mark.parametrize("kind", ["booked", "remind_72h", "remind_24h", "night_before"])
def test_what_is_sent_most_has_a_form(kind: str, locale: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_Saying, "_part", lambda *_: pytest.fail("said anew"))
    plain = facts(food_until=None, liquids_until=None, alcohol_until=None, ride=False, link="")
    assert render(kind, "sms", plain, [locale]).body
