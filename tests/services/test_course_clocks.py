"""A course that runs through both changes of the clocks, planned and booked wherever the host lives."""

from __future__ import annotations

import time
from datetime import timedelta
from itertools import pairwise

import pytest
from sqlalchemy import Engine

from scheduler.core.civil import to_local, zone
from scheduler.services import organizations
from tests.coursework import accept, approve, course, offer, open_course_clinic, protocol

DOSES = 10


@pytest.mark.parametrize(
    ("dialect", "name"),
    [("sqlite", "America/New_York"), ("postgresql", "Australia/Lord_Howe")],
    indirect=["dialect"],
)
def test_a_course_keeps_its_wall_times_through_both_changes(
    engine: Engine, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clinic = open_course_clinic(engine, time_zone=name)
    clinic.do(lambda s, c: organizations.change(s, c, 1, {"policies": {"horizon_days": 366}}))
    approve(clinic, protocol(DOSES, gap=(28, 28, 29)))
    patient = clinic.patient()
    plans = {}
    try:
        for host in ("UTC", "Asia/Kolkata"):
            monkeypatch.setenv("TZ", host)
            time.tzset()
            asked = course(clinic, patient)
            [plan] = offer(clinic, asked.id, through="end")
            plans[host] = plan, asked.id
        visits = accept(clinic, plans["Asia/Kolkata"][1], plans["Asia/Kolkata"][0].token)
    finally:
        monkeypatch.undo()
        time.tzset()
    starts = {host: [each.start for each in plan.plan.sessions] for host, (plan, _) in plans.items()}
    assert starts["UTC"] == starts["Asia/Kolkata"]
    doses = sorted(each.row.starts_at for each in visits if each.row.visit_type == "dose")
    offsets = [start.astimezone(zone(name)).utcoffset() for start in doses]
    turns = sum(before != after for before, after in pairwise(offsets))
    assert (len(doses), turns) == (DOSES, 2), "a course that meets fewer changes shows nothing"
    walls = [to_local(start, name) for start in doses]
    assert len({wall.time() for wall in walls}) == 1, "the same time of day"
    assert {after.date() - before.date() for before, after in pairwise(walls)} == {timedelta(days=28)}
    assert {each.row.local_start for each in visits} == {
        to_local(each.row.starts_at, name).isoformat(timespec="minutes") for each in visits
    }
