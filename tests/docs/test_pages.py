"""The written pages: links lead somewhere, files that are named are there, each decision has its three parts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tests.house.source import ROOT, reported, tracked

PAGES = [path for path in tracked() if path.suffix == ".md"]
DECISIONS = [path for path in PAGES if re.match(r"\d{4}-", path.name)]
#: What the how-tos ask for.
NOT_YET = {
    "scheduler/messaging/spool.py",
    "scheduler/pages/locale/pt.po",
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
    yield from (each for each in named if each not in NOT_YET)


def misshapen(path: Path) -> Iterator[str]:
    """What a decision lacks."""
    text = path.read_text()
    if re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)[1:] != ["Context", "Decision", "Consequences"]:
        yield "not its three parts"
    if not text.startswith(f"# {int(path.name[:4])}. "):
        yield "another number"
    if len(text.splitlines()) > 60:
        yield "longer than a page"


def test_every_link_leads_somewhere() -> None:
    def gone(page: Path) -> list[str]:
        return [target for target in links(page.read_text()) if not (page.parent / target).exists()]

    assert reported(PAGES, gone) == {}


def test_every_file_that_is_named_is_there() -> None:
    def gone(page: Path) -> list[str]:
        return [each for each in files(page.read_text()) if not any(ROOT.glob(each.rstrip("/")))]

    assert reported(PAGES, gone) == {}


def test_a_decision_has_its_three_parts_on_one_page(tmp_path: Path) -> None:
    assert reported(DECISIONS, misshapen) == {}
    bad = tmp_path / "0007-bad.md"
    bad.write_text("# 8. Bad\n## Context\n" + "x\n" * 60)
    assert list(misshapen(bad)) == ["not its three parts", "another number", "longer than a page"]


def test_every_decision_is_listed() -> None:
    listed = re.findall(r"\]\((\d{4}-[\w-]+\.md)\)", (ROOT / "docs" / "decisions" / "README.md").read_text())
    assert listed == [path.name for path in DECISIONS]
    assert [int(each[:4]) for each in listed] == list(range(1, len(listed) + 1))


def test_what_leads_nowhere_is_reported() -> None:
    text = "[a](gone.md) [b](https://example.org/x) [c](here.md#part) `scheduler/core/gone.py` `var/outbox/` `make x`"
    assert list(links(text)) == ["gone.md", "here.md"]
    assert list(files(text)) == ["scheduler/core/gone.py"]
