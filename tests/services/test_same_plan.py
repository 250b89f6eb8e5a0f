"""The same calendars and the same course give the same plans, in whatever process and in whatever order it hashes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from uuid import UUID

import pytest
from sqlalchemy import Engine, create_engine
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.errors import NoFeasiblePlan
from scheduler.database import engine_options
from scheduler.services import planning
from tests.coursework import approve, course, open_course_clinic, protocol


@pytest.mark.slow
def test_two_processes_with_other_hashes_plan_and_explain_alike(engine: Engine, database_url: str) -> None:
    clinic = open_course_clinic(engine)
    for role in ("nurse", "prescriber", "therapist"):  # so that there is somebody to choose from
        clinic.staff(role)
        clinic.staff(role)
    approve(clinic, protocol())
    possible, not_possible = course(clinic), course(clinic, weekdays=["mon"], latest="09:00")
    asked = [str(clinic.call.organization_id), clinic.call.now.isoformat(), str(possible.id), str(not_possible.id)]
    told = [
        subprocess.run(
            [sys.executable, "-m", "tests.services.test_same_plan", database_url, *asked],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert told[0] == told[1]
    plans, refusal = json.loads(told[0])
    assert len(plans) > 1
    assert refusal["blocking"]
    assert refusal["relaxations"]


def main(url: str, organization: str, now: str, *courses: str) -> None:
    """What one process says of both courses."""
    engine = create_engine(url, **engine_options(url))
    call = Call(datetime.fromisoformat(now).astimezone(UTC), UUID(organization), "test")
    with Session(engine) as session:
        _, found = planning.make_plans(session, call, UUID(courses[0]), count=3)
        plans = [
            [
                each.plan.cost,
                *[[str(s.session_id), s.start.isoformat(), [str(t) for t in s.takings]] for s in each.sessions],
            ]
            for each in found
        ]
        try:
            planning.make_plans(session, call, UUID(courses[1]))
            said = {}
        except NoFeasiblePlan as refusal:
            said = {"detail": refusal.detail, "blocking": refusal.blocking, "relaxations": refusal.relaxations}
    engine.dispose()
    sys.stdout.write(json.dumps([plans, said], default=str))


if __name__ == "__main__":
    main(*sys.argv[1:])
