"""What only one place may do: commit, read the environment, read the clock."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

from tests.house.source import modules, parsed, reported
from tests.house.test_walls import room_of

#: Reading these is asking the present time. The clock is an argument, so that a test can move it.
CLOCKS = {
    "datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time", "time.time_ns",
    "func.now", "func.current_timestamp",
}  # fmt: skip


def commits(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "commit"


def reads_environment(node: ast.AST) -> bool:
    if isinstance(node, ast.ImportFrom):
        return node.module == "os" and bool({"environ", "getenv"} & {alias.name for alias in node.names})
    return isinstance(node, ast.Attribute) and ast.unparse(node) in {"os.environ", "os.getenv", "os.environb"}


def reads_clock(node: ast.AST) -> bool:
    if isinstance(node, ast.ImportFrom):
        return node.module == "time" and bool({"time", "time_ns"} & {alias.name for alias in node.names})
    # Not only the calls: a clock handed on as `default=datetime.now` is read as well.
    return isinstance(node, ast.Attribute) and ".".join(ast.unparse(node).split(".")[-2:]) in CLOCKS


def dumps(node: ast.AST) -> bool:
    """marshmallow's way from an object to values: `api/writing` is the one way to what is answered or kept."""
    return isinstance(node, ast.Attribute) and node.attr == "dump"


class Law(NamedTuple):
    """Something that only the rooms in `where` may do."""

    broken_by: Callable[[ast.AST], bool]
    where: frozenset[str]


LAWS = {
    "commits": Law(commits, frozenset({"database"})),
    "reads the environment": Law(reads_environment, frozenset({"config"})),
    "reads the clock": Law(reads_clock, frozenset({"__init__", "worker", "cli"})),
    "dumps": Law(dumps, frozenset()),
}


def broken(room: str, source: str) -> Iterator[str]:
    """Yield what a module in `room` does that it may not, with the line."""
    for node in ast.walk(parsed(source)):
        for what, law in LAWS.items():
            if room not in law.where and law.broken_by(node):
                yield f"line {getattr(node, 'lineno', 0)} {what}"


def test_what_one_place_does_no_other_does() -> None:
    assert reported(modules("scheduler"), lambda path: broken(room_of(path), path.read_text())) == {}


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("session.commit()", "commits"),
        ("db.session.commit()", "commits"),
        ("import os\nx = 1; os.environ['A']", "reads the environment"),
        ("import os\nx = os.getenv('A')", "reads the environment"),
        ("from os import environ", "reads the environment"),
        ("datetime.now(UTC)", "reads the clock"),
        ("datetime.datetime.utcnow()", "reads the clock"),
        ("field(default_factory=datetime.now)", "reads the clock"),
        ("date.today()", "reads the clock"),
        ("time.time()", "reads the clock"),
        ("from time import time", "reads the clock"),
        ("mapped_column(server_default=func.now())", "reads the clock"),
        ("PlanSchema().dump(plan)", "dumps"),
    ],
)
def test_a_broken_law_is_reported(source: str, what: str) -> None:
    for room in ("core", "services", "models", "messaging", "api"):
        assert [report.partition(" ")[2].partition(" ")[2] for report in broken(room, source)] == [what], room


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("database", "session.commit()"),
        ("config", "os.environ"),
        ("worker", "datetime.now(UTC)"),
        ("services", "call.now; time.sleep(1); time.monotonic(); commit(); func.count()"),
    ],
)
def test_what_is_lawful_is_not_reported(room: str, source: str) -> None:
    assert list(broken(room, source)) == []
