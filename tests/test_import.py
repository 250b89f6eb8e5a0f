"""`python -m scheduler import`: everything or nothing, each fault by its line, and twice is once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from scheduler.cli import main
from scheduler.core.call import Call
from scheduler.database import snapshot
from scheduler.models import Appointment, Message, Patient
from scheduler.services.doctor import examine
from tests.race.arena import Arena

Bring = Callable[..., Result]

PATIENTS = """external_id,name,birth_date,locale,email,phone
17,Ada Example,1980-02-03,en,ada@example.org,+12025550117
18,"Example, Bo",,,,
"""


@pytest.fixture
def arena(engine: Engine) -> Arena:
    return Arena(engine, patients=1)


@pytest.fixture
def bring(engine: Engine, tmp_path: Path) -> Bring:
    """Run the import on these two texts."""

    def invoke(patients: str, visits: str, *more: str) -> Result:
        files = tmp_path / "patients.csv", tmp_path / "visits.csv"
        for file, text in zip(files, (patients, visits), strict=True):
            file.write_text(text, encoding="utf-8")
        command = ["import", "--patients", str(files[0]), "--appointments", str(files[1]), *more]
        return CliRunner().invoke(
            main, command, env={"SCHEDULER_DATABASE_URL": engine.url.render_as_string(hide_password=False)}
        )

    return invoke


def visits(arena: Arena, *lines: str) -> str:
    day = arena.monday.isoformat()
    return "\n".join(["patient,visit_type,location,start", *(line.replace("DAY", day) for line in lines), ""])


def numbers(engine: Engine) -> tuple[int, int]:
    with Session(engine) as session:
        tables = [select(func.count()).select_from(table) for table in (Patient, Appointment)]
        first, second = (session.scalar(each) or 0 for each in tables)
        return first, second


def test_all_is_brought_once(arena: Arena, engine: Engine, bring: Bring) -> None:
    standing = visits(arena, "17,talk,Main,DAYT10:00", f"18,talk,{arena.clinic.location_id},DAYT10:00")
    tried = bring(PATIENTS, standing, "--dry-run")
    assert (tried.exit_code, numbers(engine)) == (0, (1, 0)), tried.output
    done = bring("\ufeff" + PATIENTS, standing)
    assert (done.exit_code, numbers(engine)) == (0, (3, 2)), done.output
    assert done.output == "2 patients made, 0 were known; 2 visits booked, 0 stood already.\n"
    again = bring(PATIENTS, standing)
    assert (again.exit_code, numbers(engine)) == (0, (3, 2)), again.output
    assert again.output == "0 patients made, 2 were known; 0 visits booked, 2 stood already.\n"
    with Session(engine) as session, snapshot(session):
        call = Call(datetime.now(UTC), arena.clinic.call.organization_id, "test")
        assert [found for found in examine(session, call) if found.count] == []
        owed = set(session.scalars(select(Message.kind)))
    assert {"remind_24h", "booked"} & owed == {"remind_24h"}, "they are reminded of what they know"


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_one_fault_is_enough_and_all_are_named(arena: Arena, engine: Engine, bring: Bring) -> None:
    patients = PATIENTS + "17,Twice,,,,\n19,,,,,\n20,Cy,1980-13-40,,,\n21,Di,,,,0\n22,E,,,,,,\n"
    standing = visits(
        arena,
        "17,talk,Main,DAYT10:00",
        "99,talk,Main,DAYT10:00",
        "18,talk,Nowhere,DAYT10:00",
        "18,dance,Main,DAYT10:00",
        "18,talk,Main,tomorrow",
        "18,talk,Main,DAYT03:00",
    )
    done = bring(patients, standing)
    said = done.output.removeprefix("Error: ").splitlines()
    assert (done.exit_code, numbers(engine)) == (1, (1, 0)), done.output
    assert sorted({line.split(":")[0] for line in said}) == sorted(
        [f"patients.csv line {number}" for number in (4, 5, 6, 7, 8)]
        + [f"visits.csv line {number}" for number in range(3, 8)]
    ), done.output
    assert "no column start" in bring(PATIENTS, "patient,visit_type,location\n").output
    assert "no CSV in UTF-8" in bring('external_id,name\n1,"x\n', visits(arena)).output
    assert numbers(engine) == (1, 0)
