"""The migrations make what the models say, guards included, from nothing and back, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask
from flask_migrate import downgrade, upgrade
from sqlalchemy import CheckConstraint, create_engine, inspect, select, text
from sqlalchemy.pool import NullPool

from scheduler import create_app
from scheduler.config import Settings
from scheduler.core.scopes import expand
from scheduler.core.visit import parse_visit_type
from scheduler.database import db
from scheduler.models import ApiKey, Base, Organization, VisitTypeRow, new_id
from scheduler.models.base import there_on

MIGRATIONS = Path(__file__).parents[2] / "migrations"

#: Tables that do not belong to an organization, each with its reason.
NOBODYS = {
    "organizations": "the organization itself: its id is the organization's",
    "worker_heartbeats": "the pulse of processes that serve every organization",
}


@pytest.fixture
def bare(empty_database_url: str) -> Iterator[Flask]:
    """An application on a database without tables."""
    app = create_app(Settings(database_url=empty_database_url))
    with app.app_context():
        yield app
        db.session.remove()
        db.engine.dispose()


def guards(url: str) -> set[str]:
    """Names of the triggers (SQLite) or the exclusion and check constraints (PostgreSQL) on occupancies."""
    engine = create_engine(url, poolclass=NullPool)
    asked = {
        "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'occupancies'",
        "postgresql": "SELECT conname FROM pg_constraint WHERE conrelid = 'occupancies'::regclass "
        "AND contype IN ('x', 'c')",
    }
    with engine.connect() as connection:
        return set(connection.execute(text(asked[engine.dialect.name])).scalars())


def in_a_house() -> tuple[UUID, datetime]:
    """An organization in a database of this version, and when it was made."""
    upgrade(str(MIGRATIONS))
    house, at = new_id(), datetime(2026, 3, 2, tzinfo=UTC)
    db.session.add(Organization(id=house, name="House", sender_name="House", created_at=at))
    db.session.flush()
    return house, at


def test_the_migrations_make_what_the_models_say(bare: Flask) -> None:
    upgrade(str(MIGRATIONS))
    with db.engine.connect() as connection:
        opts = {"compare_type": True, "include_object": there_on(connection.dialect.name)}
        context = MigrationContext.configure(connection, opts=opts)
        assert compare_metadata(context, Base.metadata) == []


def test_the_guards_are_there_which_no_comparison_sees(bare: Flask, empty_database_url: str, dialect: str) -> None:
    upgrade(str(MIGRATIONS))
    expected = {
        "sqlite": {"no_double_booking_insert", "no_double_booking_update", "bounded_insert", "bounded_update"},
        "postgresql": {"no_double_booking", "ck__occupancies__bounded"},
    }
    assert expected[dialect] <= guards(empty_database_url)


def test_every_check_of_the_models_is_in_the_database(bare: Flask) -> None:
    upgrade(str(MIGRATIONS))
    found = inspect(db.engine)
    for table in Base.metadata.sorted_tables:
        there = {check["name"] for check in found.get_check_constraints(table.name)}
        named = {str(each.name) for each in table.constraints if isinstance(each, CheckConstraint)}
        assert named <= there, table.name


def test_down_to_nothing_and_up_again(bare: Flask, empty_database_url: str) -> None:
    upgrade(str(MIGRATIONS))
    before = set(inspect(db.engine).get_table_names()), guards(empty_database_url)
    downgrade(str(MIGRATIONS), revision="base")
    assert set(inspect(db.engine).get_table_names()) == {"alembic_version"}
    upgrade(str(MIGRATIONS))
    assert (set(inspect(db.engine).get_table_names()), guards(empty_database_url)) == before


def test_stored_visit_types_are_rid_of_what_is_refused_now(bare: Flask) -> None:
    def segment(name: str, *needs: dict[str, Any]) -> dict[str, Any]:
        return {"name": name, "minutes": 30, "patient": True, "needs": list(needs)}

    nurse = {"role": "nurse", "mode": "shared"}
    definition = {
        "code": "odd",
        "name": "Odd",
        "public_name": "Visit",
        "kind": "follow_up",
        "segments": [
            segment(
                "one", {**nurse, "mode": "exclusive"}, {**nurse, "units": 2}, {"role": "prescriber", "mode": "present"}
            ),
            segment("two", {**nurse, "same_as": "one"}, {"role": "prescriber", "mode": "shared", "same_as": "one"}),
            segment("three", {"role": "nurse", "mode": "present", "count": 2, "same_as": "two"}),
            {"name": "four", "minutes": 10},
        ],
    }
    house, at = in_a_house()
    db.session.add(VisitTypeRow(organization_id=house, id=new_id(), code="odd", definition=definition, created_at=at))
    db.session.commit()
    downgrade(str(MIGRATIONS), revision="0024")
    upgrade(str(MIGRATIONS))
    visit = parse_visit_type(db.session.execute(select(VisitTypeRow.definition)).scalar_one(), {})
    assert [[(need.code, need.mode, need.count, need.same_as) for need in each.needs] for each in visit.segments] == [
        [("nurse", "exclusive", 1, None), ("prescriber", "present", 1, None)],
        [("nurse", "shared", 1, "one"), ("prescriber", "shared", 1, None)],
        [("nurse", "present", 1, None)],
        [],
    ]


def test_the_keys_of_clinicians_go_on_deciding_gates(bare: Flask) -> None:
    house, at = in_a_house()
    for name in ("clinician", "admin", "front_desk"):
        key = {"id": new_id(), "name": name, "secret_hash": name, "scopes": sorted(expand([name]))}
        db.session.add(ApiKey(organization_id=house, created_at=at, **key))
    db.session.commit()
    scopes = select(ApiKey.name, ApiKey.scopes)
    downgrade(str(MIGRATIONS), revision="0025")
    assert not any("gates:decide" in names for _, names in db.session.execute(scopes))
    db.session.rollback()
    upgrade(str(MIGRATIONS))
    assert {name: set(names) for name, names in db.session.execute(scopes)} == {
        name: expand([name]) for name in ("clinician", "admin", "front_desk")
    }


def test_there_is_one_head_and_the_head_file_names_it() -> None:
    """The file makes two migrations made at the same time conflict in git, where people see it."""
    script = ScriptDirectory(str(MIGRATIONS))
    assert script.get_heads() == [(MIGRATIONS / ".head").read_text().strip()]


def test_migrations_are_numbered_in_their_order() -> None:
    names = sorted(path.name for path in (MIGRATIONS / "versions").glob("*.py"))
    assert [name[:4] for name in names] == [f"{number:04d}" for number in range(1, len(names) + 1)]


@pytest.mark.parametrize("table", Base.metadata.sorted_tables, ids=lambda table: table.name)
def test_the_organization_comes_first_in_every_key(table: object) -> None:
    from sqlalchemy import ForeignKeyConstraint, PrimaryKeyConstraint, Table, UniqueConstraint

    assert isinstance(table, Table)
    if table.name in NOBODYS:
        assert "organization_id" not in table.columns
        return
    for constraint in table.constraints:
        if isinstance(constraint, (PrimaryKeyConstraint, UniqueConstraint, ForeignKeyConstraint)):
            assert next(iter(constraint.columns)).name == "organization_id", constraint.name
    for index in table.indexes:
        assert index.columns[0].name == "organization_id", index.name


def test_every_constraint_has_a_name() -> None:
    for table in Base.metadata.sorted_tables:
        assert all(constraint.name for constraint in table.constraints), table.name
