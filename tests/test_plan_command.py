"""`python -m scheduler plan`: a course planned, booked and drawn in the terminal; several planned together."""

from __future__ import annotations

import io
import re
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from click.testing import CliRunner, Result
from rich.console import Console
from sqlalchemy import Engine

from scheduler import terminal, wall_clock
from scheduler.cli import main
from scheduler.cli.planning import verdict
from scheduler.core.timeline import Bar, Gate, Mark, Timeline
from scheduler.services import courses, jobs, plans, replanning
from scheduler.services.course_changes import Change
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
    assert shown.output.count(", planned") == 5, "the best plan is drawn, with what stands"
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


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_a_terminal_without_the_signs_shows_the_rest(engine: Engine, database_url: str) -> None:
    """The plan was booked, and the command failed for want of a circle."""
    clinic = open_course_clinic(engine)
    approve(clinic, protocol(2))
    told = {"SCHEDULER_DATABASE_URL": database_url, "COLUMNS": "120"}
    shown = CliRunner(charset="ascii").invoke(main, ["plan", str(wanted(clinic))], env=told)
    assert shown.exit_code == 0, shown.output
    assert "? window" in shown.output


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_a_plan_for_all_is_booked_as_one_and_a_re_plan_by_the_same_option(engine: Engine, database_url: str) -> None:
    """What was asked for is kept with the plan, and whatever kind of plan it is, `--book` carries it out."""
    clinic = open_course_clinic(engine)
    approve(clinic, protocol(2, gate=1))
    course_id = wanted(clinic)
    told = {"SCHEDULER_DATABASE_URL": database_url, "COLUMNS": "120"}

    def run(*options: str) -> Result:
        return CliRunner().invoke(main, ["plan", str(course_id), *options], env=told)

    shown = run("--through", "all")
    token = re.search(r"--book (\S+)", shown.output)
    assert token is not None, shown.output
    kept = clinic.do(lambda s, c: plans.body_of(s, c, course_id, token[1]), now=wall_clock())
    assert kept["through"] == "all"
    assert run("--book", token[1]).output.count(", pencilled") == 2, "what is behind the gate"
    first = clinic.do(lambda s, c: courses.get(s, c, course_id)).sessions[0].id
    visit = clinic.do(lambda s, c: courses.get(s, c, course_id)).booked[first]
    changes = [Change(visit.id, "cancel")]
    anew = clinic.do(lambda s, c: replanning.propose(s, c, course_id, changes, minutes=30), now=wall_clock())
    booked = run("--book", anew.token)
    assert booked.exit_code == 0, booked.output
    assert "; cancelled" in booked.output
    assert clinic.do(lambda s, c: courses.get(s, c, course_id)).booked[first].id != visit.id


def test_a_line_a_session_on_a_terminal_of_eighty_columns() -> None:
    """The days take what the words leave of a line: no name is broken, and none cut short."""
    day = date(2030, 3, 4)
    names = ("evaluation", "induction dose 1", "integration 1", "continuation dose 1")
    bars = [
        Bar(place, name, "continuation", "other", day, day, day, Mark(datetime.combine(day, time(9)), "pencilled"))
        for place, name in enumerate(names, 9)
    ]
    gate = Gate(4, "continuation review", hard=True, outcome="pending")
    shown = io.StringIO()
    console = Console(file=shown, width=80)
    terminal.show_timeline(console, Timeline("A course", "UTC", day, tuple(bars), (gate,)))
    lines = [line.split("  ")[0].strip() for line in shown.getvalue().splitlines()]
    labels = [f"{place}. {name}" for place, name in enumerate(names, 9)]
    assert [line for line in lines if line in labels] == labels, "each on one line"
    assert {"continuation", "gate: continuation review"} <= set(lines)
    assert "…" not in shown.getvalue()


@pytest.mark.parametrize(
    ("between", "said"),
    [
        (2, "8 of 12 courses have a place."),
        (3, "8 of 12 courses have a place; on the quarters of the hour at most 6 could."),
    ],
)
def test_never_fewer_could_have_a_place_than_have_one(between: int, said: str) -> None:
    """What cannot be improved on is known of the quarters of the hour alone, and some stand between them."""
    assert verdict({"placed": 8, "between_quarters": between, "bound": {"unplaced": 6}}, 12) == said


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_the_bar_shows_how_far_a_job_is(engine: Engine) -> None:
    clinic, shown = Clinic(engine), io.StringIO()
    job_id = clinic.do(lambda s, c: jobs.ask(s, c, "plan_batch", {}, 30).id)
    lease = timedelta(seconds=60)
    held = clinic.do(lambda s, c: jobs.claim(s, c, lease=lease, token=uuid4()))
    assert held is not None
    turns = iter([(0.25, "one by one"), (0.6, "improving"), None])

    def look() -> dict[str, Any]:
        turn = next(turns)
        if turn is None:
            clinic.do(lambda s, c: jobs.finish(s, c, held, {"placed": 2}))
        else:
            clinic.do(lambda s, c: jobs.report(s, c, held, *turn, lease))
        row = clinic.do(lambda s, c: jobs.get(s, c, job_id))
        return {"status": row.status, "progress": row.progress / 1000, "step": row.step, "result": row.result}

    console = Console(file=shown, force_terminal=True, width=100)
    assert terminal.watch(console, look)["result"] == {"placed": 2}
    said = shown.getvalue()
    places = [said.index(word) for word in (" 25 %", "one by one", " 60 %", "improving", "100 %", "done")]
    assert places == sorted(places), "in the order in which it came"


def wanted(clinic: Clinic) -> UUID:
    soon = wall_clock().date() + timedelta(days=7)
    asked = WantedCourse(clinic.patient(), "trial", clinic.location_id, soon, {})
    return clinic.do(lambda s, c: courses.create(s, c, asked).id, now=wall_clock())
