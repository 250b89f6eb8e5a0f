"""How many statements a look sends whatever is asked for with it: a hold, a group, names, the session of a course."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from scheduler.models import CourseSession, Resource
from scheduler.services import holds
from tests.clinic import need, segment, visit_type
from tests.coursework import DOSE, approve, course, protocol
from tests.desk import wanted
from tests.services.test_statements import MOST, House

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from flask import Flask
    from flask.testing import FlaskClient
    from sqlalchemy import Engine

    from tests.plumbing.clock import Clock

CIRCLE = visit_type("circle", segment("circle", 60, need("role:therapist")), kind="group", group={"maximum": 4})
EVALUATION = visit_type(
    "evaluation", segment("talk", 30, need("role:prescriber"), need("room:consult")), kind="evaluation"
)

CIRCLES = {
    "code": "circles",
    "name": "Circles",
    "phases": [{"key": "circles", "steps": [{"key": "circle", "visit_type": "circle"}]}],
}


@pytest.fixture
def moment(clock: Clock) -> Clock:
    clock.set(clock.now - timedelta(days=3))
    return clock


def one(house: House, kind: str) -> UUID | None:
    with Session(house.engine) as session:
        mine = Resource.organization_id == house.clinic.call.organization_id, Resource.kind == kind
        return session.scalars(select(Resource.id).where(*mine).order_by(Resource.id)).first()


def held(house: House) -> UUID:
    asked = wanted(house.clinic, house.patient, "talk", "2030-03-07 10:00")
    return house.clinic.do(lambda s, c: holds.create(s, c, asked).id)


def first_session(house: House) -> UUID | None:
    approve(house.clinic, protocol())
    return first_of(house, course(house.clinic, house.patient).id)


def first_of(house: House, course_id: UUID) -> UUID | None:
    with Session(house.engine) as session:
        first = select(CourseSession.id).where(CourseSession.course_id == course_id).order_by(CourseSession.position)
        return session.scalars(first).first()


def everything(house: House) -> dict[str, Any]:
    """All at once: the circle is a session of a course."""
    approve(house.clinic, CIRCLES)
    key = first_of(house, course(house.clinic, house.patient, "circles").id)
    return {"course_session_id": key, "hold_id": held(house), "exclude_appointment": house.dose.id, "by": "patient"}


#: What to ask for, and what besides.
FORMS: dict[str, tuple[str, Callable[[House], dict[str, Any]]]] = {
    "practitioner": ("infusion", lambda house: {"practitioner_id": one(house, "practitioner")}),
    "room": ("infusion", lambda house: {"room_id": one(house, "room")}),
    "hold": ("talk", lambda house: {"hold_id": held(house)}),
    "group": ("circle", lambda _: {}),
    "session": ("evaluation", lambda house: {"course_session_id": first_session(house)}),
    "session and hold": (
        "evaluation",
        lambda house: {"course_session_id": first_session(house), "hold_id": held(house)},
    ),
    "everything": ("circle", everything),
}
#: One hour of one weekday: few offers, so that the whole span is looked through.
SELDOM = {"weekdays": "thu", "earliest": "09:00", "latest": "10:00"}


@pytest.mark.parametrize("form", FORMS)
def test_what_is_asked_for_costs_no_statement_more_in_any_clinic(
    engine: Engine, app: Flask, client: FlaskClient, moment: Clock, form: str
) -> None:
    kind, besides = FORMS[form]
    counts = []
    for size in (1, 3):
        house = House(engine, app, client, size)
        for document in (CIRCLE, EVALUATION, DOSE):
            house.clinic.visit(document)
        more = besides(house)
        near = house.ask(kind, 3, **more)
        # Nothing has changed since; but what a visit takes that is left out is read each time.
        assert house.ask(kind, 3, **more) == near - ("exclude_appointment" not in more)
        counts.append((near, house.ask(kind, 30, **SELDOM, **more), house.explain(kind, **more)))
    assert counts == [(MOST - 1, MOST, MOST)] * 2 if kind == "circle" else [(MOST - 1, MOST, MOST - 1)] * 2
