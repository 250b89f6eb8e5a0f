"""Whether the rest of a course could follow a plan that ends at a gate, as the calendar is now. Nothing is booked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.civil import to_local
from scheduler.core.planner.explain import feasible
from scheduler.core.spacing import Booked
from scheduler.services.planning import CoursePlan, Desk, finer, set_up
from scheduler.services.problems import problem_of


def continues(session: Session, call: Call, desk: Desk, plans: Sequence[CoursePlan]) -> list[bool | None]:
    """For each plan made at that desk, whether what lies behind its gate has a place; None where nothing does."""
    whole = set_up(session, call, desk.course)
    if len(whole.specs) == len(desk.specs):
        return [None] * len(plans)
    return [_is_possible(_with(whole, plan)) for plan in plans]


def _is_possible(desk: Desk) -> bool:
    return feasible(problem_of(desk)) or feasible(problem_of(finer(desk)))


def _with(whole: Desk, plan: CoursePlan) -> Desk:
    """The desk as it would be with the plan booked."""
    zone = whole.loaded.site.time_zone
    places = {
        each.spec.index: Booked(to_local(each.start, zone).date(), each.start, each.end) for each in plan.sessions
    }
    serving = {each.spec.index: each.served for each in plan.sessions}
    return replace(whole, standing={**whole.standing, **places}, serving={**whole.serving, **serving})
