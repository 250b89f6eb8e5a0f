"""A worker process that dies in the middle of a job: another one finishes it, and what it writes is there once."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from scheduler import wall_clock
from scheduler.models import Job, StoredPlan
from scheduler.services import courses, plan_batches
from scheduler.services.course_wishes import WantedCourse
from tests.coursework import approve, open_course_clinic, protocol
from tests.worker.crew import Crew, until

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Engine

    from tests.clinic import Clinic


@pytest.mark.slow
@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
def test_a_batch_whose_worker_is_killed_is_finished_once_by_another(
    engine: Engine, database_url: str, tmp_path: Path
) -> None:
    clinic = open_course_clinic(engine)
    approve(clinic, protocol(4))
    soon = wall_clock().date() + timedelta(days=7)

    def ask() -> UUID:
        ids = []
        for _ in range(10):  # who want the same hours, so that the search goes on for as long as it may
            wanted = WantedCourse(clinic.patient(), "trial", clinic.location_id, soon, {})
            ids.append(clinic.do(lambda s, c, it=wanted: courses.create(s, c, it).id, now=wall_clock()))
        asked = {"through": "all", "seconds": 3, "seed": 1, "rounds": 10_000}
        return clinic.do(lambda s, c: plan_batches.ask(s, c, ids, **asked).id, now=wall_clock())

    job_id, seen = ask(), [0]

    def progress() -> int:
        seen.append(job(clinic, job_id).progress)
        return seen[-1]

    with Crew(database_url, "http://127.0.0.1:9", tmp_path, {"SCHEDULER_WORKER_LEASE_SECONDS": "5"}) as crew:
        crew.hire()
        until(lambda: progress() > 0, crew)
        [hand] = crew.hands
        hand.kill()
        hand.join()
        crew.hands.clear()
        half = job(clinic, job_id)
        assert (half.status, half.attempts, half.result) == ("running", 1, None), "it was in the middle"
        assert kept(clinic) == 0
        crew.hire()
        until(lambda: progress() == 1000, crew)
        assert crew.dismiss() == [0]
    done = job(clinic, job_id)
    assert (done.status, done.attempts) == ("done", 2)
    assert seen == sorted(seen), "what was said of it is never taken back"
    assert done.result is not None
    tokens = [each["plan_token"] for each in done.result["courses"] if each["plan_token"]]
    assert len(set(tokens)) == done.result["placed"] == kept(clinic) > 0


def job(clinic: Clinic, job_id: UUID) -> Job:
    with Session(clinic.engine, expire_on_commit=False) as session:
        return session.get_one(Job, (clinic.call.organization_id, job_id))


def kept(clinic: Clinic) -> int:
    """How many plans are stored."""
    with Session(clinic.engine) as session:
        return session.scalars(select(func.count()).select_from(StoredPlan)).one()
