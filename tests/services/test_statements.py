"""What the database is asked: how often for one look at the calendar, and whether it can answer from an index."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Connection, Engine, event, select, text
from sqlalchemy.engine.interfaces import CacheStats
from sqlalchemy.orm import Session

from scheduler.api.rehearsal import rehearse
from scheduler.core.call import Call
from scheduler.database import db, look, transact
from scheduler.models import Appointment, AuditEvent, Resource
from scheduler.services import access, audit, availability, clearances, groups, ready
from scheduler.services.availability import Question
from tests.clinic import Clinic, need, segment, visit_type
from tests.desk import INFUSION, TALK, book
from tests.plumbing.clock import Clock

#: Authentication included.
MOST = 5
#: Of a dose: location with turn and addressee, people and doses, calendars; locks; all rows at once, on SQLite table by
#: table: visit, who serves it, messages, audit.
MOST_OF_A_BOOKING = {"postgresql": 5, "sqlite": 8}
DOSE = segment("dose", 60, need("role:nurse"), need("room:bay"))
GUARDED = visit_type("guarded", DOSE, kind="dosing", requires={"clearances": ["seen"]})


@dataclass
class Asked:
    """Statements as they went to the database."""

    statements: list[tuple[str, Any]] = field(default_factory=list)

    def of(self, words: str) -> list[tuple[str, Any]]:
        return [(statement, values) for statement, values in self.statements if words in statement]


@contextmanager
def listening(engine: Engine) -> Iterator[Asked]:
    asked = Asked()

    def note(_c: Connection, _cursor: Any, statement: str, values: Any, _context: Any, _many: bool) -> None:  # noqa: FBT001 - SQLAlchemy's order
        if not statement.startswith("BEGIN"):
            asked.statements.append((statement, values))

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(engine, "before_cursor_execute", note)


@dataclass
class House:
    """A clinic behind a client: so many of everyone and everything, and a patient who has been seen and dosed."""

    engine: Engine
    app: Flask
    client: FlaskClient
    size: int

    def __post_init__(self) -> None:
        self.clinic = Clinic(self.engine)
        for document in (TALK, INFUSION, GUARDED):
            self.clinic.visit(document)
        for _ in range(self.size):
            for role in ("nurse", "prescriber", "therapist"):
                self.clinic.staff(role)
            self.clinic.room("bay")
            self.clinic.room("consult")
        self.patient = self.clinic.patient()
        self.token = self.clinic.do(self._admit)
        self.dose = book(self.clinic, self.patient, "infusion", "2030-03-06 10:00")

    def _admit(self, session: Session, call: Call) -> str:
        today = call.now.date()
        clearances.create(
            session, call, self.patient, kind="seen", outcome="accepted", valid_from=today, by="A Clinician"
        )
        return access.create_key(session, call, name="desk", scopes=["admin"])[1]

    def ask(self, kind: str, days: int, **more: Any) -> int:
        """The statements of one request for offers, which must find some."""
        since = self.clinic.at("2030-03-05 00:00")
        query = {
            "visit_type": kind,
            "location_id": self.clinic.location_id,
            "from": since.isoformat(),
            "to": (since + timedelta(days=days)).isoformat(),
            "patient_id": self.patient,
            **more,
        }
        answer, count = self._get(f"/v1/availability?{urlencode(query)}")
        assert answer["items"], "nothing was offered, so nothing was measured"
        return count

    def explain(self, kind: str, **more: Any) -> int:
        """The statements of one question why a start on a Sunday cannot be had."""
        query = {
            "visit_type": kind,
            "location_id": self.clinic.location_id,
            "start": self.clinic.at("2030-03-10 10:00").isoformat(),
            "patient_id": self.patient,
            **more,
        }
        answer, count = self._get(f"/v1/availability/explain?{urlencode(query)}")
        assert answer["reasons"], "it could be had, so that nobody asked why not"
        return count

    def _get(self, path: str) -> tuple[Any, int]:
        """The answer, and how many statements it took."""
        with self.app.app_context():
            engine = db.engine
        with listening(engine) as asked:
            answer = self.client.get(path, headers={"Authorization": f"Bearer {self.token}"})
        assert answer.status_code == 200, answer.get_data(as_text=True)
        return answer.json, len(asked.statements)


@pytest.fixture
def moment(clock: Clock) -> Clock:
    clock.set(clock.now - timedelta(days=3))
    return clock


@pytest.mark.parametrize("kind", ["talk", "infusion", "guarded"])
def test_a_look_costs_as_many_statements_whatever_its_size(
    engine: Engine, app: Flask, client: FlaskClient, moment: Clock, kind: str
) -> None:
    asked = [(House(engine, app, client, size), days) for size, days in ((1, 3), (3, 31), (6, 62))]
    cold = [house.ask(kind, days) for house, days in asked]
    warm = [house.ask(kind, days) for house, days in asked]
    assert len(set(cold)) == len(set(warm)) == 1
    assert max(warm) < max(cold) <= MOST


def test_leaving_out_the_visit_that_moves_costs_nothing_more(
    engine: Engine, app: Flask, client: FlaskClient, moment: Clock
) -> None:
    house = House(engine, app, client, 2)
    more = {"exclude_appointment": house.dose.id}
    cold, warm = house.ask("infusion", 31, **more), house.ask("infusion", 31, **more)
    assert warm <= cold <= MOST


def test_looking_beyond_the_next_days_costs_one_more_at_most(
    engine: Engine, app: Flask, client: FlaskClient, moment: Clock
) -> None:
    """Few offers: only one hour of one weekday, so that the whole span is looked through."""
    house = House(engine, app, client, 2)
    more = {"weekdays": "thu", "earliest": "09:00", "latest": "10:00"}
    cold, warm = house.ask("infusion", 31, **more), house.ask("infusion", 31, **more)
    near = house.ask("infusion", 31)
    assert near == warm < cold <= MOST


def test_whoever_looks_first_waits_for_no_statement_to_be_written(
    engine: Engine, app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    house, written = House(engine, app, client, 1), []
    rehearse(app)
    monkeypatch.setattr(ready, "_Told", lambda statement, _dialect: written.append(str(statement)))
    with app.app_context():
        own = db.engine

    def note(_c: Connection, _cursor: Any, statement: str, _values: Any, context: Any, _many: bool) -> None:  # noqa: FBT001 - SQLAlchemy's order
        if context is not None and context.cache_hit is CacheStats.CACHE_MISS:
            written.append(statement)

    event.listen(own, "before_cursor_execute", note)
    house.ask("guarded", 2)
    event.remove(own, "before_cursor_execute", note)
    assert not written


def test_a_booking_asks_as_often_in_a_large_clinic(engine: Engine, app: Flask, client: FlaskClient) -> None:
    counts = []
    for size in (1, 6):
        house = House(engine, app, client, size)
        patient = house.clinic.patient()
        with listening(engine) as asked:
            book(house.clinic, patient, "infusion", "2030-03-07 10:00")
        counts.append(len(asked.statements))
    assert counts[0] == counts[1] <= MOST_OF_A_BOOKING[engine.dialect.name]


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
def test_the_server_keeps_its_plans_from_request_to_request(
    engine: Engine, app: Flask, client: FlaskClient, moment: Clock
) -> None:
    """A request that ended with ROLLBACK would have psycopg give them all up."""
    house = House(engine, app, client, 1)
    for _ in range(8):
        house.ask("talk", 3)
    with app.app_context(), db.engine.connect() as connection:
        kept = connection.execute(text("SELECT count(*) FROM pg_prepared_statements")).scalar_one()
    assert kept >= MOST - 3


def test_whoever_looked_first_still_changes_all_or_nothing(engine: Engine) -> None:
    clinic = Clinic(engine)

    def half(session: Session, call: Call) -> None:
        audit.note(session, call, "half", "organization", call.organization_id)
        session.flush()
        raise ZeroDivisionError

    with Session(engine) as session:
        look(session)
        assert session.scalars(select(AuditEvent.id).where(AuditEvent.action == "half")).all() == []
        with pytest.raises(ZeroDivisionError):
            transact(session, clinic.call, half)
        assert session.scalars(select(AuditEvent.id).where(AuditEvent.action == "half")).all() == []


@pytest.fixture
def uncounted(engine: Engine) -> Clinic:
    """A clinic with a long past: hundreds of rows for each of thirty, of which the database has no statistics."""
    clinic = Clinic(engine)
    clinic.visit(INFUSION)
    for _ in range(10):
        for role in ("nurse", "prescriber"):
            clinic.staff(role, units=2)
        clinic.room("bay")
    visit = book(clinic, clinic.patient(), "infusion", "2030-03-04 10:00")
    with engine.begin() as connection:
        _fill(connection, clinic.call.organization_id, visit.id)
    return clinic


@pytest.fixture
def crowded(uncounted: Clinic) -> Clinic:
    """The same, as the database knows by its statistics."""
    with uncounted.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))
    return uncounted


def _fill(connection: Connection, organization_id: UUID, owner: UUID) -> None:
    """Five hundred hours in the past for each resource, one after the other."""
    on_sqlite = connection.dialect.name == "sqlite"
    start = (
        "1700000000000000 + 7200000000 * n.n"
        if on_sqlite
        else "timestamptz '2023-11-14 22:00Z' + n.n * interval '2 hours'"
    )
    hour = "3600000000" if on_sqlite else "interval '1 hour'"
    fresh = "lower(hex(randomblob(16)))" if on_sqlite else "gen_random_uuid()"
    numbers = "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 500)"
    connection.execute(
        text(
            f"{numbers} INSERT INTO occupancies (organization_id, id, resource_id, unit, starts_at, ends_at, kind,"
            f" blocking, role, fixed, appointment_id) SELECT r.organization_id, {fresh}, r.id, 0, {start},"
            f" {start} + {hour}, 'visit', true, 'role:nurse', false, :owner FROM resources r, n"
            " WHERE r.organization_id = :organization"
        ),
        {
            "organization": organization_id.hex if on_sqlite else organization_id,
            "owner": owner.hex if on_sqlite else owner,
        },
    )


def plan(engine: Engine, statement: str, values: Any) -> str:
    """How the database would carry out a statement, exactly as it was sent."""
    how = "EXPLAIN QUERY PLAN" if engine.dialect.name == "sqlite" else "EXPLAIN"
    with engine.connect() as connection:
        rows = connection.exec_driver_sql(f"{how} {statement}", values)
        return "\n".join(str(row[-1]) for row in rows)


def reads_whole_table(found: str) -> bool:
    return re.search(r"Seq Scan on occupancies|SCAN (occupancies|o)\b", found) is not None


def _index_condition(found: str) -> str:
    return " ".join(line for line in found.splitlines() if "Index Cond" in line)


def _look(clinic: Clinic) -> str:
    """How what is taken would be read for offers in a month."""
    since = clinic.at("2030-03-04 00:00")
    question = Question("infusion", clinic.location_id, since, since + timedelta(days=31))
    with listening(clinic.engine) as asked:
        clinic.do(lambda session, call: availability.search(session, call, question, limit=1))
    [(statement, values)] = asked.of("WITH wanted")
    return plan(clinic.engine, statement, values)


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
def test_nobody_need_have_counted_for_that_index_to_be_taken(uncounted: Clinic) -> None:
    """The guard's index knows people too, but no time: by it all that anybody ever did would be read."""
    found = _look(uncounted)
    assert "ix__occupancies__calendar" in found, found
    assert "starts_at" in _index_condition(found), found
    assert "no_double_booking" not in found, found


def test_what_is_taken_is_read_from_an_index(crowded: Clinic) -> None:
    found = _look(crowded)
    assert "ix__occupancies__" in found, found
    assert not reads_whole_table(found), found
    if crowded.engine.dialect.name == "sqlite":  # PostgreSQL reads these as a whole while they are few
        for table in ("absences", "extra_hours"):
            assert re.search(rf"SEARCH {table} .*resource_id=\? AND ends_at>\?", found), found


def test_a_look_at_the_people_passes_no_patient_but_the_one(crowded: Clinic) -> None:
    columns = [column.name for column in Resource.__table__.columns]
    one = crowded.patient()
    with crowded.engine.begin() as connection:
        on_sqlite = connection.dialect.name == "sqlite"
        fresh = "lower(hex(randomblob(16)))" if on_sqlite else "gen_random_uuid()"
        copied = ", ".join(fresh if name == "id" else f"r.{name}" for name in columns)
        connection.execute(
            text(
                "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 2000)"
                f" INSERT INTO resources ({', '.join(columns)}) SELECT {copied} FROM resources r, n WHERE r.id = :one"
            ),
            {"one": one.hex if on_sqlite else one},
        )
        connection.execute(text("ANALYZE"))
    since = crowded.at("2030-03-04 00:00")
    question = Question("infusion", crowded.location_id, since, since + timedelta(days=1), one)
    with listening(crowded.engine) as asked:
        crowded.do(lambda session, call: availability.search(session, call, question, limit=1))
    [(statement, values)] = asked.of("AS visits")
    found = plan(crowded.engine, statement, values)
    by_kind = r"organization_id=\? AND kind=\?" if on_sqlite else r"Index Cond.*kind"
    assert re.search(by_kind, found), found


def test_no_visit_is_looked_at_for_those_of_a_group_that_there_is_not(uncounted: Clinic) -> None:
    """Who falls ill has a day of visits; a database that has not counted would read all there are for each of them."""
    with Session(uncounted.engine) as session, listening(uncounted.engine) as asked:
        assert groups.companions(session, uncounted.call, set(session.scalars(select(Appointment.id)))) == set()
    [(statement, _)] = asked.of("group_id")
    assert "FROM appointments" not in statement, statement


def test_what_repacking_looks_at_is_read_from_an_index(crowded: Clinic) -> None:
    """Two units half busy: a third visit makes the booking number them anew."""
    from scheduler.services import repacking

    with Session(crowded.engine) as session, listening(crowded.engine) as asked:
        nurse = session.scalars(select(Resource.id).where(Resource.kind == "practitioner")).first()
        assert nurse is not None
        start = crowded.at("2030-03-04 08:00")
        repacking.repacked(session, crowded.call, nurse, 2, start, start + timedelta(hours=1), 1)
    [(statement, values)] = asked.of("occupancies.ends_at > ")
    found = plan(crowded.engine, statement, values)
    assert "ix__occupancies__" in found, found
    assert not reads_whole_table(found), found


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
def test_no_unit_goes_to_postgresql_as_a_small_number(crowded: Clinic) -> None:
    """psycopg sends small numbers as smallint, which the guard's index on an integer cannot be asked with."""
    with listening(crowded.engine) as asked:
        book(crowded, crowded.patient(), "infusion", "2030-03-05 10:00")
    written = asked.of("INSERT INTO occupancies")
    assert written
    for statement, _ in written:
        assert re.findall(r"%\(unit\w*\)s(?!::INTEGER)", statement) == []
    overlap = (
        "SELECT 1 FROM occupancies WHERE organization_id = %(o)s AND resource_id = %(r)s AND unit = %(u)s::INTEGER"
        " AND blocking AND tstzrange(starts_at, ends_at, '[)') && tstzrange(%(a)s, %(b)s, '[)')"
    )
    with Session(crowded.engine) as session:
        nurse = session.scalars(select(Resource.id).where(Resource.kind == "practitioner")).first()
    start = crowded.at("2030-03-04 08:00")
    values = {"o": crowded.call.organization_id, "r": nurse, "u": 0, "a": start, "b": start + timedelta(hours=1)}
    cast, bare = (plan(crowded.engine, each, values) for each in (overlap, overlap.replace("::INTEGER", "")))
    assert "unit = 0" in _index_condition(cast), cast
    assert "unit" not in _index_condition(bare), "the trap is gone: casts are no longer needed"


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_the_guard_of_sqlite_looks_at_an_index_and_not_back_for_ever(crowded: Clinic) -> None:
    with crowded.engine.connect() as connection:
        trigger = connection.execute(
            text("SELECT sql FROM sqlite_master WHERE name = 'no_double_booking_insert'")
        ).scalar_one()
    match = re.search(r"EXISTS \((SELECT 1 FROM occupancies AS o .*)\)\s*BEGIN", trigger, flags=re.DOTALL)
    assert match, trigger
    found = plan(crowded.engine, re.sub(r"NEW\.\w+", "1", match[1]), ())
    assert "USING INDEX ix__occupancies__unit" in found or "USING COVERING INDEX" in found, found
    assert "starts_at>" in found, found
