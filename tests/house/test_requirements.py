"""The locked requirements: complete, hashed, alike in both files, explained, and free of index addresses."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.house.source import ROOT

PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)(?:\[[a-z,]+\])?==(?P<version>[^\s;\\]+)", re.MULTILINE)


def text(name: str) -> str:
    return (ROOT / name).read_text()


def pins(listing: str) -> dict[str, str]:
    """Give name (normalized) to version."""
    return {re.sub(r"[-_.]+", "-", pin["name"]).lower(): pin["version"] for pin in PIN.finditer(listing)}


def unlocked(listing: str) -> Iterator[str]:
    """Yield every line of a compiled file that is neither a pin with a hash below it nor a hash."""
    lines = listing.splitlines()
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if line.startswith("    --hash=sha256:"):
            continue
        if not (PIN.match(line) and line.endswith("\\") and following.startswith("    --hash=sha256:")):
            yield line


def unexplained(source: str) -> list[str]:
    """Name the requirements of an .in file that have no exact pin or no reason beside them."""
    lines = [line for line in source.splitlines() if line and not line.startswith(("#", "-r "))]
    return [line for line in lines if not (PIN.match(line) and re.search(r" # \S", line))]


def test_the_locks_hold_pins_with_hashes_and_nothing_else() -> None:
    for name in ("requirements.txt", "requirements-dev.txt"):
        assert list(unlocked(text(name))) == []


def test_the_locks_agree_with_their_sources_and_with_each_other() -> None:
    run, dev = pins(text("requirements.txt")), pins(text("requirements-dev.txt"))
    assert len(run) > 30
    assert run.items() <= dev.items()
    assert pins(text("requirements.in")).items() <= run.items()
    assert pins(text("requirements-dev.in")).items() <= dev.items()


def test_every_requirement_has_its_reason_and_its_place_in_the_docs() -> None:
    page = text("docs/dependencies.md")
    for source in (text("requirements.in"), text("requirements-dev.in")):
        assert unexplained(source) == []
        named = {pin[0].partition("==")[0] for pin in PIN.finditer(source)}
        assert {name for name in named if f"| {name} |" not in page} == set()


def test_a_line_that_is_not_locked_is_reported() -> None:
    good = "flask==3.1.3 \\\n    --hash=sha256:00\n"
    assert list(unlocked(good)) == []
    assert list(unlocked(f"--find-links wheels\n{good}")) == ["--find-links wheels"]
    assert list(unlocked("flask==3.1.3\n")) == ["flask==3.1.3"]
    assert list(unlocked("flask>=3 \\\n    --hash=sha256:00\n")) == ["flask>=3 \\"]


def test_an_unexplained_requirement_is_reported() -> None:
    assert unexplained("Flask==3.1.3  # the web\nclick==8.5.1\nrich>=15 # output") == [
        "click==8.5.1",
        "rich>=15 # output",
    ]
