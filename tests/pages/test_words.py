"""Every word on a page has its translation, and no translation is left over or loses a value."""

from __future__ import annotations

import ast
import re
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest
from babel.messages.extract import extract_from_dir

from scheduler.pages.words import CATALOGS, Words, catalogs
from tests.house.source import ROOT

PAGES = ROOT / "scheduler" / "pages"
#: What the views hold to be said, by its names there.
SAID = {"_SAYS", "_DONE", "_TAKEN", "_NOT_NOW", "_NO_CHOICE", "_KINDS"}


@cache
def wanted() -> frozenset[str]:
    """What the templates say through `_()`, and what the views hand them to say."""
    method = [("**.html", "jinja2.ext:babel_extract")]
    said = {
        str(message) for _, _, message, _, _ in extract_from_dir(str(PAGES / "templates"), method, keywords={"_": None})
    }
    tree = ast.parse((PAGES / "views.py").read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in SAID:
            values = node.value.values if isinstance(node.value, ast.Dict) else [node.value]
            said |= {str(ast.literal_eval(value)) for value in values if value is not None}
    return frozenset(said)


@pytest.mark.parametrize("language", sorted(path.stem for path in CATALOGS.glob("*.po")))
def test_a_catalog_holds_what_is_said_and_nothing_else(language: str) -> None:
    assert len(wanted()) > 40
    assert catalogs()[language].keys() ^ wanted() == set()


@pytest.mark.parametrize("language", sorted(path.stem for path in CATALOGS.glob("*.po")))
def test_a_translation_keeps_its_values(language: str) -> None:
    def names(text: str) -> list[str]:
        return sorted(re.findall(r"%\((\w+)\)s", text))

    assert {text for text, said in catalogs()[language].items() if names(text) != names(said)} == set()


def test_a_time_of_another_day_has_its_whole_name() -> None:
    """It is read aloud to some, and "mar" is the sea."""
    words = Words.of(["es"], "America/New_York", "America/New_York")
    visit = datetime(2030, 3, 6, 14, tzinfo=UTC)
    assert words.near(visit - timedelta(days=1), visit) == "martes 09:00"
