"""Statements that go straight to the driver: the same rows, transaction, errors and listeners as any other's."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from sqlalchemy import Engine, Table, bindparam, event, func, insert, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Session

from scheduler.models import AuditEvent, Organization, new_id
from scheduler.services.ready import Ready

_TABLE = cast("Table", AuditEvent.__table__)
_INSERT = insert(_TABLE)
_ADD = Ready(_INSERT.values({each.name: bindparam(each.name, type_=each.type) for each in _TABLE.c}))
_SINCE = select(_TABLE).where(_TABLE.c.at >= bindparam("since", type_=_TABLE.c.at.type)).order_by(_TABLE.c.id)
_LISTED = Ready(_SINCE)
NOW = datetime(2030, 3, 4, 12, tzinfo=UTC)


@pytest.fixture
def row(engine: Engine) -> dict[str, Any]:
    """An event of an organization that is there, with every kind of value: ids, times, documents, texts and nulls."""
    organization_id = new_id()
    with Session(engine) as session:
        session.add(Organization(id=organization_id, name="Harbor", sender_name="Harbor", created_at=NOW))
        session.commit()
    values = dict.fromkeys(each.name for each in _TABLE.c)
    return values | {
        "organization_id": organization_id, "id": new_id(), "at": NOW, "actor": "Ümit", "request_id": "",
        "action": "visit.book", "subject_type": "visit", "subject_id": new_id(), "after": {"pins": [1, None]},
    }  # fmt: skip


def test_it_writes_and_reads_what_any_statement_would(engine: Engine, row: dict[str, Any]) -> None:
    with Session(engine) as session:
        assert list(_ADD.rows(session, row)) == []
        session.execute(_INSERT, row | {"id": new_id(), "before": {"a": 1}})
        plain = session.execute(_SINCE, {"since": NOW}).all()
        found = _LISTED.rows(session, {"since": NOW})
        assert [tuple(each) for each in found] == [tuple(each) for each in plain]
        assert pickle.dumps(found[0].id) == pickle.dumps(plain[0].id)
        assert {name: getattr(found[0], name) for name in row} == row
        session.rollback()
        assert list(_LISTED.rows(session, {"since": NOW})) == []


@pytest.mark.parametrize("count", [0, 1, 40])
def test_few_rows_and_many_are_read_alike(engine: Engine, row: dict[str, Any], count: int) -> None:
    with Session(engine) as session:
        for number in range(count):
            before = {"n": number} if number % 2 else None
            _ADD.rows(session, row | {"id": new_id(), "before": before, "request_id": str(number)})
        plain = [tuple(each) for each in session.execute(_SINCE, {"since": NOW})]
        assert [tuple(each) for each in _LISTED.rows(session, {"since": NOW})] == plain
        assert [each.request_id for each in _LISTED.rows(session, {"since": NOW})] == [str(n) for n in range(count)]
        assert list(Ready(_SINCE, into=lambda *values: values).rows(session, {"since": NOW})) == plain


@pytest.mark.parametrize("after", [None, [], {}, "7", "", "null"], ids=repr)
def test_any_document_comes_back_as_it_went(engine: Engine, row: dict[str, Any], after: Any) -> None:
    with Session(engine) as session:
        _ADD.rows(session, row | {"after": after})
        (ours,), (theirs,) = _LISTED.rows(session, {"since": NOW}), session.execute(_SINCE, {"since": NOW})
        assert (ours.after, type(ours.after)) == (theirs.after, type(theirs.after)) == (after, type(after))


def test_an_error_is_as_any_statement_would_say_it(engine: Engine, row: dict[str, Any]) -> None:
    with Session(engine) as session:
        _ADD.rows(session, row)
        with pytest.raises(IntegrityError) as caught:
            _ADD.rows(session, row)
        assert "pk__audit_events" in str(caught.value.orig) or "audit_events.id" in str(caught.value.orig)
        assert "Ümit" not in str(caught.value)
        session.rollback()
        _ADD.rows(session, row)  # its cursor can be used again


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
def test_a_connection_that_breaks_is_given_up(engine: Engine) -> None:
    backend = Ready(select(func.pg_backend_pid().label("pid")))
    with Session(engine) as session:
        gone = session.execute(text("SELECT pg_backend_pid()")).scalar_one()
        with engine.connect() as other:
            other.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": gone})
        with pytest.raises(DBAPIError) as caught:
            backend.rows(session, {})
        assert caught.value.connection_invalidated
        session.rollback()
        assert session.execute(text("SELECT pg_backend_pid()")).scalar_one() != gone


def test_who_listens_to_statements_hears_of_it(engine: Engine, row: dict[str, Any]) -> None:
    heard: list[tuple[str, Any]] = []

    def hear(_c: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        heard.append((statement, values))

    with Session(engine) as session:
        event.listen(engine, "before_cursor_execute", hear)
        _ADD.rows(session, row)
        event.remove(engine, "before_cursor_execute", hear)
        _LISTED.rows(session, {"since": NOW})
    [(statement, values)] = [each for each in heard if not each[0].startswith("BEGIN")]
    assert statement.startswith("INSERT INTO audit_events")
    assert len(values) == len(_TABLE.c)


_LISTING = select(_TABLE.c.id).where(_TABLE.c.id.in_(bindparam("ids", expanding=True)))


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
def test_a_text_that_hangs_on_its_parameters_is_refused(engine: Engine) -> None:
    with Session(engine) as session, pytest.raises(TypeError, match="hangs on its parameters"):
        Ready(_LISTING).rows(session, {"ids": [new_id()]})


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_sqlite_has_such_a_text_made_each_time(engine: Engine, row: dict[str, Any]) -> None:
    listed = Ready(_LISTING)
    with Session(engine) as session:
        _ADD.rows(session, row)
        found = [listed.rows(session, {"ids": [row["id"], *(new_id() for _ in range(more))]}) for more in (0, 2)]
    assert [[one.id for one in each] for each in found] == [[row["id"]]] * 2
