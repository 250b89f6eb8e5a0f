"""What a plan that has become stale is answered with costs: as many statements for a long course as for a short one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from scheduler.database import db
from scheduler.services import access, booking
from scheduler.services.finding import Wanted
from tests.api.problem import assert_problem
from tests.clinic import Clinic
from tests.coursework import approve, course, offer, open_course_clinic, protocol
from tests.services.test_statements import listening

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient
    from sqlalchemy import Engine

    from tests.plumbing.clock import Clock

#: Authentication included; until the plan is known to be stale, with what locks and lets go, and to make a fresh one,
#: for which PostgreSQL is told first that it may take its time.
MOST = {"postgresql": 17 + 12, "sqlite": 12 + 11}


def stale(clinic: Clinic, doses: int, app: Flask, client: FlaskClient, token: str) -> list[str]:
    """The statements of the answer to a plan whose first visit somebody else has taken meanwhile."""
    document = protocol(doses) | {"code": f"trial-{doses}"}
    approve(clinic, document)
    made = course(clinic, code=f"trial-{doses}")
    offered = offer(clinic, made.id)[0]
    first = offered.plan.sessions[0]
    taken = Wanted(clinic.patient(), first.spec.visit_type, clinic.location_id, first.start)
    clinic.do(lambda s, c: booking.book(s, c, taken))
    with app.app_context():
        engine = db.engine
    with listening(engine) as asked:
        answer = client.post(
            f"/v1/courses/{made.id}/bookings",
            json={"plan_token": offered.token},
            headers={"Authorization": f"Bearer {token}"},
        )
    assert assert_problem(answer, 409, "plan_stale")["plan"], "and there is a fresh one"
    return [statement for statement, _ in asked.statements]


def test_a_stale_plan_is_answered_at_a_constant_cost(
    engine: Engine, app: Flask, client: FlaskClient, clock: Clock
) -> None:
    clock.set(datetime(2030, 3, 1, 12, tzinfo=UTC))
    clinic = open_course_clinic(engine)
    token = clinic.do(lambda s, c: access.create_key(s, c, name="desk", scopes=["admin"])[1])
    counts = [len(stale(clinic, doses, app, client, token)) for doses in (2, 4)]
    assert counts == [MOST[engine.dialect.name]] * 2
