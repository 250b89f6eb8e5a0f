"""No answer but an honest one: whatever can't be read about who is taken is an error, never a free time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask
from sqlalchemy import Engine, select, text
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.models import Resource
from scheduler.services import access, busy
from scheduler.services.locks import bump_calendars
from tests.api.conftest import Person
from tests.clinic import Clinic
from tests.desk import book, open_clinic
from tests.plumbing.clock import Clock

NINE = "2030-03-05 09:00"
#: All that a look at a calendar reads.
TABLES = ("occupancies", "holds", "absences", "extra_hours", "resources", "visit_types")


@contextmanager
def unreadable(engine: Engine, table: str) -> Iterator[None]:
    with engine.begin() as connection:
        connection.execute(text(f"ALTER TABLE {table} RENAME TO {table}_gone"))
    try:
        yield
    finally:
        with engine.begin() as connection:
            connection.execute(text(f"ALTER TABLE {table}_gone RENAME TO {table}"))


@pytest.fixture
def clinic(engine: Engine, clock: Clock) -> Clinic:
    made = open_clinic(engine)
    clock.set(made.call.now)
    made.staff("therapist")
    made.room("consult")
    book(made, made.patient(), "talk", NINE)
    return made


@pytest.fixture
def desk(app: Flask, clinic: Clinic) -> Person:
    def key(session: Session, call: Call) -> str:
        return access.create_key(session, call, name="desk", scopes=["admin"])[1]

    return Person(app, clinic.call.organization_id, clinic.do(key))


def offered(desk: Person, clinic: Clinic, **more: Any) -> Any:
    since = clinic.at("2030-03-05 08:00")
    query = {
        "visit_type": "talk",
        "location_id": clinic.location_id,
        "from": since.isoformat(),
        "to": (since + timedelta(hours=3)).isoformat(),
        "step": 60,
        **more,
    }
    return desk.get(f"/v1/availability?{urlencode(query)}")


def explained(desk: Person, clinic: Clinic) -> Any:
    query = {"visit_type": "talk", "location_id": clinic.location_id, "start": clinic.at(NINE).isoformat()}
    return desk.get(f"/v1/availability/explain?{urlencode(query)}")


def test_what_cannot_be_read_is_never_free(engine: Engine, desk: Person, clinic: Clinic) -> None:
    patient = clinic.patient()
    body = {"visit_type": "talk", "location_id": str(clinic.location_id), "start": clinic.at(NINE).isoformat()}
    for table in TABLES:
        clinic.do(_change_every_calendar)  # what is remembered and still true may be said
        with unreadable(engine, table):
            answers = [
                offered(desk, clinic),
                offered(desk, clinic, patient_id=patient),
                explained(desk, clinic),
                desk.post("/v1/appointments", json=body | {"patient_id": str(patient)}),
                desk.post("/v1/holds", json=body),
            ]
        for answer in answers:
            assert answer.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR, (table, answer.get_data(as_text=True))
            assert not {"items", "bookable", "reasons"} & answer.json.keys()
        # Nothing of it was remembered, and nothing was written.
        assert len(offered(desk, clinic).json["items"]) == 2
        assert explained(desk, clinic).json["bookable"] is False


def _change_every_calendar(session: Session, call: Call) -> None:
    bump_calendars(session, call, session.scalars(select(Resource.id)).all())


def test_an_answer_that_is_torn_off_is_an_error(desk: Person, clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that dies half way: what came before is neither shown nor remembered."""
    real = busy.lines

    def torn(*asked: Any) -> Iterator[Any]:
        yield from list(real(*asked))[:1]
        raise ConnectionError

    with monkeypatch.context() as patch:
        patch.setattr(busy, "lines", torn)
        assert offered(desk, clinic).status_code >= HTTPStatus.INTERNAL_SERVER_ERROR
        assert explained(desk, clinic).status_code >= HTTPStatus.INTERNAL_SERVER_ERROR
    assert len(offered(desk, clinic).json["items"]) == 2
