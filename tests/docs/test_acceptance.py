"""The page of promises: each names a test, and every test that it names exists."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tests.house.source import ROOT

PAGE = ROOT / "docs" / "acceptance.md"


def promises(text: str) -> Iterator[tuple[str, list[str]]]:
    """(promise, tests) of every row, without the heads of the tables."""
    for line in text.splitlines():
        if line.startswith("| ") and not line.startswith("| promise"):
            promise, _, tests = line.strip("| ").rpartition(" | ")
            yield promise, re.findall(r"`([^`]+::[^`]+)`", tests)


def missing(text: str) -> list[str]:
    """Promises without a test, and tests that there are not; they are named without the class that they stand in."""
    found = []
    for promise, tests in promises(text):
        found += [] if tests else [promise]
        for test in tests:
            file, _, function = test.partition("::")
            path = ROOT / file
            tree = ast.parse(path.read_text()) if path.exists() else ast.Module([], [])
            names = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
            found += [] if function in names else [test]
    return found


def test_every_promise_names_tests_that_exist() -> None:
    text = PAGE.read_text()
    assert missing(text) == []
    assert len(list(promises(text))) > 40


def test_a_test_that_is_gone_is_reported() -> None:
    rows = ["| promise | test |", "|---|---|", "| a | `tests/docs/test_acceptance.py::test_gone` |", "| b | none |"]
    rows += ["| c | `tests/docs/test_nowhere.py::test_a` |", "| d | `tests/docs/test_acceptance.py::promises` |"]
    rows += ["| e | `tests/docs/test_acceptance.py::TestNone::test_a_test_that_is_gone_is_reported` |"]
    assert missing("\n".join(rows)) == [
        "tests/docs/test_acceptance.py::test_gone", "b", "tests/docs/test_nowhere.py::test_a",
        "tests/docs/test_acceptance.py::TestNone::test_a_test_that_is_gone_is_reported",
    ]  # fmt: skip
