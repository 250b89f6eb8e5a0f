"""A look that ends sooner finds the plan that the longest look finds, whatever is closed on the way."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.errors import NoFeasiblePlan
from scheduler.models import Resource
from scheduler.services import absences, courses, planning
from tests.clinic import Clinic
from tests.coursework import approve, course, open_course_clinic, protocol

ONE = pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
Found = tuple[int, tuple[tuple[str, int], ...]] | None


@pytest.fixture
def clinic(engine: Engine) -> Clinic:
    return open_course_clinic(engine)


def begun_within(days: int | None) -> dict[str, Any]:
    """The protocol, whose first session has so many days: then it is known where a course ends."""
    document = protocol(3)
    if days is not None:
        document["phases"][0]["steps"][0]["entry"] = {"unit": "days", "min": 0, "target": 0, "max": days}
    return document


def away(clinic: Clinic, who: UUID, first: int, days: int) -> None:
    start = clinic.at("2030-03-04 00:00") + timedelta(days=first)
    end = start + timedelta(days=days)
    clinic.do(lambda s, c: absences.create(s, c, resource_id=who, start=start, end=end, reason="leave"))


def looked(clinic: Clinic, course_id: UUID) -> tuple[Found, Found, int]:
    """The plan, what the longest look finds, and how many days the plan took to look at (0: there is none)."""

    def act(session: Session, call: Call) -> tuple[Found, Found, int]:
        far = planning.set_up(session, call, courses.get(session, call, course_id), look="far")
        best = planning.solve(far)
        wanted = (best[0].plan.cost, best[0].plan.starts) if best else None
        try:
            desk, found = planning.make_plans(session, call, course_id, through="all")
        except NoFeasiblePlan:
            return None, wanted, 0
        return (found[0].plan.cost, found[0].plan.starts), wanted, desk.loaded.site.timeline.days

    return clinic.do(act, dry_run=True)


@ONE
@pytest.mark.parametrize("entry", [21, None])
def test_what_a_short_look_finds_is_what_the_longest_finds(clinic: Clinic, entry: int | None) -> None:
    approve(clinic, begun_within(entry))
    made, rng, seen = course(clinic), Random(5), set()
    with Session(clinic.engine) as session:
        staff = session.scalars(select(Resource.id).where(Resource.kind == "practitioner").order_by(Resource.id)).all()
    for first, days in ((0, 0), (6, 8), (2, 12), (14, 14), (30, 30), (0, 90)):
        if days:
            away(clinic, rng.choice(staff), first, days)
        found, wanted, looked_at = looked(clinic, made.id)
        assert found == wanted
        seen.add(looked_at)
    assert (0 in seen) == (entry is not None), "without a limit there is a plan in the end"
    assert len(seen) > 1, "a short look was enough for some and not for all"


@ONE
def test_a_good_plan_that_begins_later_is_not_missed(clinic: Clinic) -> None:
    approve(clinic, begun_within(None))
    own = [clinic.staff(role) for role in ("prescriber", "therapist")]
    for who in own:
        away(clinic, who, 0, 37)
    made = course(clinic, practitioner_ids=[str(each) for each in own])
    found, wanted, _ = looked(clinic, made.id)
    assert found is not None
    assert found == wanted
