"""A booking's statements are planned once, and not anew for each, however much is stored already."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.orm import Session

from scheduler.models import Appointment, Occupancy, Resource
from tests.clinic import Clinic
from tests.desk import INFUSION, book

DAYS = [f"2030-03-{day:02}" for day in (5, 6, 7, 8, 11, 12, 13, 14, 15, 18, 19, 20, 21, 22)]
#: Plans for the very values, before PostgreSQL weighs them against one for any.
WEIGHED = 5
#: The key's is not among them here: location, people, calendars, locks, rows.
OF_A_BOOKING = ("SELECT locations.", "WITH told", "WITH wanted", "WITH taken", "WITH part_0")


@pytest.fixture
def clinic(engine: Engine) -> Clinic:
    """Three thousand days on which the same patient had the same visit, and hundreds of other patients."""
    made = Clinic(engine)
    made.visit(INFUSION)
    for role in ("nurse", "prescriber"):
        made.staff(role, units=2)
    made.room("bay")
    book(made, made.patient(), "infusion", "2030-03-04 10:00")
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        earlier = {each: f"t.{each} - n * interval '1 day'" for each in ("starts_at", "ends_at")}
        for model in (Appointment, Occupancy):
            _again(connection, model, 3000, earlier)
        _again(connection, Resource, 500, {"kind": "'patient'"})
        connection.execute(text("ANALYZE"))
    return made


def _again(
    connection: Connection, model: type[Appointment | Occupancy | Resource], times: int, but: dict[str, str]
) -> None:
    """Every row of the table so many times more, with ids of their own and these values."""
    names = [column.name for column in model.__table__.columns]
    values = {name: f"t.{name}" for name in names} | {"id": "gen_random_uuid()"} | but
    told, table = ", ".join(values.values()), model.__tablename__
    rows = f"SELECT {told} FROM {table} t, generate_series(1, {times}) n"
    connection.execute(text(f"INSERT INTO {table} ({', '.join(names)}) {rows}"))


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
def test_what_a_booking_asks_is_planned_once(clinic: Clinic) -> None:
    for day in DAYS:
        book(clinic, clinic.patient(), "infusion", f"{day} 10:00")
    with Session(clinic.engine) as session:
        kept = session.execute(text("SELECT statement, generic_plans, custom_plans FROM pg_prepared_statements")).all()
    for words in OF_A_BOOKING:
        [(statement, for_any, for_these)] = [each for each in kept if each.statement.startswith(words)]
        assert for_any, statement
        assert for_these <= WEIGHED, statement
