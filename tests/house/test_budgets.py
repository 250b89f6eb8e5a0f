"""How long a file and a function may be, and what a module may not be called."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.source import modules, name, parsed, reported

FILE_LINES = 400
FUNCTION_LINES = 60
#: A drawer with such a label fills up: what is in it belongs to a noun.
NO_NAMES = {"util", "utils", "helper", "helpers", "common", "misc"}


def over_budget(source: str) -> Iterator[str]:
    """Yield what is too long in a module. A function counts from `def` to its last line."""
    length = len(source.splitlines())
    if length > FILE_LINES:
        yield f"{length} lines, {FILE_LINES} at most"
    for node in ast.walk(parsed(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES:
                yield f"{node.name} has {lines} lines, {FUNCTION_LINES} at most"


def misnamed(parts: tuple[str, ...]) -> bool:
    return not NO_NAMES.isdisjoint(part.removesuffix(".py") for part in parts)


#: Not the migrations: one tells its story from top to bottom, and is never changed again.
FILES = modules("scheduler", "tests", "bench")


def test_files_and_functions_stay_short() -> None:
    assert reported(FILES, lambda path: over_budget(path.read_text())) == {}


def test_no_module_is_a_drawer() -> None:
    assert [name(path) for path in FILES if misnamed(Path(name(path)).parts)] == []


def test_what_is_too_long_is_reported() -> None:
    assert list(over_budget("x = 1\n" * 401)) == ["401 lines, 400 at most"]
    assert list(over_budget("x = 1\n" * 400)) == []
    assert list(over_budget("def long():\n" + "    x = 1\n" * 60)) == ["long has 61 lines, 60 at most"]
    assert list(over_budget("def fits():\n" + "    x = 1\n" * 59)) == []
    assert list(over_budget("class C:\n    async def m(self):\n" + "        x = 1\n" * 60)) == [
        "m has 61 lines, 60 at most"
    ]


@pytest.mark.parametrize("path", ["scheduler/utils.py", "scheduler/common/x.py", "tests/helpers.py"])
def test_a_drawer_is_reported(path: str) -> None:
    assert misnamed(Path(path).parts)
    assert not misnamed(Path("scheduler/core/intervals.py").parts)
