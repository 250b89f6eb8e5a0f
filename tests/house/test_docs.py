"""What is written down agrees with the code, and says nothing about the machine that it was written on."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields

import pytest

from scheduler.config import Settings, variable
from tests.house.source import ROOT, modules, parsed, reported, tracked

MACHINE = re.compile(r"/(?:tmp|work|root|home)/|(?:index-url|find-links|pypi\.org|pythonhosted|registry\.npmjs)")
ROW = re.compile(r"^\| `(?P<name>[A-Z_]+)` \| (?P<default>.*?) \| (?P<meaning>.*?) \|$", re.MULTILINE)


def shown(value: object) -> str:
    """Write a default as the page does."""
    match value:
        case "" | ():
            return "none"
        case bool():
            return f"`{str(value).lower()}`"
        case _:
            return f"`{value}`"


def declared() -> dict[str, tuple[str, str]]:
    """List every setting: variable to default and meaning."""
    return {variable(setting): (shown(setting.default), setting.metadata["meaning"]) for setting in fields(Settings)}


def misdocumented(page: str, settings: Mapping[str, tuple[str, str]]) -> dict[str, object]:
    """Compare the tables of a page with the settings; what differs is returned under the variable's name."""
    rows = {row["name"]: (row["default"], row["meaning"]) for row in ROW.finditer(page)}
    return {key: rows.get(key) for key in rows.keys() | settings.keys() if rows.get(key) != settings.get(key)}


def machine_words(text: str) -> Iterator[str]:
    """Yield each line that names a folder or an index of somebody's machine."""
    yield from (line for line in text.splitlines() if MACHINE.search(line))


def test_every_setting_is_documented_as_it_is() -> None:
    assert misdocumented((ROOT / "docs" / "configuration.md").read_text(), declared()) == {}


def test_a_setting_that_is_documented_wrongly_is_reported() -> None:
    page = "| `SCHEDULER_A` | `1` | Something |\n| `SCHEDULER_GONE` | none | What was |"
    settings = {"SCHEDULER_A": ("`1`", "Something"), "SCHEDULER_NEW": ("`2`", "Something else")}
    assert misdocumented(page, settings) == {"SCHEDULER_GONE": ("none", "What was"), "SCHEDULER_NEW": None}
    assert misdocumented(page.replace("`1`", "`3`"), settings).keys() == {
        "SCHEDULER_A", "SCHEDULER_GONE", "SCHEDULER_NEW",
    }  # fmt: skip


def unsaid(source: str) -> list[str]:
    return [] if ast.get_docstring(parsed(source)) else ["begin with one sentence: what lives here, what does not"]


def test_every_module_says_what_it_is() -> None:
    assert reported(modules("scheduler", "bench", "tests"), lambda path: unsaid(path.read_text())) == {}
    assert len(unsaid("x = 1")) == 1


def test_no_file_knows_the_machine_it_was_written_on() -> None:
    ours = [path for path in tracked() if "tests" not in path.relative_to(ROOT).parts]
    assert reported(ours, lambda path: machine_words(path.read_text(errors="replace"))) == {}


@pytest.mark.parametrize(
    "line", ["see /tmp/x", "open('/home/ann/y')", "cd /root/", "--extra-index-url file:x", "--find-links wheels"]
)
def test_a_machine_path_is_reported(line: str) -> None:
    assert list(machine_words(f"fine\n{line}\nfine")) == [line]


def test_an_ordinary_path_is_not_reported() -> None:
    assert list(machine_words("var/outbox /v1/homes tmp/ https://example.org/work")) == []
