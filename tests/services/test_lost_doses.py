"""Planning anew where no limit can be kept, what is lost for good is left out, and nobody knows what was given."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from scheduler.core.errors import Invalid, NoFeasiblePlan, Refused
from scheduler.models import Appointment
from scheduler.services import booking, course_life, visit_day
from scheduler.services.course_changes import Change
from scheduler.services.doctor import examine
from scheduler.services.finding import Wanted
from tests.coursework import accept, approve, course, offer, open_course_clinic, protocol
from tests.services.test_replanning import Running

pytestmark = pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)


@pytest.fixture
def running(engine: Engine) -> Running:
    return Running(open_course_clinic(engine))


def take_place(running: Running, step: str, number: int) -> datetime:
    """The visit from check-in to discharge; when it was over."""
    visit = running.visit(step, number)
    clinic = running.clinic
    clinic.do(lambda s, c: visit_day.check_in(s, c, visit.id), now=visit.starts_at)
    if visit.visit_type == "dose":
        clinic.do(lambda s, c: visit_day.start(s, c, visit.id), now=visit.starts_at)
    clinic.do(lambda s, c: visit_day.fulfill(s, c, visit.id), now=visit.ends_at)
    return visit.ends_at


def missed(running: Running, visit: Appointment) -> None:
    running.clinic.do(lambda s, c: visit_day.no_show(s, c, visit.id), now=visit.starts_at + timedelta(minutes=30))


def codes(running: Running, now: datetime) -> list[tuple[int, str]]:
    return [(each.index, each.code) for each in running.view(now=now).broken]


def test_a_talk_that_was_missed_before_the_next_dose_is_lost_and_the_course_goes_on(running: Running) -> None:
    take_place(running, "evaluation", 1)
    take_place(running, "dose", 1)
    missed(running, running.visit("talk", 1))
    now = take_place(running, "dose", 2)
    assert codes(running, now) == [(2, "not_booked")]
    assert running.propose(now=now).moved == (), "it cannot be before a dose that has been given"
    plan = running.propose(Change(running.visit("dose", 3).id, "cancel"), now=now)
    assert {each.why for each in plan.moved} >= {"its visit is cancelled"}
    running.accept(plan, now=now)
    assert codes(running, now) == [(2, "not_booked")]


def test_a_dose_without_a_visit_is_lost_once_another_was_given(running: Running) -> None:
    take_place(running, "evaluation", 1)
    take_place(running, "dose", 1)
    take_place(running, "talk", 1)
    missed(running, running.visit("dose", 2))
    talk = running.visit("talk", 2)
    running.clinic.do(lambda s, c: booking.cancel(s, c, talk.id, reason="x", by="staff"))
    now = take_place(running, "dose", 3)
    assert running.propose(now=now).moved == ()
    plan = running.propose(Change(running.visit("talk", 3).id, "move"), now=now)
    moved = {each.session_id for each in plan.moved}
    assert running.session_id("talk", 3) in moved
    assert not moved & {running.session_id("dose", 2), running.session_id("talk", 2)}


def test_a_dose_is_planned_though_the_talk_about_it_took_place_without_it(running: Running) -> None:
    """What a clinical hold does: it lets go of doses and leaves the talks."""
    take_place(running, "evaluation", 1)
    dose = running.visit("dose", 1)
    running.clinic.do(lambda s, c: booking.cancel(s, c, dose.id, reason="held", by="clinic"))
    now = take_place(running, "talk", 1)
    assert codes(running, now) == [(1, "not_booked")]
    plan = running.propose(now=now)
    assert running.session_id("dose", 1) in {each.session_id for each in plan.moved}
    running.accept(plan, now=now)
    assert "not_booked" not in [code for _, code in codes(running, now)]
    assert running.visit("dose", 1).starts_at > now


def test_of_a_start_that_is_asked_for_no_other_day_is_told(running: Running) -> None:
    visit = running.visit("dose", 3)
    taken = visit.starts_at + timedelta(days=1)
    wanted = Wanted(running.clinic.patient(), "dose", running.clinic.location_id, taken)
    running.clinic.do(lambda s, c: booking.book(s, c, wanted))
    with pytest.raises(NoFeasiblePlan) as caught:
        running.propose(Change(visit.id, "move", taken))
    day = taken.date().isoformat()
    assert {(each["from"], each["to"]) for each in caught.value.blocking if "from" in each} == {(day, day)}


def test_a_talk_whose_window_is_over_comes_late_rather_than_never(running: Running) -> None:
    """The next dose is far off by then: the talk is planned before it, and shown as outside its window."""
    take_place(running, "evaluation", 1)
    for number in (1, 2, 3):
        take_place(running, "dose", number)
        if number < 3:
            take_place(running, "talk", number)
    talk = running.visit("talk", 3)
    late = talk.starts_at + timedelta(days=4)
    changes = [Change(each.id, "noshow") for each in (talk, running.visit("dose", 4)) if each.starts_at <= late]
    changes += [Change(each.id, "noshow") for each in (running.visit("talk", 4),) if each.starts_at <= late]
    plan = running.propose(*changes, now=late)
    assert (6, "outside_window") in [(each.index, each.code) for each in plan.broken]
    running.accept(plan, now=late)
    assert (6, "outside_window") in codes(running, late)


def series(engine: Engine, **dose: Any) -> Running:
    """A course of doses without talks, by another rule of time."""
    clinic = open_course_clinic(engine)
    document = protocol(4)
    step = document["phases"][1]["steps"][0] | dose
    document["phases"][1]["steps"] = [step]
    approve(clinic, document)
    made = Running.__new__(Running)
    made.clinic, made.id = clinic, course(clinic).id
    accept(clinic, made.id, offer(clinic, made.id)[0].token)
    return made


HOURS = {"gap": {"unit": "hours", "min": 40, "target": 48, "max": 80}}
OFFSETS = {
    "gap": {"unit": "days", "min": 1, "target": 2, "max": 14},
    "offsets": {"anchor": "phase_start", "days": [0, 2, 5, 7], "early": 0, "late": 1},
}


@pytest.mark.parametrize(("rule", "says"), [(HOURS, "hours after dose 1"), (OFFSETS, "days after dose 1")])
def test_hours_and_days_from_afar_are_exceeded_by_the_least_and_shown(
    engine: Engine, rule: dict[str, Any], says: str
) -> None:
    running = series(engine, **rule)
    visit = running.visit("dose", 2)
    late = visit.starts_at + timedelta(days=2, hours=22)
    changes = [Change(each.id, "noshow") for each in map(running.visit, ["dose"] * 2, (2, 3)) if each.starts_at <= late]
    plan = running.propose(*changes, now=late)
    told = [each for each in plan.broken if each.code == "gap_too_long"]
    assert told
    assert says in told[0].detail
    running.accept(plan, now=late)
    assert [(each.index, each.detail) for each in running.view(now=late).broken if each.code == "gap_too_long"] == [
        (each.index, each.detail) for each in told
    ]


def test_doses_that_a_hold_has_outlasted_are_not_taken_for_given(running: Running) -> None:
    take_place(running, "evaluation", 1)
    dose = running.visit("dose", 1)
    clinic = running.clinic
    clinic.do(lambda s, c: course_life.hold(s, c, running.id, reason="x"), now=dose.starts_at - timedelta(hours=1))
    now = dose.starts_at + timedelta(days=1, hours=5)
    clinic.do(lambda s, c: course_life.resume(s, c, running.id), now=now)
    assert (1, "not_closed") in codes(running, now)
    told = running.propose(now=now)
    assert (1, "not_closed") in [(each.index, each.code) for each in told.broken]
    [detail] = [each.detail for each in told.broken if each.index == 1]
    assert detail == "dose 1 was on 2030-03-05, and nobody has said what became of it."
    plan = running.propose(Change(dose.id, "noshow"), now=now)
    assert all(each.index != 1 for each in plan.broken)


def test_what_is_to_change_cannot_be_pinned_as_well(running: Running) -> None:
    visit, other = running.visit("dose", 3), running.session_id("dose", 4)
    with pytest.raises(Invalid) as caught:
        running.propose(Change(visit.id, "cancel"), pinned=[other, running.session_id("dose", 3), running.id])
    faults = [(fault.pointer, fault.code) for fault in caught.value.faults]
    assert faults == [("/pinned/1", "changed_as_well"), ("/pinned/2", "unknown_session")]


def test_a_move_that_cannot_be_says_so_of_that_day(running: Running) -> None:
    sunday = running.clinic.at("2030-03-10 09:00")
    with pytest.raises(NoFeasiblePlan) as caught:
        running.propose(Change(running.visit("dose", 3).id, "move", sunday))
    assert "every nurse is off duty" in caught.value.detail
    assert "of the" not in caught.value.detail, "there is one day only"


def test_a_wrong_no_show_is_put_right_after_the_course_has_ended_and_nothing_else_is_given(running: Running) -> None:
    clinic, dose = running.clinic, running.visit("dose", 1)
    take_place(running, "evaluation", 1)
    missed(running, dose)
    soon, later = dose.starts_at + timedelta(minutes=40), dose.ends_at + timedelta(hours=5)
    clinic.do(lambda s, c: course_life.discontinue(s, c, running.id, reason="moved away"), now=soon)
    with pytest.raises(Refused) as caught:
        clinic.do(lambda s, c: visit_day.undo(s, c, dose.id), now=soon)
    assert [reason.code for reason in caught.value.reasons] == ["on_hold"], "nothing more is given"
    clinic.do(lambda s, c: visit_day.undo(s, c, dose.id), now=later)
    clinic.do(lambda s, c: visit_day.check_in(s, c, dose.id, at=dose.starts_at), now=later)
    clinic.do(lambda s, c: visit_day.start(s, c, dose.id, at=dose.starts_at), now=later)
    told = clinic.do(lambda s, c: visit_day.fulfill(s, c, dose.id, at=dose.ends_at), now=later)
    assert (told.row.status, told.row.outcome) == ("fulfilled", "dosed")
    with Session(clinic.engine) as session:
        assert [each.key for each in examine(session, clinic.call) if each.count] == []
