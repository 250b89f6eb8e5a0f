"""Safety gates of single visits: refused at booking or check-in, a task while not passed, let go by policy."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, select, text
from sqlalchemy.orm import Session

from scheduler.core.site import CLEARS
from scheduler.models import Task
from scheduler.services import booking, clearances, organizations, session_gates, task_answers, tasks, visit_day
from scheduler.services.backup import fence
from tests.clinic import Clinic, need, segment, visit_type
from tests.desk import book, refused
from tests.ward import move, refusal, row

RIDE = {"key": "ride", "label": "Ride", "effect": "blocks", "at": "check_in", "value": "text"}
GATES = [
    {"key": "consent", "label": "Consent", "effect": "blocks_booking", "clearance": "consent", "due_hours": 72},
    {"key": "labs", "label": "Labs", "effect": "blocks_checkin", "clearance": "labs", "due_hours": 48},
    {
        "key": "escort", "label": "Ride named", "effect": "blocks_checkin", "item": "ride", "due_hours": 24,
        "remind_hours": [4], "release_hours": 2,
    },
    {"key": "mood", "label": "Evaluation", "effect": "warns", "clearance": "evaluation", "due_hours": 12},
]  # fmt: skip
START = "2030-03-07 09:00"


@pytest.fixture
def clinic(engine: Engine) -> Clinic:
    made = Clinic(engine)
    document = visit_type("dose", segment("dose", 30, need("role:nurse")), kind="dosing", modality="im")
    made.visit(document | {"checklist": [RIDE], "gates": GATES})
    made.staff("nurse")
    return made


def state(clinic: Clinic, patient: UUID, kind: str, outcome: str = "approved") -> None:
    said = {"kind": kind, "outcome": outcome, "valid_from": date(2030, 1, 1), "by": "Dr. Lee"}
    clinic.do(lambda s, c: clearances.create(s, c, patient, **said))


def consented(clinic: Clinic) -> tuple[UUID, UUID]:
    patient = clinic.patient()
    state(clinic, patient, "consent")
    return patient, book(clinic, patient, "dose", START).id


def chase(clinic: Clinic, when: str) -> bool:
    return clinic.do(session_gates.chase, now=clinic.at(when))


def open_gates(clinic: Clinic) -> list[tuple[str | None, int]]:
    with Session(clinic.engine) as session:
        chosen = select(Task).where(Task.kind == "session_gate", Task.status == "open").order_by(Task.item)
        return [(task.item, task.level) for task in session.scalars(chosen)]


def named(view: Any) -> list[str]:
    return [reason.code for reason in view.reasons]


def test_each_gate_is_a_task_from_its_own_hour_on_until_it_is_passed(clinic: Clinic) -> None:
    patient, visit = consented(clinic)
    for when, expected in (
        ("2030-03-05 08:59", []),
        ("2030-03-05 09:00", ["labs"]),
        ("2030-03-06 09:00", ["escort", "labs"]),
        ("2030-03-06 21:00", ["escort", "labs", "mood"]),
        ("2030-03-06 21:00", ["escort", "labs", "mood"]),
    ):
        assert not chase(clinic, when)
        assert [item for item, _ in open_gates(clinic)] == expected
    clinic.do(tasks.urge, now=clinic.at("2030-03-07 05:00"))
    assert open_gates(clinic) == [("escort", 1), ("labs", 0), ("mood", 0)]
    state(clinic, patient, "labs")
    clinic.do(lambda s, c: visit_day.answer(s, c, visit, {"ride": {"ok": True, "value": "Ann"}}))
    chase(clinic, "2030-03-07 05:00")
    assert [item for item, _ in open_gates(clinic)] == ["mood"]
    state(clinic, patient, "labs", "revoked")
    chase(clinic, "2030-03-07 06:00")
    assert [item for item, _ in open_gates(clinic)] == ["labs", "mood"]  # the same task, open again


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
def test_a_visit_that_ends_at_the_same_moment_leaves_no_task(clinic: Clinic) -> None:
    """The chore has seen it booked; it waits for whoever cancels it, and looks again."""
    _, visit = consented(clinic)
    with Session(clinic.engine) as acting, ThreadPoolExecutor(1) as pool, clinic.engine.connect() as look:
        booking.cancel(acting, clinic.call, visit, reason="ill", by="patient")
        late = pool.submit(clinic.do, session_gates.chase, now=clinic.at("2030-03-07 06:00"))
        while not look.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted")) and not late.done():
            look.rollback()
        acting.commit()
        late.result()
    assert open_gates(clinic) == []


def test_booking_and_check_in_are_refused_for_what_blocks_them_and_not_for_what_warns(clinic: Clinic) -> None:
    nobody = refused(clinic, clinic.patient(), "dose", START)
    assert [(each.code, each.item) for each in nobody.reasons] == [("gate_not_passed", "consent")]
    assert nobody.detail.endswith(f"it is recorded with the scope {CLEARS}.")
    patient, visit = consented(clinic)
    ride = {"ride": {"ok": True, "value": "Ann"}}
    assert named(refusal(clinic, "check_in", visit, START)) == ["gate_not_passed", "checklist_incomplete"], "at once"
    assert named(refusal(clinic, "check_in", visit, START, checklist=ride)) == ["gate_not_passed"]
    state(clinic, patient, "labs")
    assert named(refusal(clinic, "check_in", visit, START)) == ["checklist_incomplete"]
    move(clinic, "check_in", visit, START, checklist=ride)
    chase(clinic, "2030-03-07 09:00")
    assert open_gates(clinic) == []


def test_time_goes_to_others_only_where_the_policy_says_so(clinic: Clinic) -> None:
    _, visit = consented(clinic)
    assert not chase(clinic, "2030-03-07 07:00")
    assert row(clinic, visit).status == "booked"
    with Session(clinic.engine) as session:
        revision = organizations.get(session, clinic.call).revision
    clinic.do(lambda s, c: organizations.change(s, c, revision, {"policies": {"release_ungated": True}}))
    assert not chase(clinic, "2030-03-07 06:59")
    assert chase(clinic, "2030-03-07 07:00")
    assert not chase(clinic, "2030-03-07 07:00")
    gone = row(clinic, visit)
    assert (gone.status, gone.cancelled_by, gone.cancel_reason) == (
        "cancelled", "clinic", "Not in order in time: Ride named.",
    )  # fmt: skip
    assert open_gates(clinic) == []


def test_after_a_restore_no_gate_lets_a_visit_go_before_somebody_has_looked(clinic: Clinic) -> None:
    """What was passed since the backup is not written down: the ride may have been named."""
    _, visit = consented(clinic)
    with Session(clinic.engine) as session:
        revision = organizations.get(session, clinic.call).revision
    clinic.do(lambda s, c: organizations.change(s, c, revision, {"policies": {"release_ungated": True}}))
    clinic.do(fence.owe_reviews, now=clinic.at("2030-03-06 09:00"), actor="restore")
    with Session(clinic.engine) as session:
        [owed] = session.scalars(select(Task).where(Task.kind == fence.VISITS))
    assert owed.detail.startswith("1 visits of the last days and ahead are booked here")
    assert not chase(clinic, "2030-03-07 07:00")
    assert row(clinic, visit).status == "booked"
    assert open_gates(clinic), "what is missing is said all the same"
    clinic.do(lambda s, c: task_answers.answer(s, c, owed.id, "done", by="Ann"), now=clinic.at("2030-03-07 07:00"))
    assert chase(clinic, "2030-03-07 07:00")
    assert row(clinic, visit).status == "cancelled"
