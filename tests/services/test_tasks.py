"""Staff tasks: owed once for their cause, urged on while undone, closed by a name, and open again when owed again."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from scheduler.core.errors import IllegalTransition, StaleRevision
from scheduler.models import AuditEvent, Task
from scheduler.services import tasks
from scheduler.services.tasks import Filter, TaskView
from tests.clinic import Clinic


@pytest.fixture
def clinic(engine: Engine) -> Clinic:
    return Clinic(engine)


def owe(clinic: Clinic, key: str = "a", **more: Any) -> UUID:
    values = {"kind": "call", "key": key, "title": "Call back", "due_at": clinic.later(days=7), **more}
    return clinic.do(lambda s, c: tasks.owe(s, c, **values))


def listed(clinic: Clinic, **wanted: Any) -> list[TaskView]:
    return list(clinic.do(lambda s, c: tasks.listed(s, c, Filter(**wanted))).items)


def urge(clinic: Clinic, **delta: float) -> None:
    assert not clinic.do(tasks.urge, now=clinic.later(**delta))


def actions(clinic: Clinic, task_id: UUID) -> list[str]:
    with Session(clinic.engine) as session:
        wanted = select(AuditEvent.action).where(AuditEvent.subject_id == task_id).order_by(AuditEvent.id)
        return list(session.scalars(wanted))


def test_the_same_cause_owes_one_task_and_another_kind_or_key_another(clinic: Clinic) -> None:
    first = owe(clinic)
    assert owe(clinic, title="Otherwise") == first
    assert len({first, owe(clinic, "b"), owe(clinic, kind="write")}) == 3
    assert [view.title for view in listed(clinic)] == ["Call back"] * 3
    assert actions(clinic, first) == ["task.create"]


def test_what_is_done_stays_done_when_it_is_owed_again_but_what_was_withdrawn_opens_again(clinic: Clinic) -> None:
    done, gone = owe(clinic, "a"), owe(clinic, "b")
    clinic.do(lambda s, c: tasks.answer(s, c, done, "done", by="Ann", note="Reached."))
    clinic.do(lambda s, c: tasks.withdraw(s, c, "cancelled", Task.key == "b"))
    view = clinic.do(lambda s, c: tasks.get(s, c, gone))
    assert (view.status, view.closed_by, view.note) == ("dismissed", "test", "cancelled")
    assert owe(clinic, "a") == done
    assert owe(clinic, "b", due_at=clinic.later(days=9)) == gone
    assert [(view.id, view.due_at) for view in listed(clinic, status="open")] == [(gone, clinic.later(days=9))]
    assert actions(clinic, done) == ["task.create", "task.done"]
    assert actions(clinic, gone) == ["task.create", "task.dismissed", "task.create"]


def test_a_task_is_closed_once_and_by_somebody_who_has_seen_it(clinic: Clinic) -> None:
    made = owe(clinic)
    with pytest.raises(StaleRevision):
        clinic.do(lambda s, c: tasks.answer(s, c, made, "done", revision=7))
    view = clinic.do(lambda s, c: tasks.answer(s, c, made, "dismissed", note="Moved away.", revision=1))
    assert (view.status, view.closed_at, view.closed_by, view.revision) == ("dismissed", clinic.call.now, "test", 2)
    with pytest.raises(IllegalTransition):
        clinic.do(lambda s, c: tasks.answer(s, c, made, "done"))
    assert owe(clinic) == made  # a person has dismissed it: nothing opens it again
    assert listed(clinic, status="open") == []


def test_it_becomes_more_urgent_step_by_step_until_it_is_seen_to(clinic: Clinic) -> None:
    made = owe(clinic, steps=[clinic.later(days=5), clinic.later(days=1)])
    levels = []
    for hours in (0, 23, 24, 24 * 5, 24 * 6, 24 * 7, 24 * 30):
        urge(clinic, hours=hours)
        levels.append(listed(clinic)[0].level)
    assert levels == [0, 0, 1, 2, 2, 3, 3]
    assert listed(clinic)[0].next_step_at is None
    other = owe(clinic, "b", steps=[clinic.later(days=1)])
    clinic.do(lambda s, c: tasks.close(s, c, kind="call", key="b"))
    urge(clinic, days=2)
    assert [view.level for view in listed(clinic, status="done")] == [0]
    clinic.do(lambda s, c: tasks.reopen(s, c, kind="call", key="b"), now=clinic.later(days=2))
    assert [view.level for view in listed(clinic, status="open") if view.id == other] == [1]
    assert actions(clinic, made) == ["task.create", *["task.urge"] * 3]


def test_the_list_is_by_due_time_and_its_bounds_are_half_open(clinic: Clinic) -> None:
    patient = clinic.patient()
    late = owe(clinic, "a", due_at=clinic.later(days=3), patient_id=patient)
    soon = owe(clinic, "b", due_at=clinic.later(days=1), location_id=clinic.location_id)
    assert [view.id for view in listed(clinic)] == [soon, late]
    assert [view.id for view in listed(clinic, due_after=clinic.later(days=1), due_before=clinic.later(days=3))] == [
        soon
    ]
    assert [view.id for view in listed(clinic, patient_id=patient)] == [late]
    assert [view.id for view in listed(clinic, location_id=clinic.location_id)] == [soon]
    assert listed(clinic, kind="other") == []
