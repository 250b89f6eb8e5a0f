"""What a phone shows before it is unlocked, whoever holds it: every text we ship, with the longest real values.

The words looked for stand here, and not in the product: a list that lost one would not miss it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import yaml

from scheduler import create_app
from scheduler.config import Settings
from scheduler.core.reminders import CHANNELS, KINDS
from scheduler.messaging import answers
from scheduler.messaging.disclosure import WORDS
from scheduler.messaging.facts import Facts
from scheduler.messaging.gsm7 import LIMIT, septets
from scheduler.messaging.longest import Real, longest
from scheduler.messaging.render import neutral, render, shipped_locales, speak
from scheduler.services.tokens import derive_short
from tests.house.source import PRODUCT

LOCALES = sorted(shipped_locales())
#: The disclosure list: drug, route, dose, diagnosis, specialty. In both languages, whatever that of the text.
TELLING = re.compile(
    r"ketamin|spravato|infus|inject|inyec|\biv\b|\bim\b|intraven|intramusc|nasal|spray|aerosol|lingual|troche"
    r"|lozenge|pastilla|\bdos(e|es|is|ing|age)\b|\bm[gc]g?\b|\b(56|84)\b|\bdrug|droga|dosific|f[aá]rmac|medic|treat|tratam"
    r"|induc|integra|depress|depres|anxi|ansie|ptsd|tept|\bocd\b|\btoc\b|bipolar|trauma|suici|addict|adicc|opioid"
    r"|psych|psic|psiqui|mental|therap|terap|counsel|sedat|sedac|sedant|an(a)?est|diagn|syndrom|s[ií]ndrom|disorder|trastorno",
    re.IGNORECASE,
)
#: A clinic and a visit whose own names would give the patient away, as they do in most clinics.
TELLING_NAMES = {
    "sender_name": "Riverside Ketamine and Depression Center",
    "visit": "Esketamine 84 mg nasal spray, integration",
    "location": "Psychiatry",
}


def said(kind: str, locale: str, facts: Facts, *, exempt: bool = False) -> Iterator[str]:
    """What every channel shows of one message on a locked screen: all of a text or a call, of a mail its subject."""
    for channel in CHANNELS:
        text = render(kind, channel, facts, [locale], one_sms=exempt)
        shown = text.subject if channel == "email" else text.body
        yield f"{text.sender}: {shown}"


def cases() -> Iterator[Facts]:
    """The longest values, under a quiet name and a telling one, in time and late, with and without a link."""
    for names in ({"sender_name": "Northgate and Riverside Valley Partners"}, TELLING_NAMES):
        for ahead in (timedelta(days=10), timedelta(hours=15), timedelta(minutes=50)):
            for link in ("", "https://visits.example.org/p/" + "x" * 22):
                facts = longest(Real(""))
                yield facts._replace(now=facts.starts_at - ahead, link=link, **names)


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("kind", KINDS)
def test_no_call_says_what_for_and_a_machine_hears_of_no_appointment(kind: str, locale: str) -> None:
    for facts in cases():
        for facing in (facts, facts._replace(phone="")):
            said = speak(kind, facing, [locale])
            assert TELLING.findall(" ".join(map(str, vars(said).values()))) == []
            assert facts.visit not in said.words
            assert re.search(r"\d", said.machine.replace(facts.phone, "")) is None
            assert re.findall(r"\d", said.opening.replace(facing.phone or "-", "")) == ["1", "9"], "its keys"
            assert re.search("appoint|cita", said.opening) is None
            assert len(said.opening.split()) <= 60
            assert len(said.words.split()) <= 130, "a minute"


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("kind", KINDS)
def test_no_text_says_what_its_reader_is_treated_for(kind: str, locale: str) -> None:
    for facts in cases():
        for exempt in (False, True):
            for shown in said(kind, locale, facts, exempt=exempt):
                assert TELLING.findall(shown) == [], shown
                assert facts.visit not in shown
            text = render(kind, "sms", facts._replace(also=()), [locale], one_sms=exempt).body
            assert septets(text) <= LIMIT, text


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("kind", answers.KINDS)
def test_no_answer_to_a_text_does(kind: str, locale: str) -> None:
    for name in ("Northgate and Riverside Valley Partners", TELLING_NAMES["sender_name"]):
        text = answers.answer(kind, name, "+44 20 7946 0958", [locale])
        assert TELLING.findall(text) == [], text
        assert septets(text) <= LIMIT


@pytest.mark.parametrize("locale", LOCALES)
def test_no_title_in_a_calendar_does(locale: str) -> None:
    documents = [yaml.safe_load(path.read_text()) for path in (PRODUCT / "data" / "visit_types").glob("*.yaml")]
    assert len(documents) > 10
    names = [document["public_name"] for document in documents]
    if locale != "en":
        names = [document["public_names"][locale] for document in documents]  # each has one
    for name in (*names, TELLING_NAMES["visit"]):
        title = neutral(name, [locale])
        assert title
        assert TELLING.findall(title) == [], title


def test_no_address_of_a_page_does() -> None:
    app = create_app(Settings(database_url="sqlite://"))
    rules = [rule.rule for rule in app.url_map.iter_rules() if rule.rule.startswith(("/p/", "/calendars/"))]
    assert len(rules) > 10
    for rule in rules:
        assert TELLING.findall(rule) == [], rule
        assert set(re.findall(r"<([^>]*)>", rule)) <= {"token"}, "an address names nothing and nobody"
    token, _ = derive_short("Ab3dE", b"key", "a message")
    assert re.fullmatch(r"[A-Za-z0-9]{22}", token), "what makes links of a text takes all of it"


def test_a_link_under_a_telling_name_is_left_out() -> None:
    facts = longest(Real("Northgate"))._replace(link="https://ketamine-center.example.org/p/" + "x" * 22)
    for kind in KINDS:
        for channel in CHANNELS:
            assert "https:" not in render(kind, channel, facts, ["en"]).body


def test_the_list_here_and_the_products_are_two_and_agree() -> None:
    words = [word.strip("*") for group in yaml.safe_load(WORDS.read_text()).values() for word in group]
    assert [word for word in words if not TELLING.search(word)] == []


#: By language: what may only be said of a time to come, and what stands in its place.
NOT_YET: dict[str, Any] = {
    "en": (re.compile(r"\b[Nn]o (food|drinks|alcohol) from (?!now)|\btomorrow\b|\bin \d+ days\b"), "from now on"),
    "es": (
        re.compile(r"(No (com|beb)a nada|Nada de alcohol) desde (?!ahora)|\bmañana\b|\ben \d+ días\b"),
        "desde ahora",
    ),
}


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("kind", ["booked", "rescheduled", "remind_72h", "remind_24h", "night_before", "day_of"])
def test_what_comes_late_is_said_as_it_is_by_then(kind: str, locale: str) -> None:
    facts = longest(Real("Northgate"))
    late = facts._replace(now=facts.starts_at - timedelta(minutes=50))
    pattern, instead = NOT_YET[locale]
    for channel in CHANNELS:
        told = render(kind, channel, late, [locale]).body
        assert pattern.findall(told) == [], told
        in_time = render(kind, channel, facts._replace(now=facts.starts_at - timedelta(days=3)), [locale]).body
        if channel == "email":
            assert instead in told
            assert pattern.search(in_time), "it would say so in time"
