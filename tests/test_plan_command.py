"""`python -m scheduler plan`: a course planned, booked and drawn in the terminal; several planned together."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine

from scheduler import wall_clock
from scheduler.cli import main
from scheduler.services import courses
from scheduler.services.course_wishes import WantedCourse
from tests.clinic import Clinic
from tests.coursework import approve, open_course_clinic, protocol


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_a_course_is_planned_booked_and_drawn(engine: Engine, database_url: str) -> None:
    clinic = open_course_clinic(engine)
    approve(clinic, protocol(2, gate=2))
    ids = [str(wanted(clinic)) for _ in range(3)]

    def run(*command: str) -> Result:
        told = {"SCHEDULER_DATABASE_URL": database_url, "COLUMNS": "120"}
        return CliRunner().invoke(main, ["plan", *command], env=told)

    shown = run(ids[0], "--alternatives", "2")
    assert shown.exit_code == 0, shown.output
    assert "plan 1 (best)" in shown.output
    assert "░ window" in shown.output
    token = re.search(r"--book (\S+)", shown.output)
    assert token is not None
    booked = run(ids[0], "--book", token[1])
    assert booked.exit_code == 0, booked.output
    assert booked.output.count(", booked") == 5
    lines = [line.strip() for line in booked.output.splitlines()]
    assert {"evaluation", "induction"} <= set(lines), "its phases"
    assert "gate: review" in booked.output, "which stands behind the last dose"
    again = run(ids[0], "--book", token[1])
    assert (again.exit_code, again.stderr) == (1, "Error: This plan has expired or was booked already.\n")
    together = run(*ids[1:], "--seconds", "60")
    assert together.exit_code == 0, together.output
    assert "done: 2 of 2 courses have a place." in together.output


def wanted(clinic: Clinic) -> object:
    soon = wall_clock().date() + timedelta(days=7)
    asked = WantedCourse(clinic.patient(), "trial", clinic.location_id, soon, {})
    return clinic.do(lambda s, c: courses.create(s, c, asked).id, now=wall_clock())
