"""Lent databases: whoever comes next finds nothing of whoever was there before."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
from sqlalchemy import URL, create_engine, text
from sqlalchemy.pool import NullPool

from scheduler.models import Base
from tests.plumbing.scene import Scene
from tests.plumbing.stock import Stock


@pytest.fixture
def stock(postgres_server: URL, postgres_template: URL) -> Iterator[Stock]:
    with closing(Stock(postgres_server, postgres_template)) as stock:
        yield stock


def test_the_next_one_finds_the_same_database_without_a_row(stock: Stock) -> None:
    with stock.lent() as first:
        engine = create_engine(first)
        scene = Scene.begin(engine)
        main = scene.location().id
        scene.visit(main, "2030-03-05T09:00", (scene.practitioner(main, "nurse").id, "nurse"))
        left_open = engine.connect()
        left_open.execute(text("SELECT 1 FROM organizations FOR UPDATE"))  # locks what is emptied
    left_open.invalidate()
    left_open.close()
    engine.dispose()
    with stock.lent() as second:
        engine = create_engine(second, poolclass=NullPool)
        with engine.connect() as connection:
            assert not [t for t in Base.metadata.tables if connection.scalar(text(f'SELECT 1 FROM "{t}"'))]
            assert connection.scalar(text("SELECT count(*) FROM alembic_version")) == 1
    assert second == first


@pytest.mark.parametrize(
    "deed",
    [
        "ALTER TABLE occupancies DROP CONSTRAINT no_double_booking",
        "ALTER TABLE patients ALTER COLUMN name DROP NOT NULL",
        "ALTER TABLE occupancies DISABLE TRIGGER ALL",
        "CREATE INDEX left_behind ON patients (id)",
        "ANALYZE organizations",
        "UPDATE alembic_version SET version_num = '9999'",
        "DROP TABLE alembic_version",
    ],
)
def test_a_database_that_is_no_longer_like_the_template_is_not_lent_again(stock: Stock, deed: str) -> None:
    with stock.lent() as url:
        engine = create_engine(url, poolclass=NullPool)
        with engine.begin() as connection:
            connection.execute(text(deed))
    assert stock.idle == []


def test_a_database_over_which_a_test_failed_is_not_lent_again(stock: Stock) -> None:
    with pytest.raises(ZeroDivisionError), stock.lent():
        raise ZeroDivisionError
    assert stock.idle == []
