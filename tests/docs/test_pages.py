"""The written pages: links lead somewhere, files that are named are there, each decision has its three parts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.source import ROOT, name, tracked

PAGES = [path for path in tracked() if path.suffix == ".md"]
DECISIONS = [path for path in PAGES if re.match(r"\d{4}-", path.name)]
#: What the how-tos ask for.
NOT_YET = {
    "scheduler/messaging/spool.py",
    "scheduler/data/visit_types/inhaled_session.yaml",
    "scheduler/data/protocols/inhaled_weekly.yaml",
}


def links(text: str) -> Iterator[str]:
    """Every relative link of a page, without its anchor."""
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not target.startswith(("http:", "https:", "mailto:", "#")):
            yield target.partition("#")[0]


def files(text: str) -> Iterator[str]:
    """Every path that a page names in code type, from one of the project's folders on."""
    named = re.findall(r"`((?:scheduler|tests|docs|migrations|bench)/[\w./*-]*)`", text)
    yield from (found for found in named if found not in NOT_YET)


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_every_link_leads_somewhere(path: Path) -> None:
    assert [target for target in links(path.read_text()) if not (path.parent / target).exists()] == []


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_every_file_that_is_named_is_there(path: Path) -> None:
    assert [found for found in files(path.read_text()) if not any(ROOT.glob(found.rstrip("/")))] == []


@pytest.mark.parametrize("path", DECISIONS, ids=name)
def test_a_decision_has_its_three_parts_on_one_page(path: Path) -> None:
    text = path.read_text()
    assert re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)[1:] == ["Context", "Decision", "Consequences"]
    assert text.startswith(f"# {int(path.name[:4])}. ")
    assert len(text.splitlines()) <= 60


def test_every_decision_is_listed() -> None:
    listed = re.findall(r"\]\((\d{4}-[\w-]+\.md)\)", (ROOT / "docs" / "decisions" / "README.md").read_text())
    assert listed == [path.name for path in DECISIONS]
    assert [int(each[:4]) for each in listed] == list(range(1, len(listed) + 1))


def test_what_leads_nowhere_is_reported() -> None:
    text = "[a](gone.md) [b](https://example.org/x) [c](here.md#part) `scheduler/core/gone.py` `var/outbox/` `make x`"
    assert list(links(text)) == ["gone.md", "here.md"]
    assert list(files(text)) == ["scheduler/core/gone.py"]
