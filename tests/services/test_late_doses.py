"""A dose that is given hours late: its talk counts from what really happened, and whoever falls out is a task."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from scheduler.core.errors import Refused
from scheduler.models import Appointment, Task
from scheduler.services import booking, visit_day
from scheduler.services.doctor import examine
from tests.coursework import open_course_clinic
from tests.services.test_lost_doses import codes, take_place
from tests.services.test_replanning import Running

ON_ONE = pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
HOUR = timedelta(hours=1)


@pytest.fixture
def running(engine: Engine) -> Running:
    """A course whose first dose is about to be given; its talk is on the day after, as early as it may be."""
    made = Running(open_course_clinic(engine))
    take_place(made, "evaluation", 1)
    dose, talk = made.visit("dose", 1), made.visit("talk", 1)
    move_to(made, talk, dose.ends_at + 24 * HOUR)
    made.clinic.do(lambda s, c: visit_day.check_in(s, c, dose.id), now=dose.starts_at)
    return made


def move_to(running: Running, visit: Appointment, start: datetime, now: datetime | None = None) -> None:
    changes = {} if now is None else {"now": now}
    running.clinic.do(lambda s, c: booking.reschedule(s, c, visit.id, start), **changes)


def given(running: Running, late: timedelta) -> datetime:
    """Give the first dose that much later than planned; when that was."""
    dose = running.visit("dose", 1)
    at = dose.starts_at + late
    running.clinic.do(lambda s, c: visit_day.start(s, c, dose.id, at=at), now=max(at, dose.starts_at))
    return max(at, dose.starts_at)


def owed(running: Running) -> list[tuple[str, str]]:
    with Session(running.clinic.engine) as session:
        rows = session.scalars(select(Task).where(Task.kind == "visit_affected").order_by(Task.id)).all()
    return [(row.detail.partition(";")[0], row.status) for row in rows]


def test_a_talk_that_is_too_soon_after_a_late_dose_is_a_task_and_is_planned_anew(running: Running) -> None:
    now = given(running, 3 * HOUR)
    assert (2, "outside_window") in codes(running, now)
    assert owed(running) == [("Talk 1 is 21 hours after dose 1", "open")]
    plan = running.propose(now=now)
    [moved] = [each for each in plan.moved if each.session_id == running.session_id("talk", 1)]
    assert moved.why == "it stood outside its protocol"
    ended = running.visit("dose", 1).ends_at + 3 * HOUR
    assert 24 * HOUR <= moved.start - ended <= 72 * HOUR
    assert not [each for each in plan.broken if each.index == 2]
    running.accept(plan, now=now)
    assert (2, "outside_window") not in codes(running, now)
    assert owed(running) == [("Talk 1 is 21 hours after dose 1", "dismissed")]


@ON_ONE
def test_by_hand_it_is_booked_by_what_happened_to_the_minute(running: Running) -> None:
    now = given(running, 3 * HOUR)
    talk, ended = running.visit("talk", 1), running.visit("dose", 1).ends_at + 3 * HOUR
    early = ended + 24 * HOUR - timedelta(minutes=5)
    with pytest.raises(Refused) as caught:
        move_to(running, talk, early, now)
    assert "gap_too_short" in [reason.code for reason in caught.value.reasons]
    move_to(running, talk, ended + 24 * HOUR, now)
    assert owed(running) == [("Talk 1 is 21 hours after dose 1", "dismissed")], "it was moved"
    assert codes(running, now) == []


@ON_ONE
def test_what_was_written_down_wrongly_and_what_was_no_delay(running: Running) -> None:
    now = given(running, timedelta(minutes=55))
    assert (codes(running, now), owed(running)) == ([], [])
    now = given(running, 3 * HOUR)
    assert [status for _, status in owed(running)] == ["open"]
    given(running, 2 * HOUR + timedelta(minutes=58))
    assert owed(running) == [("Talk 1 is 21 hours after dose 1", "open")], "on the grid, and never too little"
    given(running, timedelta())
    assert [status for _, status in owed(running)] == ["dismissed"], "it was on time after all"
    given(running, 3 * HOUR)
    dose = running.visit("dose", 1)
    for _ in range(5):
        running.clinic.do(lambda s, c: visit_day.undo(s, c, dose.id), now=now)
    assert [status for _, status in owed(running)] == ["dismissed"], "nothing was given"
    assert codes(running, now) == []


@ON_ONE
def test_a_dose_that_was_given_sooner_lets_its_talk_come_sooner_and_the_doctor_agrees(running: Running) -> None:
    now = given(running, -2 * HOUR)
    talk, ended = running.visit("talk", 1), running.visit("dose", 1).ends_at - 2 * HOUR
    move_to(running, talk, ended + 24 * HOUR, now)
    clinic = running.clinic
    with Session(clinic.engine) as session:
        assert [each.key for each in examine(session, clinic.call) if each.count] == []


@ON_ONE
def test_nobody_plans_a_dose_too_late_for_its_talk(engine: Engine) -> None:
    made = Running(open_course_clinic(engine))
    dose, talk = made.visit("dose", 1), made.visit("talk", 1)
    latest = talk.starts_at - 24 * HOUR - (dose.ends_at - dose.starts_at)
    for start in (latest + timedelta(minutes=5), talk.ends_at):
        with pytest.raises(Refused) as caught:
            move_to(made, dose, start)
        assert caught.value.code == "gap_too_short"
    move_to(made, dose, latest)
    [found] = [each for each in made.clinic.do(lambda s, c: list(examine(s, c))) if each.key == "gaps"]
    assert found.count == 0, found.shown
