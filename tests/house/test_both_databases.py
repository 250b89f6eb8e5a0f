"""The suite runs on SQLite and on a real PostgreSQL: a run that leaves one out is noticed."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, text

_ASKED = {"sqlite": "SELECT 'SQLite ' || sqlite_version()", "postgresql": "SELECT version()"}


def test_each_database_answers_for_itself(engine: Engine, dialect: str) -> None:
    with engine.connect() as connection:
        assert connection.scalar(text(_ASKED[dialect])).lower().startswith(f"{dialect} ")


def test_whoever_asks_for_a_database_is_asked_on_both(request: pytest.FixtureRequest) -> None:
    asked = [
        each for each in request.session.items if each.name.startswith(test_each_database_answers_for_itself.__name__)
    ]
    assert {each.callspec.params["dialect"] for each in asked} == {"sqlite", "postgresql"}  # type: ignore[attr-defined]
