"""Jobs in a worker's hands: moved forward, cancelled, taken over when their worker dies, given back when it stops."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.errors import IllegalTransition, NotFound
from scheduler.models import Job, Location
from scheduler.services import job_kinds, jobs
from scheduler.worker import Ticker, Worker
from tests.clinic import Clinic
from tests.plumbing.clock import Clock
from tests.worker.crew import until


@dataclass
class Drill:
    """Work of four steps that renames the clinic; `meanwhile` happens at each step."""

    meanwhile: Callable[[int], None] = lambda _: None
    thought: list[int] = field(default_factory=list)

    def steps(self) -> Iterator[tuple[float, str]]:
        for place in range(4):
            self.thought.append(place)
            self.meanwhile(place)
            yield place / 4, "drilling"

    def write(self, session: Session, call: Call) -> Mapping[str, Any]:
        for location in session.query(Location).where(Location.organization_id == call.organization_id):
            location.name = "Drilled"
        return {"steps": len(self.thought), "for": call.actor}


@pytest.fixture
def clinic(engine: Engine) -> Clinic:
    return Clinic(engine)


@pytest.fixture
def clock(clinic: Clinic) -> Clock:
    return Clock(clinic.call.now)


@pytest.fixture
def drill(monkeypatch: pytest.MonkeyPatch) -> Drill:
    drill = Drill()
    monkeypatch.setitem(job_kinds.KINDS, "drill", lambda *_: drill)
    monkeypatch.setattr("scheduler.worker.jobs.REPORTED_EVERY", 0)
    return drill


@pytest.fixture
def hire(clinic: Clinic, clock: Clock) -> Iterator[Callable[[], Worker]]:
    hired: list[Worker] = []

    def make() -> Worker:
        hired.append(Worker(lambda: Session(clinic.engine), {}, clock=clock))
        return hired[-1]

    yield make
    for worker in hired:
        worker.close()


def asked(clinic: Clinic) -> UUID:
    return clinic.do(lambda s, c: jobs.ask(s, c, "drill", {"deep": True}, 60).id)


def job(clinic: Clinic, job_id: UUID) -> Job:
    with Session(clinic.engine, expire_on_commit=False) as session:
        return session.get_one(Job, (clinic.call.organization_id, job_id))


def name_of(clinic: Clinic) -> str:
    with Session(clinic.engine) as session:
        return session.get_one(Location, (clinic.call.organization_id, clinic.location_id)).name


def test_a_job_is_carried_out_once_and_keeps_its_result(
    clinic: Clinic, hire: Callable[[], Worker], drill: Drill
) -> None:
    job_id = asked(clinic)
    seen: list[tuple[str, int]] = []
    drill.meanwhile = lambda _: seen.append((job(clinic, job_id).status, job(clinic, job_id).progress))
    assert (hire().jobs.run_due(), hire().jobs.run_due()) == (1, 0)
    done = job(clinic, job_id)
    assert (done.status, done.progress, done.step, done.attempts) == ("done", 1000, "done", 1)
    assert done.result == {"steps": 4, "for": "test"}
    assert [status for status, _ in seen] == ["running"] * 4
    assert [progress for _, progress in seen] == sorted(progress for _, progress in seen)
    assert seen[-1][1] >= 500
    assert name_of(clinic) == "Drilled"


def test_a_cancelled_job_stops_and_writes_nothing(clinic: Clinic, hire: Callable[[], Worker], drill: Drill) -> None:
    job_id = asked(clinic)

    def cancel(place: int) -> None:
        if place == 1:
            clinic.do(lambda s, c: jobs.cancel(s, c, job_id))

    drill.meanwhile = cancel
    hire().jobs.run_due()
    assert (job(clinic, job_id).status, drill.thought, name_of(clinic)) == ("cancelled", [0, 1], "Main")
    with pytest.raises(IllegalTransition):
        clinic.do(lambda s, c: jobs.cancel(s, c, job_id))
    with pytest.raises(NotFound):
        clinic.do(lambda s, c: jobs.cancel(s, c, uuid4()))


def test_the_job_of_a_dead_worker_is_taken_over_and_its_late_hand_is_ignored(
    clinic: Clinic, clock: Clock, hire: Callable[[], Worker], drill: Drill
) -> None:
    job_id, lease = asked(clinic), timedelta(seconds=60)
    dead = clinic.do(lambda s, c: jobs.claim(s, c, lease=lease, token=uuid4()))
    assert dead is not None
    assert clinic.do(lambda s, c: jobs.report(s, c, dead, 0.4, "working", lease))
    seen: list[int] = []
    drill.meanwhile = lambda _: seen.append(job(clinic, job_id).progress)
    assert hire().jobs.run_due() == 0, "somebody holds it"
    clock.move(timedelta(seconds=61))
    assert hire().jobs.run_due() == 1
    assert (job(clinic, job_id).status, job(clinic, job_id).attempts) == ("done", 2)
    assert seen
    assert seen == sorted(seen)
    assert seen[0] >= 400, "how far it is never falls behind what was said of it"
    assert not clinic.do(lambda s, c: jobs.report(s, c, dead, 0.1, "late", lease))
    assert not clinic.do(lambda s, c: jobs.still_held(s, c, dead))


def test_a_job_that_keeps_killing_its_workers_is_given_up(
    clinic: Clinic, clock: Clock, hire: Callable[[], Worker], drill: Drill
) -> None:
    job_id = asked(clinic)
    for _ in range(jobs.ATTEMPTS):
        clinic.do(lambda s, c: jobs.claim(s, c, lease=timedelta(seconds=60), token=uuid4()), now=clock())
        clock.move(timedelta(seconds=61))
    hire().jobs.run_due()
    assert (job(clinic, job_id).status, job(clinic, job_id).code, drill.thought) == ("failed", "given_up", [])


def test_a_worker_that_is_to_stop_gives_its_job_back(clinic: Clinic, hire: Callable[[], Worker], drill: Drill) -> None:
    job_id, worker = asked(clinic), hire()
    drill.meanwhile = lambda _: worker.stop()
    worker.jobs.run_due()
    back = job(clinic, job_id)
    assert (back.status, back.attempts, back.token) == ("queued", 0, None)
    drill.meanwhile = lambda _: None
    hire().jobs.run_due()
    assert job(clinic, job_id).status == "done"


def test_a_fault_or_a_refusal_ends_the_job_and_says_so(
    clinic: Clinic, hire: Callable[[], Worker], drill: Drill
) -> None:
    def refuse(_: int) -> None:
        raise NotFound("No such course.")

    def stumble(_: int) -> None:
        raise RuntimeError

    for trouble, code, detail in ((refuse, "not_found", "No such course."), (stumble, "internal_error", None)):
        job_id, drill.meanwhile = asked(clinic), trouble
        hire().jobs.run_due()
        ended = job(clinic, job_id)
        assert (ended.status, ended.code) == ("failed", code)
        assert detail is None or ended.detail == detail
    assert name_of(clinic) == "Main"


def test_the_clockwork_carries_out_jobs_and_waits_for_them_at_its_end(
    clinic: Clinic, hire: Callable[[], Worker], drill: Drill
) -> None:
    job_id = asked(clinic)
    ticker = Ticker(hire(), seconds=0.05)
    ticker.start()
    until(lambda: job(clinic, job_id).status == "done", "the job")
    ticker.stop()
    assert name_of(clinic) == "Drilled"
