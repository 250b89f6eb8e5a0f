"""The steps of docs/how-to/add-a-language.md, taken for a language made up on the spot: nothing else is needed."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from babel.messages.catalog import Catalog
from babel.messages.pofile import write_po

from scheduler.core import replies
from scheduler.core.reminders import KINDS
from scheduler.messaging import answers, disclosure, render, values
from scheduler.messaging.gsm7 import LIMIT, septets
from scheduler.pages import words
from tests.house.source import ROOT
from tests.messaging.sample_facts import facts

HOW_TO = (ROOT / "docs" / "how-to" / "add-a-language.md").read_text()
CACHES = (
    render.shipped_locales,
    render.words_of,
    render._environment,
    render._shipped,
    words.catalogs,
    disclosure._shipped,
    disclosure._found,
    values._sayable,
    values.quiet,
)


@pytest.fixture
def portuguese(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The product with one more language, of which each text is the English one with a mark."""
    templates, catalogs = tmp_path / "templates", tmp_path / "locale"
    shutil.copytree(render.TEMPLATES, templates)
    shutil.copytree(templates / "en", templates / "pt")
    for path in (templates / "pt").rglob("*.txt"):
        path.write_text(path.read_text().replace('"en/', '"pt/').replace("appointment", "consulta"))
    said = yaml.safe_load((templates / "pt" / "words.yaml").read_text())
    said |= {"tomorrow": "amanhã", "answer_stopped": "{sender}: fim.{call}", "visit": "Encontro"}
    (templates / "pt" / "words.yaml").write_text(yaml.safe_dump(said))
    shutil.copytree(words.CATALOGS, catalogs)
    catalog = Catalog(locale="pt")
    for text in words.catalogs()["es"]:
        catalog.add(text, f"{text} (pt)")
    with (catalogs / "pt.po").open("wb") as file:
        write_po(file, catalog)
    forbidden = yaml.safe_load(disclosure.WORDS.read_text()) | {"pt": ["remedio*"]}
    (tmp_path / "forbidden.yaml").write_text(yaml.safe_dump(forbidden))
    for text in ("_STOP", "_START", "_HELP", "_YES"):
        monkeypatch.setitem(getattr(replies, text), "pt", {"_STOP": ("sair",), "_YES": ("sim",)}.get(text, ()))
    monkeypatch.setattr(render, "TEMPLATES", templates)
    monkeypatch.setattr(words, "CATALOGS", catalogs)
    monkeypatch.setattr(disclosure, "WORDS", tmp_path / "forbidden.yaml")
    for each in CACHES:
        each.cache_clear()
    yield
    monkeypatch.undo()
    for each in CACHES:
        each.cache_clear()


@pytest.mark.usefixtures("portuguese")
def test_a_language_is_four_places() -> None:
    for kind in KINDS:
        text = render.render(kind, "sms", facts(), ["pt-BR"])
        assert text.locale == "pt-BR"
        assert (septets(text.body) <= LIMIT, "appointment" in text.body) == (True, False)
        assert "appointment" not in render.render(kind, "email", facts(), ["pt"]).body
    sms = render.render("day_of", "sms", facts(link="", phone="", arrive_at=None), ["pt-BR", "en"]).body
    assert "consulta is amanha" in sms, "in the letters that an SMS has"
    assert re.search(r"\bqua", sms), "the day by CLDR"
    assert "consulta" in render.speak("remind_24h", facts(), ["pt"]).words
    assert render.neutral("Ketamine", ["pt-BR"]) == "Encontro", "for a name that would say too much"
    assert answers.answer("stopped", "Harbor", "", ["pt"]) == "Harbor: fim."
    page = words.Words.of(["pt-BR"], "America/New_York", "America/New_York")
    assert page("Your visit") == "Your visit (pt)"
    assert page.full(datetime(2030, 3, 5, 15, tzinfo=UTC)).startswith("terça-feira, 5 de março de 2030")
    assert words.languages()["pt"] == "Português"
    assert [replies.meaning(text).intent for text in ("Sair!", "sim", "STOP")] == ["stop", "yes", "stop"]
    assert disclosure.disclosures("seus remédios") == ["remedios"]


def test_it_is_gone_with_the_test() -> None:
    assert ("pt" in render.shipped_locales(), "pt" in words.languages()) == (False, False)


def test_the_page_names_each_place() -> None:
    """And no place beyond: whoever follows it has all that the test above needed."""
    named = set(re.findall(r"`(scheduler/[\w./-]+)`", HOW_TO))
    assert named == {
        "scheduler/messaging/templates/en",
        "scheduler/pages/locale/pt.po",
        "scheduler/core/replies.py",
        "scheduler/data/forbidden_words.yaml",
    }
    assert {f"`{each}`" for each in ("_STOP", "_START", "_HELP", "_YES")} <= set(re.findall(r"`_\w+`", HOW_TO))
