"""A re-plan that a patient asks for: what policies leave to staff is refused when it is asked, and says who may."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine

from scheduler.core.errors import NoFeasiblePlan, Refused
from scheduler.services import booking, organizations, rebooking, replanning
from scheduler.services.course_changes import Change
from scheduler.services.replanning import Replan
from tests.coursework import open_course_clinic
from tests.services.test_replanning import Running

pytestmark = pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)


@pytest.fixture
def running(engine: Engine) -> Running:
    made = Running(open_course_clinic(engine))
    policies = {"reschedule_cutoff_minutes": {"patient": 48 * 60}, "cancel_cutoff_minutes": {"patient": 24 * 60}}
    made.clinic.do(lambda s, c: organizations.change(s, c, 1, {"policies": policies}))
    return made


def asked(running: Running, *changes: Change, by: Any = "patient", **call: Any) -> Replan:
    return running.clinic.do(
        lambda s, c: replanning.propose(s, c, running.id, changes, by=by, minutes=30),
        **call,
    )


def test_what_is_too_late_for_a_patient_is_refused_when_it_is_asked_and_names_who_may(running: Running) -> None:
    visit = running.visit("dose", 2)
    late = {"now": visit.starts_at - timedelta(hours=30)}
    with pytest.raises(Refused) as caught:
        asked(running, Change(visit.id, "move"), **late)
    [reason] = caught.value.reasons
    said = "A visit can be moved by a patient until 2880 minutes before its start. Staff may still do it."
    assert (reason.code, reason.detail) == ("cutoff", said)
    assert asked(running, Change(visit.id, "move"), by="staff", **late).moved
    assert asked(running, Change(visit.id, "cancel"), **late).moved, "that has a cut-off of its own"


def test_what_a_patient_may_not_move_stays_and_what_was_offered_is_accepted(running: Running) -> None:
    """The talk before is within the cut-off, so it makes no room: everything that moves may be moved."""
    visit = running.visit("dose", 2)
    now = running.visit("talk", 1).starts_at - timedelta(hours=40)
    plan = asked(running, Change(visit.id, "cancel"), now=now)
    moved = {each.session_id for each in plan.moved}
    assert running.session_id("dose", 2) in moved
    assert running.session_id("talk", 1) not in moved
    running.clinic.do(lambda s, c: rebooking.accept(s, c, running.id, plan.token), now=now)


def test_where_another_visit_would_have_to_move_that_is_named(running: Running) -> None:
    """The dose goes beyond its talk, and the talk was moved as often as a patient may."""
    clinic, talk = running.clinic, running.visit("talk", 4)
    policies = {"max_moves": {"patient": 1}}
    clinic.do(lambda s, c: organizations.change(s, c, 2, {"policies": policies}))
    clinic.do(lambda s, c: booking.reschedule(s, c, talk.id, talk.starts_at + timedelta(hours=1), by="patient"))
    dose, talk = running.visit("dose", 4), running.visit("talk", 4)
    beyond = Change(dose.id, "move", dose.starts_at + timedelta(days=2))
    with pytest.raises(Refused) as caught:
        asked(running, beyond)
    [reason] = caught.value.reasons
    assert reason.code == "too_many_changes"
    assert reason.detail.startswith(f"The visit on {talk.starts_at:%d %B %Y} would have to move as well.")
    assert reason.detail.endswith("Staff may still do it.")
    assert len(asked(running, beyond, by="staff").moved) == 2


def test_a_patient_s_lead_time_and_horizon_bind_where_visits_go(running: Running) -> None:
    """Staff move the last dose by a day or so; a patient has to ask earlier than that, and may not look so far."""
    clinic, dose = running.clinic, running.visit("dose", 4)
    now, key = dose.starts_at - timedelta(days=2), running.session_id("dose", 4)

    def narrowed(revision: int, **policies: int) -> None:
        clinic.do(lambda s, c: organizations.change(s, c, revision, {"policies": policies}))

    def goes_to(by: str) -> datetime:
        return {each.session_id: each.start for each in asked(running, Change(dose.id, "move"), by=by, now=now).moved}[
            key
        ]

    narrowed(2, patient_lead_minutes=4 * 1440)
    assert goes_to("patient") >= now + timedelta(days=4) > goes_to("staff")
    narrowed(3, patient_horizon_days=1)
    with pytest.raises(NoFeasiblePlan) as caught:
        goes_to("patient")
    assert [each["code"] for each in caught.value.blocking] == ["horizon"]
    assert goes_to("staff") > now + timedelta(days=1)
