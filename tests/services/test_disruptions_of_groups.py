"""Somebody whom a group needs falls ill: every visit of it is named in the repair, with the reason."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import Engine

from scheduler.services import disruptions
from tests.services.test_plans_join_groups import FIRST, SECOND, join, sound, therapists, with_circles


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_each_visit_of_a_group_is_named_as_one_that_has_to_be_seen_to(engine: Engine) -> None:
    clinic = with_circles(engine, 2, 2)
    group = [join(clinic, FIRST), join(clinic, FIRST)]
    join(clinic, SECOND)
    [who] = therapists(clinic, group[0])
    day = clinic.at("2030-03-06 00:00")
    found = clinic.do(lambda s, c: disruptions.offer(s, c, who, day, day + timedelta(days=1), "ill"))
    assert {line.appointment_id: (line.outcome, line.code) for line in found.lines} == {
        each.id: ("broken", "group") for each in group
    }
    assert {line.detail for line in found.lines} == {"A group moves as a whole: its session has to be seen to."}
    sound(clinic)
