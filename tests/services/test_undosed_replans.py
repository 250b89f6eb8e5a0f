"""A course planned anew around a visit that has begun and comes to its end without a dose."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Engine

from scheduler.services import booking, visit_day
from scheduler.services.course_changes import Change
from tests.clinic import need
from tests.coursework import DOSE, open_course_clinic, protocol
from tests.services.test_replanning import Running


def test_who_got_no_dose_can_have_their_talk_instead(engine: Engine) -> None:
    """What is left of the visit is free for what the same plan moves there: the patient, and whoever served."""
    clinic = open_course_clinic(engine)
    document = protocol()
    [dose, talk] = document["phases"][1]["steps"]
    parts = [{**each, "needs": [*each["needs"], need("role:therapist")]} for each in DOSE["segments"][:2]]
    clinic.visit({**DOSE, "code": "led", "segments": parts})
    later = {**talk, "before_next": False, "window": {**talk["window"], "max": 120}}
    led = {"steps": [{**dose, "visit_type": "led"}, later]}
    running = Running(clinic, phase=led, doses=3)
    missed, talk_after = running.visit("dose", 2), running.visit("talk", 1)
    now = missed.starts_at + timedelta(minutes=10)
    later_then = missed.starts_at + timedelta(hours=5)
    clinic.do(lambda s, c: booking.reschedule(s, c, talk_after.id, later_then))
    clinic.do(lambda s, c: visit_day.check_in(s, c, missed.id), now=now)
    at = now + timedelta(minutes=20)
    assert at < missed.ends_at
    plan = running.propose(Change(missed.id, "not_dosed"), Change(talk_after.id, "move", at), now=now)
    running.accept(plan, now=now)
    running.check()
    assert running.visit("talk", 1).starts_at == at
    assert running.visit("dose", 2).id != missed.id
