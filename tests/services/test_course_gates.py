"""Gates that nobody decides are somebody's task; a course is extended block by block, completed, and never made of
what is off."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, select, text, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.errors import IllegalTransition, Invalid, ProtocolNotApproved, StaleRevision
from scheduler.models import Appointment, Task
from scheduler.services import booking, course_life, courses, gates, resources, visit_day, visit_types
from scheduler.services.courses import CourseView
from scheduler.services.finding import Wanted
from tests.clinic import Clinic, need, segment, visit_type, week
from tests.coursework import accept, approve, course, offer, open_course_clinic, protocol

#: Where the database does not matter.
ON_ONE = pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)


@pytest.fixture
def clinic(engine: Engine) -> Clinic:
    return open_course_clinic(engine)


def over(clinic: Clinic, made: CourseView, step: str, number: int) -> Appointment:
    """The visit of that session of a step, fulfilled."""
    session_id = [each.id for each in made.sessions if each.step == step][number - 1]
    with Session(clinic.engine, expire_on_commit=False) as session, session.begin():
        mine = Appointment.course_session_id == session_id
        session.execute(update(Appointment).where(mine).values(status="fulfilled"))
        return session.scalars(select(Appointment).where(mine)).one()


def tasks(clinic: Clinic) -> list[tuple[str, str]]:
    with Session(clinic.engine) as session:
        found = session.scalars(select(Task).where(Task.kind == gates.KIND).order_by(Task.id))
        return [(str(task.item), task.status) for task in found]


def decide(clinic: Clinic, course_id: UUID) -> None:
    clinic.do(lambda s, c: gates.decide(s, c, course_id, "review", outcome="passed", by="Dr. Lee"))


def test_a_gate_that_is_reached_is_a_task_until_somebody_decides(clinic: Clinic) -> None:
    approve(clinic, protocol(gate=2))
    made = course(clinic)
    accept(clinic, made.id, offer(clinic, made.id, through="all")[0].token)
    seen = clinic.do(lambda s, c: courses.get(s, c, made.id).revision)
    over(clinic, made, "dose", 1)
    assert clinic.do(lambda s, c: courses.get(s, c, made.id).revision) != seen  # it says something else by now
    clinic.do(gates.chase)
    assert tasks(clinic) == []
    dose = over(clinic, made, "dose", 2)
    for _ in range(2):
        clinic.do(gates.chase)
    assert tasks(clinic) == [("review", "open")]
    with Session(clinic.engine) as session:
        task = session.scalars(select(Task)).one()
    assert task.due_at == clinic.at(f"{dose.starts_at + timedelta(days=15):%Y-%m-%d} 00:00"), "its last day is over"
    assert (task.course_id, task.patient_id) == (made.id, made.row.patient_id)
    decide(clinic, made.id)
    clinic.do(gates.chase)
    assert tasks(clinic) == [("review", "done")]


def test_a_discharge_that_is_undone_leaves_nothing_to_decide_until_the_next(clinic: Clinic) -> None:
    approve(clinic, protocol(gate=2))
    made = course(clinic)
    accept(clinic, made.id, offer(clinic, made.id, through="all")[0].token)
    for row in sorted(made_doses(clinic, made), key=lambda each: each.starts_at)[:2]:
        for action in ("check_in", "start", "fulfill"):
            move(clinic, row.id, action, row.starts_at)
    clinic.do(gates.chase, now=row.ends_at)
    assert tasks(clinic) == [("review", "open")]
    clinic.do(lambda s, c: visit_day.undo(s, c, row.id), now=row.ends_at)
    assert tasks(clinic) == [("review", "dismissed")]
    clinic.do(gates.chase, now=row.ends_at)
    assert tasks(clinic) == [("review", "dismissed")]
    move(clinic, row.id, "fulfill", row.ends_at)
    clinic.do(gates.chase, now=row.ends_at)
    assert tasks(clinic) == [("review", "open")]
    clinic.do(lambda s, c: gates.decide(s, c, made.id, "review", outcome="passed", by="Dr. Lee"))
    clinic.do(lambda s, c: visit_day.undo(s, c, row.id), now=row.ends_at)
    assert tasks(clinic) == [("review", "done")], "what a clinician has decided stays decided"


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
@pytest.mark.parametrize("act", ["undo", "decide"])
def test_what_is_undone_or_decided_at_the_same_moment_leaves_no_task(clinic: Clinic, act: str) -> None:
    """The chore has seen the gate reached; it waits for whoever is at the course, and looks again."""
    approve(clinic, protocol(gate=1))
    made = course(clinic)
    accept(clinic, made.id, offer(clinic, made.id, through="all")[0].token)
    row = min(made_doses(clinic, made), key=lambda each: each.starts_at)
    for action in ("check_in", "start", "fulfill"):
        move(clinic, row.id, action, row.starts_at)
    call = replace(clinic.call, now=row.ends_at)
    with Session(clinic.engine) as acting, Session(clinic.engine) as chasing:
        if act == "undo":
            visit_day.undo(acting, call, row.id)
        else:
            gates.decide(acting, call, made.id, "review", outcome="passed", by="Dr. Lee")
        chasing.execute(text("SET LOCAL lock_timeout = '100ms'"))
        with pytest.raises(OperationalError, match="lock timeout"):
            gates.chase(chasing, call)
        acting.commit()
    clinic.do(gates.chase, now=row.ends_at)
    assert tasks(clinic) == []


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
def test_a_decision_at_the_same_moment_makes_another_stale(clinic: Clinic) -> None:
    """Both go by what both saw; whoever had to wait for the course learns that it says something else by now."""
    approve(clinic, protocol(gate=1))
    made = course(clinic)
    seen = clinic.do(lambda s, c: courses.get(s, c, made.id).revision)

    def hold(session: Session, call: Call) -> CourseView:
        return course_life.hold(session, call, made.id, reason="unwell", revision=seen)

    with Session(clinic.engine) as acting, ThreadPoolExecutor(1) as pool, clinic.engine.connect() as look:
        gates.decide(acting, clinic.call, made.id, "review", outcome="passed", by="Dr. Lee", revision=seen)
        late = pool.submit(clinic.do, hold)
        while not look.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted")) and not late.done():
            look.rollback()
        acting.commit()
        with pytest.raises(StaleRevision):
            late.result()
    assert clinic.do(lambda s, c: courses.get(s, c, made.id).row.status) == "draft"


def made_doses(clinic: Clinic, made: CourseView) -> list[Appointment]:
    view = clinic.do(lambda s, c: courses.get(s, c, made.id))
    return [row for row in view.booked.values() if row.visit_type == "dose"]


def move(clinic: Clinic, visit: UUID, action: str, now: datetime) -> None:
    clinic.do(lambda s, c: getattr(visit_day, action)(s, c, visit), now=now)


@ON_ONE
def test_a_course_that_ends_leaves_nothing_to_decide(clinic: Clinic) -> None:
    approve(clinic, protocol(gate=2))
    made = course(clinic)
    accept(clinic, made.id, offer(clinic, made.id)[0].token)
    over(clinic, made, "dose", 2)
    clinic.do(gates.chase)
    clinic.do(lambda s, c: course_life.discontinue(s, c, made.id, reason="moved away"))
    clinic.do(gates.chase)
    assert [status for _, status in tasks(clinic)] != ["open"]


def open_ended() -> dict[str, Any]:
    document = protocol(gate=2)
    document["phases"][1]["steps"][0] |= {"count": None, "block": 2}
    return document


@ON_ONE
def test_a_clinician_authorizes_block_after_block(clinic: Clinic) -> None:
    approve(clinic, open_ended())
    made = course(clinic)
    assert [each.step for each in made.sessions].count("dose") == 2
    accept(clinic, made.id, offer(clinic, made.id)[0].token)
    more = clinic.do(lambda s, c: course_life.extend(s, c, made.id, by="Dr. Lee"))
    assert [each.id for each in more.sessions[:5]] == [each.id for each in made.sessions]
    assert [each.step for each in more.sessions].count("dose") == 4
    assert more.sessions[5].earliest > more.sessions[3].earliest
    booked = accept(clinic, made.id, offer(clinic, made.id, through="all")[0].token)
    assert {view.row.status for view in booked} == {"pending"}, "the gate after the second dose keeps them back"
    decide(clinic, made.id)
    assert len(accept(clinic, made.id, offer(clinic, made.id)[0].token)) == len(booked) == 4


@ON_ONE
def test_only_what_goes_on_by_blocks_is_extended_and_only_what_is_over_completed(clinic: Clinic) -> None:
    approve(clinic, protocol())
    made = course(clinic)
    with pytest.raises(IllegalTransition):
        clinic.do(lambda s, c: course_life.extend(s, c, made.id, by="Dr. Lee"))
    accept(clinic, made.id, offer(clinic, made.id)[0].token)
    with pytest.raises(IllegalTransition, match="7 visits of the course are not over yet"):
        clinic.do(lambda s, c: course_life.complete(s, c, made.id, by="Dr. Lee"))
    for step, number in (("evaluation", 1), ("dose", 1), ("dose", 2), ("dose", 3), ("talk", 1), ("talk", 2)):
        over(clinic, made, step, number)
    last = next(
        row for row in clinic.do(lambda s, c: courses.get(s, c, made.id)).booked.values() if row.status == "booked"
    )
    clinic.do(lambda s, c: booking.cancel(s, c, last.id, reason="x", by="staff"))
    done = clinic.do(lambda s, c: course_life.complete(s, c, made.id, by="Dr. Lee"))
    assert done.row.status == "completed"


def switch(clinic: Clinic, **document: Any) -> None:
    """Change the visit type for doses."""

    def work(session: Any, call: Any) -> None:
        [row] = [each for each in visit_types.listing(session, call, limit=200).items if each.code == "dose"]
        visit_types.change(session, call, row.id, row.revision, document)

    clinic.do(work)


@ON_ONE
def test_nothing_is_made_of_what_is_off(clinic: Clinic) -> None:
    approve(clinic, protocol())
    switch(clinic, enabled=False)
    with pytest.raises(ProtocolNotApproved, match="'dose' is off"):
        course(clinic)
    asked = Wanted(clinic.patient(), "dose", clinic.location_id, clinic.at("2030-03-04 09:00"))
    with pytest.raises(Invalid) as refused:
        clinic.do(lambda s, c: booking.book(s, c, asked))
    assert [fault.code for fault in refused.value.faults] == ["visit_type_off"]
    switch(clinic, enabled=True)
    assert course(clinic).sessions
    approve(clinic, protocol() | {"enabled": False})
    with pytest.raises(ProtocolNotApproved, match="'trial' is off"):
        course(clinic)


@ON_ONE
def test_by_video_a_course_asks_where_the_patient_will_be_and_plans_for_there(clinic: Clinic) -> None:
    talk = segment("talk", 55, need("role:coach"))
    clinic.visit(visit_type("call", talk, kind="integration", video=True))
    hours = [{**each, "location_id": str(clinic.location_id)} for each in week()]
    coach = {"name": "Coach", "roles": [{"code": "coach", "regions": ["US-NY"]}], "hours": hours}
    clinic.do(lambda s, c: resources.create(s, c, resources.PRACTITIONER, coach))
    document = protocol()
    document["phases"][1]["steps"][1]["visit_type"] = "call"
    document["continuity"] = ["prescriber"]
    approve(clinic, document)
    with pytest.raises(Invalid) as refused:
        course(clinic)
    assert [fault.pointer for fault in refused.value.faults] == ["/preferences/patient_region"]
    made = course(clinic, patient_region="US-NY")
    booked = accept(clinic, made.id, offer(clinic, made.id)[0].token)
    where = {view.row.visit_type: view.row.patient_region for view in booked}
    assert where == {"evaluation": None, "dose": None, "call": "US-NY"}
