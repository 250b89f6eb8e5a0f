"""A course's timeline from rows: what stands, what did not take place, and until when a supply may be given."""

from __future__ import annotations

from datetime import date

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from scheduler.core.lifecycle import NOT_DOSED
from scheduler.models import Appointment
from scheduler.services import booking, course_life, supplies, timelines
from tests.coursework import accept, approve, course, offer, open_course_clinic, protocol


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_what_was_lost_and_what_runs_out_is_in_the_picture(engine: Engine) -> None:
    clinic, document = open_course_clinic(engine), protocol(gap=(2, 2, 5))
    document["phases"][1]["steps"][0]["supply"] = {"mode": "patient_specific", "use_within_days": 7}
    approve(clinic, document)
    made = course(clinic)
    booked = {view.row.course_session_id: view.row for view in accept(clinic, made.id, offer(clinic, made.id)[0].token)}
    dose, talk, late = (made.sessions[place] for place in (1, 2, 5))
    clinic.do(lambda s, c: supplies.receive(s, c, made.id, received_on=date(2030, 2, 28), session_ids=[late.id]))
    clinic.do(lambda s, c: booking.cancel(s, c, booked[talk.id].id, reason="ill", by="patient"))
    with Session(engine) as session, session.begin():
        row = session.get_one(Appointment, (clinic.call.organization_id, booked[dose.id].id))
        row.status, row.outcome = "fulfilled", NOT_DOSED
    bars = clinic.do(lambda s, c: timelines.of_course(s, c, made.id)).bars
    assert [(bar.mark, [lost.word for lost in bar.lost]) for bar in bars[1:3]] == [
        (None, ["no dose given"]),
        (None, ["cancelled"]),
    ]
    assert bars[2].lost[0].start.isoformat(timespec="minutes") == booked[talk.id].local_start
    mark = bars[5].mark
    assert (bars[5].use_by, mark and mark.state) == (date(2030, 3, 7), "broken")
    assert all(bar.lost == () for bar in bars[3:])


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_what_was_given_is_done_and_what_waits_for_a_gate_is_pencilled(engine: Engine) -> None:
    clinic = open_course_clinic(engine)
    approve(clinic, protocol(gate=2))
    made = course(clinic)
    booked = accept(clinic, made.id, offer(clinic, made.id, through="all")[0].token)
    for first in booked[:2]:
        with Session(engine) as session, session.begin():
            row = session.get_one(Appointment, (clinic.call.organization_id, first.id))
            row.status, row.fulfilled_at = "fulfilled", row.ends_at
    drawn = clinic.do(lambda s, c: timelines.of_course(s, c, made.id))
    marks = [(bar.mark.start.isoformat(timespec="minutes"), bar.mark.state) for bar in drawn.bars if bar.mark]
    states = ["done"] * 2 + ["booked"] * 3 + ["pencilled"] * 2
    assert marks == [(view.row.local_start, state) for view, state in zip(booked, states, strict=True)]


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_a_course_that_is_on_hold_or_given_up_says_so(engine: Engine) -> None:
    clinic = open_course_clinic(engine)
    approve(clinic, protocol())
    made = course(clinic)
    accept(clinic, made.id, offer(clinic, made.id)[0].token)

    def title() -> str:
        return clinic.do(lambda s, c: timelines.of_course(s, c, made.id)).title

    seen = [title()]
    clinic.do(lambda s, c: course_life.hold(s, c, made.id, reason="Blood pressure"))
    seen.append(title())
    clinic.do(lambda s, c: course_life.resume(s, c, made.id))
    clinic.do(lambda s, c: course_life.discontinue(s, c, made.id, reason="Moved away"))
    assert [*seen, title()] == ["Trial, course", "Trial, course on hold", "Trial, course given up"]
