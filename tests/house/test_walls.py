"""Which room may look into which. Read this first: it is the map of the code, and it is enforced.

Every import counts, the deferred and the typing-only ones too.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.house.source import PRODUCT, modules, parsed, reported


class Wall(NamedTuple):
    """What a room may import: rooms of ours, then packages of others (or parts). The standard library is open."""

    ours: frozenset[str]
    theirs: frozenset[str]


def wall(ours: str = "", theirs: str = "") -> Wall:
    return Wall(frozenset(ours.split()), frozenset(theirs.split()))


WALLS = {
    "core": wall(theirs="tzdata"),  # data, not code: core/civil.py says which zone rules are in force
    "core/planner": wall(theirs="numpy"),
    "core/columns": wall(theirs="numpy"),
    "core/taken": wall(theirs="numpy"),
    "models": wall("core", "sqlalchemy uuid_utils"),
    # Of messaging only its texts: which channel carries one is the worker's.
    "services": wall("core models messaging", "sqlalchemy orjson yaml phonenumbers email_validator dateutil holidays"),
    "messaging": wall(
        "config core ics",
        "apprise requests urllib3.exceptions email_validator jinja2 babel yaml standardwebhooks phonenumbers",
    ),
    "config": wall(),
    # A leaf: texts for calendars, from values.
    "ics": wall("core", "icalendar"),
    "database": wall("core models", "sqlalchemy flask_sqlalchemy orjson"),
    "worker": wall("config core ics models services messaging database", "sqlalchemy apscheduler"),
    "api": wall(
        "config core services database ics",
        # Of SQLAlchemy only what it hands through and what it answers: it has no table to query.
        "flask flask_smorest marshmallow werkzeug apispec webargs flask_swagger_ui prometheus_client "
        "sqlalchemy.exc sqlalchemy.orm.exc sqlalchemy.orm.Session",
    ),
    # An edge beside api: HTML for patients.
    "pages": wall("core services messaging database ics", "flask werkzeug babel"),
    "terminal": wall("core services", "rich"),
    "cli": wall(
        "api config core models services messaging database worker demo terminal",
        "flask flask_migrate alembic.util.CommandError sqlalchemy yaml click rich requests waitress",
    ),
    # An edge, like cli: it makes an installation of its own, and talks to it over HTTP.
    "demo": wall(
        "config core models services database worker", "flask flask_migrate sqlalchemy click rich requests waitress"
    ),
    "__init__": wall("api config database pages", "flask flask_migrate werkzeug"),
    "__main__": wall("cli"),
}


def room_of(path: Path) -> str:
    """Name the room that a file of the product belongs to, the narrowest that has a wall of its own."""
    parts = path.relative_to(PRODUCT).with_suffix("").parts
    return "/".join(parts[:2]) if "/".join(parts[:2]) in WALLS else parts[0]


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield the dotted name of everything that is imported anywhere in a module, `.` for a relative import."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ["." if node.level else f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in {"import_module", "__import__"}:
            yield from by_name(node, tree)


def by_name(call: ast.Call, tree: ast.AST) -> list[str]:
    """Tell what is imported by name: at least its beginning must stand in the call, or all candidates in the module."""
    match call.args:
        case [ast.Constant(value=str(text)), *_] | [ast.JoinedStr(values=[ast.Constant(value=str(text)), *_]), *_]:
            return [text.rstrip(".")]
    texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return [text.partition(":")[0] for text in texts if re.fullmatch(r"scheduler(\.\w+)+(:\w+)?", text)] or ["?"]


def breaches(room: str, source: str) -> list[str]:
    """Say, for the source of a module in `room`, which walls it breaks."""
    may, own = WALLS[room], room.partition("/")[0]
    found = []
    for full in sorted(set(imported(parsed(source)))):
        top, _, rest = full.partition(".")
        inner = rest.partition(".")[0]
        if full in {".", "?"}:
            found.append("imports are absolute here" if full == "." else "an import whose name can't be read")
        elif top == "scheduler":
            # `from scheduler import create_app` names no room: it is the wiring itself, which only the edges may touch.
            wiring = inner not in ROOMS
            if inner != own and inner not in may.ours and not (wiring and room in {"cli", "worker", "demo"}):
                found.append(f"{room} may not import {full}")
        elif top not in sys.stdlib_module_names and not any(f"{full}.".startswith(f"{part}.") for part in may.theirs):
            found.append(f"{room} may not import {full}")
    return found


ROOMS = {room.partition("/")[0] for room in WALLS} - {"__init__", "__main__"}
FILES = modules("scheduler")


def test_each_room_imports_only_what_it_may() -> None:
    assert reported(FILES, lambda path: breaches(room_of(path), path.read_text())) == {}


def test_every_room_has_its_wall() -> None:
    assert {room_of(path) for path in FILES} - WALLS.keys() == set()


def test_a_file_of_the_planner_is_in_the_planner() -> None:
    assert room_of(PRODUCT / "core" / "planner" / "search.py") == "core/planner"
    assert room_of(PRODUCT / "core" / "errors.py") == "core"
    assert room_of(PRODUCT / "worker" / "ticking.py") == "worker"


@pytest.mark.parametrize(
    ("room", "source", "breach"),
    [
        ("core", "from flask import session", "core may not import flask.session"),
        ("core", "import numpy", "core may not import numpy"),
        ("core", "from scheduler.models import Base", "core may not import scheduler.models.Base"),
        ("core", "from scheduler import services", "core may not import scheduler.services"),
        ("core", "from scheduler import create_app", "core may not import scheduler.create_app"),
        ("core/planner", "import sqlalchemy.orm", "core/planner may not import sqlalchemy.orm"),
        ("models", "import scheduler.services.booking", "models may not import scheduler.services.booking"),
        ("services", "def f():\n    from scheduler.api import errors", "services may not import scheduler.api.errors"),
        ("messaging", "from scheduler.database import db", "messaging may not import scheduler.database.db"),
        (
            "api",
            "if TYPE_CHECKING:\n    from scheduler.models import Course",
            "api may not import scheduler.models.Course",
        ),
        ("services", "from . import booking", "imports are absolute here"),
        ("core", "import importlib\nimportlib.import_module('flask')", "core may not import flask"),
        ("core", "import_module(f'scheduler.{room}')", "core may not import scheduler"),
        ("api", "import_module(noun)", "an import whose name can't be read"),
        (
            "messaging",
            "import_module(X[0])\nX = ['scheduler.models.base:Base']",
            "messaging may not import scheduler.models.base",
        ),
        ("api", "from sqlalchemy import select", "api may not import sqlalchemy.select"),
        ("worker", "import ortools", "worker may not import ortools"),
    ],
)
def test_a_breach_is_reported(room: str, source: str, breach: str) -> None:
    assert breaches(room, source) == [breach]


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("core/planner", "import math\nimport numpy as np\nfrom scheduler.core.errors import Refused"),
        ("services", "from scheduler.core.call import Call\nfrom scheduler.services.audit import note"),
        ("cli", "from scheduler import create_app, worker"),
        ("messaging", "CHANNELS = {'file': 'scheduler.messaging.file:File'}\nimport_module(CHANNELS[name])"),
        ("api", "from sqlalchemy.exc import DBAPIError\nimport_module(f'scheduler.api.{noun}')"),
    ],
)
def test_what_is_allowed_is_not_reported(room: str, source: str) -> None:
    assert breaches(room, source) == []
