"""One course in several hands at the same moment: two re-plans, or one and its end. One is first, others are told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import Engine

from scheduler.core.errors import IllegalTransition, PlanStale
from scheduler.services import course_life
from scheduler.services.course_changes import Change
from tests.coursework import open_course_clinic
from tests.desk import overlaps
from tests.services.test_replanning import Running

pytestmark = pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)


def at_once(*acts: Callable[[], object]) -> Counter[str]:
    """How it went for each, begun together."""
    together = Barrier(len(acts))

    def one(act: Callable[[], object]) -> str:
        together.wait()
        try:
            act()
        except (PlanStale, IllegalTransition) as refusal:
            return refusal.code
        return "done"

    with ThreadPoolExecutor(len(acts)) as pool:
        return Counter(pool.map(one, acts))


def test_of_two_re_plans_of_one_course_one_is_carried_out(engine: Engine) -> None:
    running = Running(open_course_clinic(engine))
    plans = [running.propose(Change(running.visit("dose", number).id, "cancel")) for number in (2, 3)]
    told = at_once(*(lambda plan=plan: running.accept(plan) for plan in plans for _ in range(2)))
    assert told == {"done": 1, "plan_stale": 3}
    running.check()
    assert len(running.starts()) == 9
    assert running.view().broken == ()
    assert overlaps(engine) == 0


def test_a_course_that_ends_at_the_same_moment_keeps_no_visit(engine: Engine) -> None:
    running = Running(open_course_clinic(engine))
    plan = running.propose(Change(running.visit("dose", 2).id, "cancel"))
    told = at_once(
        lambda: running.accept(plan),
        lambda: running.clinic.do(lambda s, c: course_life.discontinue(s, c, running.id, reason="asked for")),
    )
    assert told["done"] >= 1
    assert running.view().row.status == "revoked"
    assert running.view().booked == {}
    with pytest.raises((PlanStale, IllegalTransition)):
        running.accept(plan)
