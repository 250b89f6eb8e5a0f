"""Planning many courses at once, as a job: read once, searched with no transaction open, kept as one plan a course.

Nothing is booked: each course's token books that course, today or tomorrow; the others stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.civil import to_local
from scheduler.core.errors import Fault, refuse
from scheduler.core.planner.batch import Batch, Total
from scheduler.core.planner.floor import Placement
from scheduler.models import Course, Job
from scheduler.services import courses, jobs, plans
from scheduler.services.course_span import common_span, extent_of, layout_of
from scheduler.services.plan_floor import CourseFloor
from scheduler.services.planned_groups import as_offered
from scheduler.services.planning import CoursePlan, set_up

KIND = "plan_batch"
#: For so long each plan can be booked: a batch is gone through by people.
KEPT_MINUTES = 24 * 60


def ask(
    session: Session, call: Call, course_ids: Sequence[UUID], *, through: str, seconds: int, seed: int, rounds: int
) -> Job:
    """Have these courses planned together. Raises Invalid, naming each that cannot be."""
    wanted = select(Course).where(Course.organization_id == call.organization_id, Course.id.in_(course_ids))
    rows = {row.id: row for row in session.scalars(wanted)}
    faults, patients = [], set()
    for place, course_id in enumerate(course_ids):
        if course_id not in rows:
            faults.append(Fault(f"/course_ids/{place}", "unknown_course", "There is no such course."))
        elif rows[course_id].status not in {"draft", "active"}:
            detail = f"The course is {rows[course_id].status}."
            faults.append(Fault(f"/course_ids/{place}", "not_open", detail))
        elif rows[course_id].patient_id in patients:
            detail = "The same patient, or course, is in the list already: plan them one after the other."
            faults.append(Fault(f"/course_ids/{place}", "same_patient", detail))
        else:
            patients.add(rows[course_id].patient_id)
    refuse(faults)
    request = {
        "course_ids": [str(each) for each in course_ids],
        "through": through,
        "seed": seed,
        "rounds": rounds,
    }
    return jobs.ask(session, call, KIND, request, seconds)


def begin(session: Session, call: Call, request: Mapping[str, Any]) -> PlanBatch:
    """Read everything that planning these courses looks at."""
    ids, through = [UUID(each) for each in request["course_ids"]], request["through"]
    views = [courses.get(session, call, course_id) for course_id in ids]
    layouts = [layout_of(session, call, view, through=through) for view in views]
    span = common_span(extent_of(call, *each, "whole") for each in zip(views, layouts, strict=True))
    desks = [set_up(session, call, view, through=through, span=span, look="whole") for view in views]
    floor = CourseFloor(desks)
    session.expunge_all()  # the search goes on when this transaction is over, and only reads
    return PlanBatch(floor, Batch(floor, len(ids), seed=request["seed"], rounds=request["rounds"]))


@dataclass
class PlanBatch:
    """The job: the search, then one plan a course."""

    floor: CourseFloor
    batch: Batch

    def steps(self) -> Iterator[tuple[float, str]]:
        """Search for as long as the job lasts."""
        return self.batch.steps()

    def write(self, session: Session, call: Call) -> Mapping[str, Any]:
        """Keep each course's plan under a token of its own, and say how good the whole is."""
        between = self._between()
        placed = {**self.batch.kept, **between}
        lines = [self._line(session, call, number, placed.get(number)) for number in range(self.batch.count)]
        return {
            "courses": lines,
            "placed": len(placed),
            "between_quarters": len(between),
            "total": _document(Total(self.batch.count - len(placed), sum(each.cost for each in placed.values()))),
            "one_by_one": _document(self.batch.sequential),
            "bound": _document(self.batch.bound),
            "rounds": self.batch.made,
        }

    def _between(self) -> dict[int, Placement]:
        """Places for those that the search found none for, one by one beside the others: it knows the quarters alone.

        That is one look for each, and no course makes way for it, so that no job is much longer for it.
        """
        floor, found = CourseFloor(self.floor.desks), dict[int, Placement]()
        for number, placement in self.batch.kept.items():
            floor.put(number, placement)
        for number in sorted(set(range(self.batch.count)) - self.batch.kept.keys()):
            possible = floor.plan_anywhere(number)
            if possible is not None:
                floor.put(number, possible)
                found[number] = possible
        return found

    def _line(self, session: Session, call: Call, number: int, placement: Placement | None) -> dict[str, Any]:
        desk = self.floor.desks[number]
        line: dict[str, Any] = {"course_id": str(desk.course.id), "plan_token": None, "code": None}
        if placement is None:
            alone = number in self.batch.possible or self.floor.is_possible(number)
            return line | {"code": "no_place_beside_the_others" if alone else "no_feasible_plan"}
        found: CoursePlan = as_offered(placement.plan)
        if not found.sessions:
            return line | {"code": "nothing_to_plan"}
        offered = plans.keep(session, call, desk, [found], KEPT_MINUTES)[0]
        zone = desk.loaded.site.time_zone
        return line | {
            "plan_token": offered.token,
            "score": found.plan.cost,
            "starts_on": to_local(found.sessions[0].start, zone).date().isoformat(),
            "completes_on": to_local(found.sessions[-1].start, zone).date().isoformat(),
            "sessions": len(found.sessions),
        }


def _document(total: Total | None) -> dict[str, int] | None:
    return None if total is None else {"unplaced": total.unplaced, "cost": total.cost}
