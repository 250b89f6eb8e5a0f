"""What planning and booking a course asks the database: whether an index can answer, however many visits are stored."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine.interfaces import CacheStats
from sqlalchemy.orm import Session

from scheduler.database import engine_options, look
from scheduler.models import Appointment
from scheduler.services import booking, course_rules, gates, impact, lost_sessions, planning, ready
from scheduler.services.rehearsal import rehearse
from tests.clinic import Clinic
from tests.coursework import accept, approve, course, offer, open_course_clinic, protocol
from tests.services.test_statements import Asked, listening, plan

#: So many times every visit of a course is stored once more, cancelled and in none.
COPIES = 200
#: A table of visits read from end to end. To read the visits of a course, or of a patient, is another matter.
WHOLE = re.compile(r"Seq Scan on appointments|SCAN appointments\b")
#: On SQLite, an index of which nothing but the organization is used.
ALL_OF_IT = re.compile(r"SEARCH appointments[^\n]*\(organization_id=\?\)")


@pytest.fixture
def clinic(engine: Engine) -> Clinic:
    """One with a course that is booked, and many visits besides."""
    found = open_course_clinic(engine)
    approve(found, protocol(gate=2))
    known = course(found)
    accept(found, known.id, offer(found, known.id)[0].token)
    with engine.begin() as connection:
        fresh = "lower(hex(randomblob(16)))" if engine.dialect.name == "sqlite" else "gen_random_uuid()"
        given = {"id": fresh, "status": "'cancelled'", "course_id": "NULL", "course_session_id": "NULL"}
        names = [column.name for column in Appointment.__table__.columns]
        copied = ", ".join(given.get(name, f"a.{name}") for name in names)
        numbers = f"WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {COPIES})"
        connection.execute(
            text(f"{numbers} INSERT INTO appointments ({', '.join(names)}) SELECT {copied} FROM appointments a, n")
        )
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))
    return found


def read_whole(clinic: Clinic, asked: Asked) -> Iterator[str]:
    for statement, values in asked.statements:
        if statement.lstrip().startswith(("SELECT", "WITH")):
            found = plan(clinic.engine, statement, values)
            if WHOLE.search(found) or ALL_OF_IT.search(found):
                yield f"{statement}\n{found}"


def test_a_course_is_planned_and_booked_from_indexes(clinic: Clinic) -> None:
    with listening(clinic.engine) as asked:
        made = course(clinic)
        accept(clinic, made.id, offer(clinic, made.id)[0].token)
    assert not list(read_whole(clinic, asked))


def test_what_stands_of_a_course_is_read_from_indexes(clinic: Clinic) -> None:
    made = course(clinic)
    with listening(clinic.engine) as asked:
        clinic.do(lambda s, c: course_rules.serving(s, c, made.id))
        clinic.do(lambda s, c: course_rules.standing(s, c, made.id))
        clinic.do(lambda s, c: impact.of_sessions(s, c, made.id, [1]))
        clinic.do(gates.chase)
    assert asked.of("FROM gates")
    assert not list(read_whole(clinic, asked))


def test_what_a_course_has_lost_is_found_from_indexes(clinic: Clinic) -> None:
    """By the time of what is ahead, and then by the course."""
    made = course(clinic)
    booked = accept(clinic, made.id, offer(clinic, made.id)[0].token)
    dose = next(each for each in booked if each.row.visit_type == "dose")
    clinic.do(lambda s, c: booking.cancel(s, c, dose.id, reason="x", by="patient"))
    with listening(clinic.engine) as asked:
        clinic.do(lost_sessions.chase)
    assert asked.of("INSERT INTO tasks")
    assert not list(read_whole(clinic, asked))


def test_the_first_plan_waits_for_no_statement_to_be_written(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    made, written = course(clinic), []
    url = clinic.engine.url.render_as_string(hide_password=False)
    engine = create_engine(url, **engine_options(url))

    def note(_c: Connection, _cursor: Any, statement: str, _values: Any, context: Any, _many: bool) -> None:  # noqa: FBT001 - SQLAlchemy's order
        if context is not None and context.cache_hit is CacheStats.CACHE_MISS:
            written.append(statement)

    with Session(engine) as session:
        look(session)
        rehearse(session, clinic.call.now)
        monkeypatch.setattr(ready, "_Told", lambda statement, _dialect: written.append(str(statement)))
        event.listen(engine, "before_cursor_execute", note)
        _, found = planning.make_plans(session, clinic.call, made.id)
    engine.dispose()
    assert found
    assert not written
