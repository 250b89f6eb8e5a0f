"""A course planned anew late: what was taken months ago is not read again, and what looks back still binds."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine

from scheduler.services import visit_types
from scheduler.services.calendars import load
from scheduler.services.course_changes import Change
from tests.coursework import open_course_clinic
from tests.desk import book
from tests.services.test_doses import dosing
from tests.services.test_replanning import Running
from tests.services.test_statements import listening

#: Monthly doses: the last of four stands twelve weeks after the first.
MONTHLY = (25, 28, 40)
DAY = timedelta(days=1)


@pytest.fixture
def running(engine: Engine) -> Running:
    return Running(open_course_clinic(engine), MONTHLY)


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
def test_a_late_replan_reads_no_months_of_past_and_keeps_away_from_doses_before(running: Running) -> None:
    clinic, last = running.clinic, running.visit("dose", 4)
    clinic.visit(dosing("shot", "im"))
    shot = book(clinic, last.patient_id, "shot", f"{last.starts_at - 4 * DAY:%Y-%m-%d} 14:00").row.starts_at

    def ten_days_apart(session: Any, call: Any) -> None:
        dose = next(view for view in visit_types.listing(session, call).items if view.code == "dose")
        limits = {"min_hours_between_doses": 240, "modalities": ["iv", "im"]}
        visit_types.change(session, call, dose.id, dose.revision, {"limits": limits})

    clinic.do(ten_days_apart)
    now = last.starts_at - DAY
    with listening(clinic.engine) as asked:
        plan = running.propose(Change(last.id, "move"), now=now)
    read = [values["origin"] for _, values in asked.of("FROM wanted JOIN LATERAL (SELECT")]
    assert read
    assert all(now - 2 * DAY <= origin <= now for origin in read), read
    assert running.visit("dose", 1).starts_at < now - 80 * DAY
    assert shot < min(read), "the dose elsewhere is over before what is read"
    moved = {each.session_id: each.start for each in plan.moved}
    assert moved[running.session_id("dose", 4)] >= shot + 10 * DAY


def test_what_is_read_since_a_moment_is_all_that_counts_from_then_on(running: Running) -> None:
    """With a visit that has begun: its people and its room are taken until it ends."""
    clinic, talk = running.clinic, running.visit("talk", 3)
    start, now = running.visit("dose", 1).starts_at, talk.starts_at + timedelta(minutes=10)

    def taken(since: Any) -> tuple[list[list[int]], list[list[int]]]:
        known = clinic.do(
            lambda s, c: load(s, c, location_id=clinic.location_id, start=start, end=now + 60 * DAY, since=since),
            now=now,
        )
        slot = known.site.timeline.slot(now)
        lanes = [each.taken for _, each in sorted(known.site.calendars.items())]
        past = (1 << slot) - 1
        return [[lane >> slot for lane in each if lane >> slot] for each in lanes], [
            [lane & past for lane in each if lane & past] for each in lanes
        ]

    (ahead, behind), (all_ahead, all_behind) = taken(now), taken(None)
    assert ahead == all_ahead
    assert any(lane & 1 for each in ahead for lane in each), "somebody is at work"
    assert sum(lane.bit_count() for each in behind for lane in each) < 20, "what is over months ago is not read"
    assert sum(lane.bit_count() for each in all_behind for lane in each) > 200
